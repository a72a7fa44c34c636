"""A CSV file that grows row by row, and goes on where a killed run has left it.

Each piece of rows is appended in one write and flushed to the disk. A row says of which content of
the recording it is (`file_digest`) and what it was made by (`made_by`): rows of a recording that
has changed are made anew, rows of another head or other settings are refused.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import OutputError
from pipeline.files import publish_bytes, read_bytes, writing

DIGEST, MADE_BY = "file_digest", "made_by"
# Names of files need not be UTF-8; what is read is written back.
SHOWN = 200  # characters of what a foreign table begins with
ENCODING, ODD_BYTES = "utf-8", "surrogateescape"

Row = Mapping[str, str]


class GrowingTable:
    """The table, for who alone writes it.

    Attributes:
        path: The file.
        rows: What it holds.
    """

    def __init__(self, path: Path, columns: Sequence[str], made_by: str) -> None:
        """Open the table, or begin it; the half row of a killed run goes.

        Args:
            path: The file.
            columns: Its columns; the last two are of this module.
            made_by: What this run's rows are made by.

        Raises:
            OutputError: If it cannot be written, or holds something else.
        """
        self.path = path
        self._columns = [*columns, DIGEST, MADE_BY]
        self._heading = dict(zip(self._columns, self._columns, strict=True))
        self._made_by = made_by
        self.rows: list[Row] = []
        if not path.exists():
            self._rewrite([])
            return
        with writing(path):
            text = read_bytes(path).decode(ENCODING, ODD_BYTES)
        self.rows = self._read(text)
        if text != self._written(
            [dict(zip(self._columns, self._columns, strict=True)), *self.rows]
        ):
            self._rewrite(self.rows)

    def keep(self, rows: Sequence[Row]) -> None:
        """Drop all rows but these.

        Raises:
            OutputError: If it cannot be written.
        """
        if len(rows) != len(self.rows):
            self._rewrite(rows)

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, on the disk when this returns; a cell that one lacks is empty.

        Raises:
            OutputError: If they cannot be written.
        """
        empty = dict.fromkeys(self._columns, "")
        made = [{**empty, **row, MADE_BY: self._made_by} for row in rows]
        with writing(self.path), self.path.open("ab", buffering=0) as file:
            file.write(self._written(made).encode(ENCODING, ODD_BYTES))
            os.fsync(file.fileno())
        self.rows = [*self.rows, *made]

    def _read(self, text: str) -> list[Row]:
        try:
            lines = list(csv.reader(io.StringIO(text, newline="")))
        except csv.Error:
            lines = [["no CSV"]] * 2
        # A kill leaves at most the last row unfinished.
        if lines and (not text.endswith("\n") or len(lines[-1]) != len(self._columns)):
            lines.pop()
        if (lines and lines[0] != self._columns) or any(len(x) != len(lines[0]) for x in lines):
            raise OutputError(
                f"{self.path}: is another table than this command writes, found the columns "
                f"{', '.join(lines[0])[:SHOWN]!r}, wanted {', '.join(self._columns)!r}; name "
                "another output."
            )
        rows: list[Row] = [dict(zip(self._columns, line, strict=True)) for line in lines[1:]]
        for number, row in enumerate(rows, 2):
            if row[MADE_BY] != self._made_by:
                raise OutputError(
                    f"{self.path}:{number}: was made by another head or other settings, found "
                    f"{row[MADE_BY]}, wanted {self._made_by}; name another output, or remove it."
                )
        return rows

    def _rewrite(self, rows: Sequence[Row]) -> None:
        data = self._written([self._heading, *rows]).encode(ENCODING, ODD_BYTES)
        publish_bytes(self.path, data)
        self.rows = list(rows)

    def _written(self, rows: Sequence[Row]) -> str:
        text = io.StringIO(newline="")
        csv.DictWriter(text, self._columns, lineterminator="\n").writerows(rows)
        return text.getvalue()
