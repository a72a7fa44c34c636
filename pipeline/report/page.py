"""A report as one self-contained HTML page, and the same as Markdown."""

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pandas as pd

from pipeline.files import publish_bytes
from pipeline.report.markdown import paragraph, picture, plain, strong, table

HTML, MARKDOWN = "report.html", "report.md"
Facts = Sequence[tuple[str, str]]
WIDE = 2.0  # times as wide as high: such a picture takes the width of the page
_INTERVAL = re.compile(r"([-+]?[\d.]+) (\[[^\]]*\]|± [\d.]+)(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts.

    Attributes:
        caption: What it shows, and how to read it.
        frame: Its cells, texts only; the first column names the row.
        strong: Values of the first column whose rows are set in bold.
        is_folded: Whether the HTML page shows its caption only, until one opens it.
    """

    caption: str
    frame: pd.DataFrame
    strong: Sequence[str] = ()
    is_folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture in the report's folder.

    Attributes:
        caption: What it shows, and how to read it.
        path: The PNG.
    """

    caption: str
    path: Path

    @property
    def is_wide(self) -> bool:
        """Whether it is much wider than high."""
        width, height = struct.unpack(">II", self.path.read_bytes()[16:24].ljust(8, b"\0"))
        return bool(width > WIDE * height)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        texts: Paragraphs above the rest.
        facts: Names and what is said of them.
        tables: Its tables.
        pictures: Its pictures.
    """

    title: str
    texts: Sequence[str] = ()
    facts: Facts = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()

    @property
    def anchor(self) -> str:
        """The name of its place in the page."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())

    @property
    def is_half(self) -> bool:
        """Whether two such fit beside each other: one picture, and little to say of it."""
        said = sum(map(len, self.texts))
        shown = [table for table in self.tables if not table.is_folded]
        return len(self.pictures) == 1 and said < 300 and not (shown or self.facts)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole report.

    Attributes:
        title: Its heading.
        verdict: What was found, in one sentence; "" where nothing is judged.
        lead: On which terms, in a sentence or two.
        facts: What it is about: names and what is said of them.
        figures: What one sees first: a name, a number, and what to know of it.
        sections: In order.
    """

    title: str
    lead: str
    verdict: str = ""
    facts: Facts = ()
    figures: Sequence[tuple[str, str, str]] = ()
    sections: Sequence[Section] = field(default_factory=tuple)


def write_page(folder: Path, page: Page) -> None:
    """Write `report.html`, pictures within it, and `report.md`, pictures beside it.

    Raises:
        OutputError: If they cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    html = environment.get_template("report.html").render(
        page=page, inlined=_inlined, parted=_parted
    )
    publish_bytes(folder / HTML, html.encode())
    publish_bytes(folder / MARKDOWN, _markdown(page).encode())


def _inlined(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _parted(cell: object) -> tuple[str, str, str]:
    """Return a number, its interval or spread, which may stand below, and what is said besides."""
    found = _INTERVAL.fullmatch(str(cell))
    return (found[1], found[2], found[3]) if found else (str(cell), "", "")


def _markdown(page: Page) -> str:
    lines = [f"# {plain(page.title)}", ""]
    lines += [strong(page.verdict), ""] if page.verdict else []
    lines += [paragraph(page.lead), "", *_listed(page.facts)]
    lines += [
        f"- {strong(f'{name}: {number}')} {plain(note)}" for name, number, note in page.figures
    ]
    for section in page.sections:
        lines += ["", f"## {plain(section.title)}"]
        for text in section.texts:
            lines += ["", paragraph(text)]
        lines += ["", *_listed(section.facts)] if section.facts else []
        for shown in section.tables:
            rows = [
                [strong(cell) if cells[0] in shown.strong else plain(cell) for cell in cells]
                for cells in shown.frame.itertuples(index=False)
            ]
            lines += ["", paragraph(shown.caption), "", *table(list(shown.frame.columns), rows)]
        for one in section.pictures:
            lines += ["", picture(one.caption, one.path.name)]
    return "\n".join(lines) + "\n"


def _listed(facts: Facts) -> list[str]:
    return [f"- {strong(f'{name}:')} {plain(said)}" for name, said in facts]
