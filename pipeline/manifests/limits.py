"""How large a table may be: one that is small on the disk can be endless in memory."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pipeline.errors import ManifestError

MOST_ROWS = 2_000_000
CELLS_PER_ROW = 25  # on the average of all rows that are allowed
BYTES_PER_ROW = 250
MOST_COLUMNS = 10_000  # a column takes kilobytes, however few its cells

# Of this call of genser; every table that it reads is held to it.
_most_rows: ContextVar[int] = ContextVar("most_rows", default=MOST_ROWS)


@contextmanager
def rows_allowed(number: int) -> Iterator[None]:
    """Let the tables that are read in a block have so many rows, and cells and text in keeping."""
    before = _most_rows.set(number)
    try:
        yield
    finally:
        _most_rows.reset(before)


def require_size(path: Path, *, rows: int = 0, columns: int = 0, num_bytes: int = 0) -> None:
    """Refuse a table before it is in memory.

    Args:
        path: Of the table.
        rows: That it has, or more.
        columns: Of them.
        num_bytes: Of all its texts.

    Raises:
        ManifestError: If it is larger than is allowed.
    """
    if columns > MOST_COLUMNS:
        raise ManifestError(
            f"{path}: has {columns} columns or more, allowed are {MOST_COLUMNS}; drop some."
        )
    most = _most_rows.get()
    for found, per_row, what in (
        (rows, 1, "rows"),
        (rows * columns, CELLS_PER_ROW, "cells"),
        (num_bytes, BYTES_PER_ROW, "bytes of text"),
    ):
        if found > most * per_row:
            raise ManifestError(
                f"{path}: has {found} {what} or more, allowed are {most * per_row}; if it is meant "
                f"to, write 'genser --max-rows {math.ceil(found / per_row)}' before the command."
            )
