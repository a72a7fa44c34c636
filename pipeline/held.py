"""Stored features that many trainings of one process have in common."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.dataset import StoredFeatures
from pipeline.quantisation.codebooks import MEANS


class _Asked(NamedTuple):
    """What is read of rows, by which it is found again."""

    view: str
    codes_as: str | None
    layers: tuple[int, ...] | None


class HeldFeatures(StoredFeatures):
    """Features that are read and checked once, when they are first asked for, and then held.

    What `of` and `only` return holds the same arrays, so memory is one copy of what is read of the
    rows, until `let_go`; frames that are streamed are not held.
    """

    def __init__(self, features: StoredFeatures, rows: np.ndarray) -> None:
        """Hold what is read of `rows`; what has other rows beside is read from the stores."""
        vars(self).update(vars(features))  # the stores are open, and the tables read
        self._held_rows = np.unique(rows)
        self._dense: dict[_Asked, np.ndarray] = {}
        self._ragged: dict[_Asked, list[np.ndarray]] = {}

    def dense(
        self,
        rows: np.ndarray,
        view: str,
        codes_as: str = MEANS,
        layers: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return an array of dense features, and where in it those of each of the rows are."""
        places = self._places(rows)
        if places is None:
            return super().dense(rows, view, codes_as, layers)
        asked = _Asked(view, codes_as, None if layers is None else tuple(layers))
        if asked not in self._dense:
            self._dense[asked] = self.read(self._held_rows, view, codes_as, layers)
        return self._dense[asked], places

    def ragged(
        self, rows: np.ndarray, view: str, layers: Sequence[int] | None = None
    ) -> list[np.ndarray]:
        """Return the frames or codes of rows, as `read_frames`."""
        places = self._places(rows)
        if places is None:
            return super().ragged(rows, view, layers)
        asked = _Asked(view, None, None if layers is None else tuple(layers))
        if asked not in self._ragged:
            self._ragged[asked] = self.read_frames(self._held_rows, view, layers)
        return [self._ragged[asked][place] for place in places]

    def let_go(self, views: Sequence[str]) -> None:
        """Hold no longer what is of other views than these."""
        for held in (self._dense, self._ragged):
            for asked in [asked for asked in held if asked.view not in views]:
                del held[asked]

    def _places(self, rows: np.ndarray) -> np.ndarray | None:
        """Return where rows stand among those held; None where one of them does not."""
        places = np.searchsorted(self._held_rows, rows)
        known = np.append(self._held_rows, -1)
        return places if np.array_equal(known[places], rows) else None
