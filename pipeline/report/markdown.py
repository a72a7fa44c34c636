"""Texts in Markdown that mean what they say: labels and names come from data, and so may be markup.

A text is shown as it is, with white space as one space: no tag, entity, link, picture, emphasis,
code, formula or further cell of a table comes of it.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

_MARKS = re.compile(r"[\\`*~$|]")
_EDGE_OF_A_WORD = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # within one it is a letter
_LINK = re.compile(r"\](?=[(\[:])|\[(?=\^)")
_BRACKET = re.compile(r"[\[\]]")  # within brackets each counts
_ENTITY = re.compile(r"&(?=#?\w+;)")
_BLOCK = re.compile(r"^(?:(?=[#>=+-])|(\d+)(?=[.)]))")
_UNSEEN = {code: " " for code in (*range(32), *range(127, 160))}


def plain(text: object) -> str:
    """Return a text within a line."""
    return _escaped(text, _LINK)


def _escaped(text: object, brackets: re.Pattern[str]) -> str:
    line = " ".join(str(text).translate(_UNSEEN).split())
    line = _MARKS.sub(r"\\\g<0>", line)
    line = _EDGE_OF_A_WORD.sub(r"\\_", line)
    line = brackets.sub(r"\\\g<0>", line)
    return _ENTITY.sub("&amp;", line).replace("<", "&lt;")


def paragraph(text: object) -> str:
    """Return a text as a paragraph: no heading, list, quotation or definition begins it."""
    return _BLOCK.sub(r"\1\\", plain(text))


def strong(text: object) -> str:
    """Return a text in bold, "" of nothing."""
    line = plain(text)
    return f"**{line}**" if line else ""


def code(text: object) -> str:
    """Return a text as a span of code."""
    line = " ".join(str(text).translate(_UNSEEN).split())
    longest = max((len(ticks) for ticks in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " * line[:1].startswith("`") or " " * line.endswith("`")
    return f"{fence}{space}{line}{space}{fence}" if line else ""


def picture(caption: object, name: str) -> str:
    """Return a picture that lies beside the text."""
    return f"![{_escaped(caption, _BRACKET)}]({quote(name)})"


def table(columns: Sequence[object], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table.

    Args:
        columns: Its heads, as they are.
        rows: Its cells, in Markdown.
    """
    lines = [[plain(name) for name in columns], ["---"] * len(columns), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
