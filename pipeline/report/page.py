"""A report as one self-contained HTML page, and the same as Markdown."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pandas as pd

from pipeline.files import publish_bytes
from pipeline.report.markdown import paragraph, picture, plain, strong, table

HTML, MARKDOWN = "report.html", "report.md"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts.

    Attributes:
        caption: What it shows, and how to read it.
        frame: Its cells, texts only; the first column names the row.
        strong: Values of the first column whose rows are set in bold.
    """

    caption: str
    frame: pd.DataFrame
    strong: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture in the report's folder.

    Attributes:
        caption: What it shows, and how to read it.
        path: The PNG.
    """

    caption: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        texts: Paragraphs above the rest.
        tables: Its tables.
        pictures: Its pictures.
    """

    title: str
    texts: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()

    @property
    def anchor(self) -> str:
        """The name of its place in the page."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole report.

    Attributes:
        title: Its heading.
        lead: What it is, in a sentence or two.
        figures: What one sees first: a name, a number, and what to know of it.
        sections: In order.
    """

    title: str
    lead: str
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
    html = environment.get_template("report.html").render(page=page, inlined=_inlined)
    publish_bytes(folder / HTML, html.encode())
    publish_bytes(folder / MARKDOWN, _markdown(page).encode())


def _inlined(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _markdown(page: Page) -> str:
    lines = [f"# {plain(page.title)}", "", paragraph(page.lead), ""]
    lines += [
        f"- {strong(f'{name}: {number}')} {plain(note)}" for name, number, note in page.figures
    ]
    for section in page.sections:
        lines += ["", f"## {plain(section.title)}"]
        for text in section.texts:
            lines += ["", paragraph(text)]
        for shown in section.tables:
            rows = [
                [strong(cell) if cells[0] in shown.strong else plain(cell) for cell in cells]
                for cells in shown.frame.itertuples(index=False)
            ]
            lines += ["", paragraph(shown.caption), "", *table(list(shown.frame.columns), rows)]
        for one in section.pictures:
            lines += ["", picture(one.caption, one.path.name)]
    return "\n".join(lines) + "\n"
