"""Labels, corpora, speakers and texts of a manifest that would be markup or formulas stay texts."""

import csv
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from helpers.commands import genser, write_manifest

LABELS = {
    "angry": "=cmd|' /C calc'!A0",
    "fearful": "<script>alert(1)</script>",
    "happy": "$\\frac{$",
    "neutral": "-2+3",
    "sad": "@SUM(1) [x](http://y) `a` *b*",
}
QUICK = ("-S", "train.num_steps=4", "-S", "train.head=linear")
OWN = {"text", "text_special", "strong_open", "strong_close", "image"}


def hostile(table):
    return table.assign(
        emotion=table["emotion"].map(LABELS),
        corpus="[c](http://c)<b>",
        speaker="@" + table["speaker"],
        text="=1+1 <img src=x>\t| " + table["text"],
        utterance_id=table["utterance_id"],
    )


@pytest.fixture(scope="module")
def written(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every command that writes pages and tables makes of such a manifest."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        manifest = write_manifest(folder / "m.csv", hostile)
        on = (manifest, "--store", "store", "--task", "emotion")
        head, out = folder / "h", folder / "p.parquet"
        for words in (
            (*QUICK, "train", *on, "--out", head),
            ("score", manifest, "--store", "store", "--head", head, "--out", out),
            (*QUICK, "crossval", *on, "--heads", "linear", "--folds", 2, "--out", folder / "cv"),
            (*QUICK, "sweep", manifest, "train.mixup=0,1", *on[1:], "--out", folder / "sweep"),
            ("probe", *on, "--out", folder / "probe"),
            ("audit", manifest, "--out", folder / "audit"),
            ("report", out, "--manifest", manifest, "--head", head, "--store", "store",
             "--crossval", f"=a={folder / 'cv'}".removeprefix("="), "--out", folder / "r"),
        ):  # fmt: skip
            result = genser(*words)
            assert result.exit_code == 0, result.output
    return folder


def test_no_table_has_a_formula(written: Path) -> None:
    tables = sorted(written.rglob("*.csv"))
    tables.remove(written / "m.csv")
    assert len(tables) > 8
    seen = set()
    for path in tables:
        with path.open(newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    if cell[:1] in ("+", "-"):
                        float(cell)
                    assert cell[:1] not in ("=", "@", "\t", "\r"), path
                    seen.add(cell)
    assert {f"'{LABELS[name]}" for name in ("angry", "neutral", "sad")} <= seen
    assert LABELS["fearful"] in seen


def test_no_page_has_markup_of_a_name(written: Path) -> None:
    pages = sorted(written.rglob("*.md"))
    assert pages
    for path in pages:
        text = path.read_text()
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
        assert not any(token.type.startswith(("html", "code", "fence")) for token in tokens)
        parts = [part for token in tokens for part in token.children or []]
        assert {part.type for part in parts} <= OWN
        words = "".join(part.content for part in parts if part.type.startswith("text"))
        assert all(label in words for label in LABELS.values())
    assert "<script" not in (written / "r/report.html").read_text()


def test_a_page_of_tables_reads_the_names_back(written: Path) -> None:
    page = (written / "r/report.md").read_text()
    assert "'=cmd" not in page
    assert r"| =cmd\|' /C calc'!A0 |" in page
