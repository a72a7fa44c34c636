"""Bad rows of a table, gathered before anything is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import SHOWN, ManifestError, first_ten


class Problems:
    """Collects what is wrong with the rows of one file."""

    def __init__(self, path: Path, first_row: int) -> None:
        self.path = path
        self.first_row = first_row
        self.count = 0
        self._shown: list[tuple[int, str]] = []

    def add(self, bad: pd.Series, describe: Callable[[int], str]) -> None:
        """Note the rows where `bad` holds; `describe` says of a position what is wrong there."""
        positions = np.flatnonzero(bad.to_numpy())
        self.count += len(positions)
        for position in positions[:SHOWN]:
            self._shown.append((int(position), describe(int(position))))

    def raise_if_any(self, cure: str) -> None:
        """Refuse the file if a row is bad.

        Raises:
            ManifestError: With the first ten by row, how many more, and the cure.
        """
        if not self.count:
            return
        lines = [f"{self.path}:{self.first_row + i}: {text}" for i, text in sorted(self._shown)]
        if self.count == 1:
            raise ManifestError(f"{lines[0]}; {cure}.")
        head = f"{self.path}: {self.count} faults in its rows; {cure}:"
        raise ManifestError("\n  ".join([head, *first_ten(lines, self.count)]))
