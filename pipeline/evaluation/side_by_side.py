"""Systems of one table side by side, whatever is measured: classes or numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import pandas as pd

from pipeline.errors import PredictionsError

S = TypeVar("S")  # how one system did; has the attribute `corpus`
C = TypeVar("C")  # two systems on the same clips


@dataclass(frozen=True, kw_only=True)
class SideBySide(Generic[S, C]):
    """How all systems of a table did, and how the first did against each other.

    Attributes:
        overall: Each system on all clips.
        by_corpus: Each system on each corpus; empty where there is only one.
        comparisons: Of the first system with each other one, by the other's name.
    """

    overall: list[S]
    by_corpus: list[S]
    comparisons: dict[str, C]

    @property
    def first(self) -> S:
        """The system that the others are compared with."""
        return self.overall[0]


def side_by_side(
    table: pd.DataFrame,
    standing: Callable[[pd.DataFrame], S],
    comparison: Callable[[str, str], C],
) -> SideBySide[S, C]:
    """Return how every system of a table did, in the order of the table.

    Args:
        table: Predictions of one or more systems, as `pipeline.evaluation.columns` has them.
        standing: Of the rows of one system.
        comparison: Of two systems by name.
    """
    first, *others = dict.fromkeys(table["system"])
    corpora = sorted(set(table["corpus"]))
    by_corpus: list[Any] = [
        replace(standing(part), corpus=str(corpus))  # type: ignore[type-var]
        for corpus in corpora
        for _, part in table[table["corpus"] == corpus].groupby("system", sort=False)
        if len(corpora) > 1
    ]
    return SideBySide(
        overall=[standing(table[table["system"] == system]) for system in (first, *others)],
        by_corpus=by_corpus,
        comparisons={other: comparison(first, other) for other in others},
    )


def common_rows(table: pd.DataFrame, first: str, second: str) -> list[pd.DataFrame]:
    """Return the rows of two systems on the clips that both have.

    Raises:
        PredictionsError: If there is no such clip, or one has another label for each of them.
    """
    mine, theirs = (table[table["system"] == system] for system in (first, second))
    shared = set(mine["utterance_id"]) & set(theirs["utterance_id"])
    if not shared:
        raise PredictionsError(f"{first} and {second} have no clip in common; score the same rows.")
    rows = [one[one["utterance_id"].isin(shared)] for one in (mine, theirs)]
    labels = [one.groupby("utterance_id")["label"].first() for one in rows]
    others = labels[0].index[labels[0] != labels[1]]
    if len(others):
        raise PredictionsError(
            f"{first} and {second} have other labels for {others[0]}; score the same task."
        )
    return rows


def seed_runs(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of each training seed of one system, sorted by utterance id.

    Raises:
        PredictionsError: If its seeds were not scored on the same clips.
    """
    runs = [part.sort_values("utterance_id") for _, part in table.groupby("seed")]
    ids = runs[0]["utterance_id"].tolist()
    if any(run["utterance_id"].tolist() != ids for run in runs):
        raise PredictionsError(
            f"{table['system'].iloc[0]}: its seeds were scored on different clips; score all again."
        )
    return runs
