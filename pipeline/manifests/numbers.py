"""Labels that are numbers, such as arousal from 1 to 7: each a mixture of the ends of its scale.

A head of two classes learns the shares (1 - u, u) of the low and the high end, u = 0 and 1 at the
least and the greatest value of the training rows. Nothing but the scale knows of units.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

ENDS = ("low", "high")
THIRDS = ("low third", "middle third", "high third")


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The values that stand for the two ends, in the units of the labels; low < high."""

    low: float
    high: float

    def positions(self, values: np.ndarray) -> np.ndarray:
        """Return u = (value - low) / (high - low), float64, shape (N,)."""
        found: np.ndarray = (values - self.low) / (self.high - self.low)
        return found

    def shares(self, values: np.ndarray) -> np.ndarray:
        """Return how much of each end a value is, float32, shape (N, 2); of NaN nothing of either.

        Beyond the ends one share is below 0 and one above 1.
        """
        u = self.positions(values)
        found: np.ndarray = np.nan_to_num(np.stack([1 - u, u], axis=1)).astype(np.float32)
        return found

    def values(self, positions: np.ndarray) -> np.ndarray:
        """Return the values at positions u, 0 at the low end and 1 at the high one, shape (N,)."""
        found: np.ndarray = self.low + (self.high - self.low) * positions
        return found


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The labels of some rows.

    Attributes:
        scale: Of the training rows.
        values: In units of the labels, float64, NaN where a row has none, shape (N,).
    """

    scale: Scale
    values: np.ndarray

    def of(self, rows: np.ndarray) -> "Numbers":
        """Return those of some rows."""
        return Numbers(scale=self.scale, values=self.values[rows])

    @property
    def shares(self) -> np.ndarray:
        """Return them as shares of the ends, float32, shape (N, 2)."""
        return self.scale.shares(self.values)

    @property
    def positions(self) -> np.ndarray:
        """Return where they are on the scale, float64, shape (N,)."""
        return self.scale.positions(self.values)

    @property
    def nearer_ends(self) -> np.ndarray:
        """Return which end each is nearer to, as an index in `ENDS`, int64; -1 for none."""
        nearer = (self.shares[:, 1] >= 0.5).astype(np.int64)
        return np.where(np.isnan(self.values), -1, nearer)


def is_number(text: str) -> bool:
    """Say whether a text is a finite number in digits."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def as_numbers(names: pd.Series) -> np.ndarray:
    """Return numbers in digits as float64, shape (N,); NaN for ""."""
    return pd.to_numeric(names.where(names != "")).to_numpy(dtype=np.float64)


def thirds(names: pd.Series) -> pd.Series:
    """Return in which third of all each number is, as text; "" for "".

    For whatever counts or balances classes. Equal numbers are in one third.
    """
    values = as_numbers(names)
    known = ~np.isnan(values)
    found = np.full(len(names), "", dtype=object)
    if known.any():
        cuts = np.quantile(values[known], [1 / 3, 2 / 3])
        places = np.searchsorted(cuts, values[known], side="left")
        found[known] = np.array(THIRDS, dtype=object)[places]
    return pd.Series(found, index=names.index, dtype="str")
