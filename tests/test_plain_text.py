"""Labels and names are shown as they are: no markup in Markdown, no formula in CSV."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.manifests.tables import read_csv, write_csv
from pipeline.report.markdown import code, paragraph, picture, plain, strong, table

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "[x](javascript:alert(1))",
    "![x](http://y/z.png)",
    "[x]: http://y",
    "<http://y>",
    "*a* _b_ __c__ ~~d~~ `e` $f$ a_b_c",
    "&lt;b&gt; &#60; &copy; AT&T",
    "a|b\\|c\\\\|d",
    "\\",
    "# a",
    "1. a",
    "12) a",
    "- a",
    "+ a",
    "> a",
    "===",
    "---",
    "~~~",
    "```\na",
    "    a",
    "a\n\n# b\r\n<b>",
    "[^1]: x",
    "a\x00b\x1b[31m",
]
TEXTS = st.one_of(
    st.text(alphabet=st.sampled_from("ab_ *`~$|\\<>[]()!#+-=&;:1.'\n\t^{}@é"), max_size=20),
    st.text(max_size=20),
    st.sampled_from(HOSTILE),
).filter(lambda text: not re.search(r"[\ud800-\udfff\x85\u2028\u2029]", text))


def seen(text: str) -> str:
    """What a person is to see of a text: unseen characters are spaces, and spaces one."""
    return " ".join("".join(" " if c < " " or "\x7f" <= c <= "\x9f" else c for c in text).split())


def read(markdown: str) -> list[tuple[str, str]]:
    """Kinds and contents of everything that a reader of Markdown makes of it."""
    found = []
    for token in READER.parse(markdown):
        if token.type == "inline":
            found += [(part.type, part.content) for part in token.children or []]
        elif not token.type.endswith("_close"):
            found.append((token.type, token.content))
    return found


def shown(parts: list[tuple[str, str]]) -> str:
    assert {kind for kind, _ in parts} <= {"text", "text_special"}
    return "".join(content for _, content in parts)


def each_hostile(test):
    for text in HOSTILE:
        test = example(text)(test)
    return test


@given(TEXTS)
@each_hostile
def test_a_paragraph_a_heading_and_a_cell_show_their_text_and_nothing_else(text: str) -> None:
    wanted = seen(text)
    if wanted:
        kind, *rest = read(paragraph(text))
        assert kind[0] == "paragraph_open"
        assert shown(rest) == wanted
    kind, *rest = read(f"# x {plain(text)} x")
    assert kind[0] == "heading_open"
    assert shown(rest).split() == f"x {wanted} x".split()
    parts = read("\n".join(table(["x", text], [[plain(text), "y"]])))
    cells: list[list[tuple[str, str]]] = []
    for part in parts:
        if part[0] in ("th_open", "td_open"):
            cells.append([])
        elif cells and part[0] in ("text", "text_special", "code_inline", "html_inline"):
            cells[-1].append(part)
    assert [shown(cell) for cell in cells] == ["x", wanted, wanted, "y"]
    assert not {"html_inline", "link_open", "image", "em_open", "s_open"} & {k for k, _ in parts}


@given(TEXTS)
@each_hostile
def test_bold_texts_code_and_captions_are_no_more_than_that(text: str) -> None:
    wanted = seen(text)
    if wanted:
        parts = read(f"x {strong(text)} x")[1:]
        assert [kind for kind, _ in parts if "strong" in kind] == ["strong_open", "strong_close"]
        assert shown([p for p in parts if "strong" not in p[0]]) == f"x {wanted} x"
        assert read(f"x {code(text)} x")[1:] == [
            ("text", "x "),
            ("code_inline", wanted),
            ("text", " x"),
        ]
    assert [kind for kind, _ in read(picture(text, "a (b) <c>.png"))][1:] == ["image"]


def test_what_is_no_markup_is_left_as_it_is() -> None:
    for text in ("0.553 [0.507, 0.596]", "train.select_by", "-0.1", "a (b), c: d!", "“é” 80 %"):
        assert plain(text) == text
    assert plain("<b>|") == r"&lt;b>\|"


@given(st.lists(st.tuples(TEXTS, TEXTS, st.floats(-9, 9)), min_size=1, max_size=4), TEXTS)
def test_a_table_of_results_has_no_formula_and_reads_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float]], name: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    columns = ["text", f"x{name}", "number"]
    wanted = pd.DataFrame(rows, columns=columns)
    write_csv(path, wanted)
    with path.open(newline="") as file:
        written = list(csv.reader(file))
    assert len(written) == len(rows) + 1
    for row in written[1:]:
        for cell in row[:2]:
            assert cell[:1] not in ("=", "@", "\t", "\r", "\n")
            assert cell[:1] not in ("+", "-") or np.isfinite(float(cell))
        float(row[2])
    found = read_csv(path, dtype={"text": "str", f"x{name}": "str"}, keep_default_na=False)
    assert found.iloc[:, :2].to_numpy().tolist() == wanted.iloc[:, :2].to_numpy().tolist()


def test_formulas_get_an_apostrophe_and_numbers_stay_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"=a": ["=1+1", "-1.5", "-1+1", "'=x"], "n": [-1.5, 2.0, np.nan, -3.0]})
    write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "'=a,n",
        "'=1+1,-1.500000",
        "-1.5,2.000000",
        "'-1+1,",
        "''=x,-3.000000",
    ]
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv"), table)
