"""A page as HTML and as Markdown, whatever it is of."""

import struct
from pathlib import Path

import pandas as pd
import pytest

from helpers.pages import parsed
from pipeline.report.page import HTML, MARKDOWN, Page, Picture, Section, Table, write_page

FRAME = pd.DataFrame({"a": ["x"], "b": ["0.500 [0.400, 0.600]"], "c": ["0.500 ± 0.010"]})


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a<b>": ["<script>alert(1)</script>", "x|y"]})
    table = Table(caption="<i>", frame=frame, strong=["x|y"])
    write_page(tmp_path, Page(title="<t>", lead="&", sections=[Section(title="S", tables=[table])]))
    assert "script" not in parsed(tmp_path / HTML).names
    assert r"| **x\|y** |" in (tmp_path / MARKDOWN).read_text().splitlines()


def test_pictures_are_within_the_page_and_beside_the_markdown(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"pixels")
    picture = Picture(caption="what", path=tmp_path / "p.png")
    write_page(
        tmp_path, Page(title="t", lead="l", sections=[Section(title="S", pictures=[picture])])
    )
    assert parsed(tmp_path / HTML).sources == ["data:image/png;base64,cGl4ZWxz"]
    assert "![what](p.png)" in (tmp_path / MARKDOWN).read_text()


def test_a_folded_table_is_opened_by_its_caption(tmp_path: Path) -> None:
    tables = [
        Table(caption="open", frame=FRAME),
        Table(caption="shut. More of it.", frame=FRAME, is_folded=True),
    ]
    write_page(tmp_path, Page(title="t", lead="l", sections=[Section(title="S", tables=tables)]))
    html = (tmp_path / HTML).read_text()
    assert '<summary>shut</summary>\n<p class="caption">More of it.</p>' in html
    assert "<summary>open</summary>" not in html
    assert html.count("<td>0.500 <small><span>[0.400, 0.600]</span></small></td>") == 2
    assert html.count("<td>0.500 <small><span>± 0.010</span></small></td>") == 2
    text = (tmp_path / MARKDOWN).read_text()
    assert text.count("| x | 0.500 [0.400, 0.600] | 0.500 ± 0.010 |") == 2


def test_verdict_and_facts_come_before_the_sections(tmp_path: Path) -> None:
    facts = [("Trained on", "a|b <i>")]
    sections = [Section(title="S", facts=[("Command", "genser x")])]
    write_page(
        tmp_path, Page(title="t", verdict="Above.", lead="l", facts=facts, sections=sections)
    )
    html = (tmp_path / HTML).read_text()
    places = [
        html.index(part)
        for part in (
            '<p class="verdict">Above.</p>',
            '<p class="lead">l</p>',
            "<dt>Trained on</dt><dd>a|b &lt;i&gt;</dd>",
            '<section id="s"',
            "<dt>Command</dt><dd>genser x</dd>",
        )
    ]
    assert places == sorted(places)
    assert (tmp_path / MARKDOWN).read_text() == (
        "# t\n\n**Above.**\n\nl\n\n- **Trained on:** a\\|b &lt;i>\n\n## S\n\n"
        "- **Command:** genser x\n"
    )


def test_a_picture_with_little_beside_it_takes_half_a_row(tmp_path: Path) -> None:
    one = Picture(caption="c", path=tmp_path / "p.png")
    shut = Table(caption="shut", frame=FRAME, is_folded=True)
    assert Section(title="S", texts=["short"], tables=[shut], pictures=[one]).is_half
    for whole in (
        Section(title="S", texts=["long" * 100], pictures=[one]),
        Section(title="S", tables=[Table(caption="open", frame=FRAME)], pictures=[one]),
        Section(title="S", pictures=[one, one]),
        Section(title="S", tables=[shut]),
    ):
        assert not whole.is_half


@pytest.mark.parametrize(("width", "is_wide"), [(1280, True), (800, False)])
def test_a_picture_much_wider_than_high_takes_the_width(tmp_path, width, is_wide) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, 438))
    assert Picture(caption="c", path=path).is_wide == is_wide
    section = Section(title="S", pictures=[Picture(caption="c", path=path)])
    write_page(tmp_path, Page(title="t", lead="l", sections=[section]))
    assert ('<figure class="wide">' in (tmp_path / HTML).read_text()) == is_wide
