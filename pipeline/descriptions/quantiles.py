"""From numbers to levels: quantiles of the training clips of the same speaker, gender or corpus.

A clip's number is held against those of its speaker's training clips. Where these are fewer than
`least_clips`, as they are of everybody outside train, against those of the same gender in its
corpus, then of the corpus, then of all. Each slot looks for the first of them that has enough
numbers, and numbers that are not all alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from pipeline.descriptions.config import CORPUS, GENDER, SPEAKER, DescribeConfig
from pipeline.descriptions.slots import Levels
from pipeline.errors import ManifestError

ALL = "all"
KINDS = (SPEAKER, GENDER, CORPUS, ALL)  # from the closest
NONE = -1


@dataclass(frozen=True, kw_only=True)
class Group:
    """Training clips that others are held against.

    Attributes:
        kind: One of `KINDS`.
        corpus: Of the clips, "" for all.
        name: The speaker or gender, "" for a corpus and for all.
        num_clips: How many they are.
        cuts: Of each slot that they tell, the four numbers between its five levels.
    """

    kind: str
    corpus: str
    name: str
    num_clips: int
    cuts: dict[str, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Cuts of every group, and the clips that they are of.

    Attributes:
        ids: utterance_id of the training clips.
        groups: The groups that have cuts.
    """

    ids: tuple[str, ...]
    groups: tuple[Group, ...]

    def levels(self, numbers: pd.DataFrame, table: pd.DataFrame) -> tuple[list[Levels], list[str]]:
        """Return the levels of each clip, and the kind of group that most of them are against.

        Args:
            numbers: A column for each slot, NaN where a clip has none, (N, slots).
            table: Columns of the same clips in a manifest.

        Returns:
            Slot and level of each clip, and one of `KINDS` each, "" for a clip without levels.
        """
        members = {kind: _members(table, kind) for kind in KINDS}
        values = numbers.to_numpy(np.float64)
        levels = np.full(values.shape, NONE)
        against = np.full(values.shape, NONE)
        for group in sorted(self.groups, key=lambda one: -KINDS.index(one.kind)):
            rows = members[group.kind].get((group.corpus, group.name), np.zeros(0, np.int64))
            for slot, cuts in group.cuts.items():
                column = list(numbers.columns).index(slot)
                mine = rows[~np.isnan(values[rows, column])]
                # A number that equals a cut is below it.
                levels[mine, column] = np.searchsorted(cuts, values[mine, column], side="left")
                against[mine, column] = KINDS.index(group.kind)
        found: list[Levels] = [
            {slot: level for slot, level in zip(numbers.columns, row, strict=True) if level != NONE}
            for row in levels.tolist()
        ]
        return found, [_commonest(row) for row in against]

    @property
    def record(self) -> dict[str, Any]:
        """What `from_record` makes the same fit of, as JSON has it."""
        groups = [
            {
                "kind": group.kind,
                "corpus": group.corpus,
                "name": group.name,
                "num_clips": group.num_clips,
                "cuts": {slot: list(cuts) for slot, cuts in group.cuts.items()},
            }
            for group in self.groups
        ]
        return {"ids": list(self.ids), "groups": groups}

    @classmethod
    def from_record(cls, record: Any) -> "Fit":
        """Return the fit that `record` is of."""
        groups = (
            Group(**{**one, "cuts": {slot: tuple(cuts) for slot, cuts in one["cuts"].items()}})
            for one in record["groups"]
        )
        return cls(ids=tuple(record["ids"]), groups=tuple(groups))


def fit_quantiles(
    where: str, numbers: pd.DataFrame, table: pd.DataFrame, config: DescribeConfig
) -> Fit:
    """Fit cuts to the training clips that have numbers.

    Args:
        where: The manifest and fold, for messages.
        numbers: A column for each slot, NaN where a clip has none, (N, slots).
        table: Columns of the same clips in a manifest.
        config: Against what, and where levels end.

    Raises:
        ManifestError: If too few training clips have numbers.
    """
    trains = (table["split"] == "train") & numbers.notna().any(axis=1)
    groups = tuple(_groups(numbers[trains], table[trains], config))
    if not any(group.kind == ALL for group in groups):
        raise ManifestError(
            f"{where}: {int(trains.sum())} training clips have numbers that differ, wanted "
            f"{config.least_clips} to tell levels by; fill the split with 'genser split', or lower "
            "describe.least_clips."
        )
    return Fit(ids=tuple(sorted(table.loc[trains, "utterance_id"])), groups=groups)


def _groups(numbers: pd.DataFrame, table: pd.DataFrame, config: DescribeConfig) -> Iterator[Group]:
    for kind in KINDS[KINDS.index(config.against) :]:
        for (corpus, name), rows in sorted(_members(table, kind).items()):
            mine = numbers.iloc[rows]
            cuts = {slot: _cuts(mine[slot].dropna(), config) for slot in mine.columns}
            told = {slot: found for slot, found in cuts.items() if found}
            if told:
                yield Group(kind=kind, corpus=corpus, name=name, num_clips=len(rows), cuts=told)


def _cuts(values: pd.Series, config: DescribeConfig) -> tuple[float, ...]:
    """Return the cuts of numbers; nothing where they are too few, or hardly differ."""
    if len(values) < config.least_clips:
        return ()
    cuts = tuple(np.quantile(values.to_numpy(np.float64), config.quantiles).tolist())
    return cuts if cuts[0] < cuts[-1] else ()


def _members(table: pd.DataFrame, kind: str) -> dict[tuple[str, str], np.ndarray]:
    """Return the rows of each group of a kind, by corpus and name; the nameless have no group."""
    is_named = kind in (SPEAKER, GENDER)
    if is_named and kind not in table.columns:
        return {}
    keys = pd.DataFrame(
        {
            "corpus": "" if kind == ALL else table["corpus"],
            "name": table[kind] if is_named else "",
        },
        index=table.index,
    )
    found = cast("dict[tuple[str, str], np.ndarray]", keys.groupby(["corpus", "name"]).indices)
    return {key: rows for key, rows in found.items() if key[1] or not is_named}


def _commonest(kinds: np.ndarray) -> str:
    """Return the kind that most slots are against, the closest of several, "" without any."""
    told = kinds[kinds != NONE]
    return KINDS[np.bincount(told).argmax()] if len(told) else ""
