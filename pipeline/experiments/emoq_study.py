"""The tables of EmoQ (arXiv 2509.15775), from a cross-validation.

What belongs together is found by what `systems.csv` says of each system, never by names. The whole
system reads frames and texts through queries and has stage 1 with both losses; its variants are
those that differ from it in one part and share all that this part leaves them. Scores are of test
rows, differences paired under the same draws.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.evaluation.columns import class_order
from pipeline.evaluation.paired import Paired
from pipeline.experiments.compared import beside, num_folds, split_words, unknown_facts
from pipeline.experiments.token_study import Row, rows_of

HEAD = "emoq"
INPUT, LOSSES, STAGE1 = "input", "losses", "stage1"  # Tables 4 to 6
QUERIES, POOLED, AUDIO, TEXT = "emoq", "both", "audio", "text"  # column `input` of this head
BOTH_LOSSES = "both"
WITH, WITHOUT = "with", "without"


@dataclass(frozen=True, kw_only=True)
class EmoQStudy:
    """The tables, each empty where the cross-validation has nothing for it.

    Attributes:
        systems: Every system with its facts, `seconds_per_clip`, its scores on test, and what it
            has more than the reference (`wa_difference` and so on, each with its ends).
        variants: Those of Tables 4 to 6: `table`, `whole` (the system it is a variant of, ""
            without one), `variant` (the value of what is varied), and the columns of `systems`,
            its differences to `whole`.
        reference: The first whole system, or the first of the head; what `systems` is compared to.
        corpora: That were scored.
        num_classes: C.
        split: Which clips were scored, in words.
        num_folds: They are of; None of a manifest's own split.
        num_clusters: That intervals resample.
    """

    systems: pd.DataFrame
    variants: pd.DataFrame
    reference: str
    corpora: tuple[str, ...]
    num_classes: int
    split: str
    num_folds: int | None
    num_clusters: int

    @property
    def has_whole(self) -> bool:
        """Whether there is a whole system to compare with."""
        return bool((self.variants["whole"] != "").any())

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables that have rows, by name."""
        found = {"systems": self.systems, "variants": self.variants}
        return {name: table for name, table in found.items() if len(table)}


def has_emoq(systems: pd.DataFrame) -> bool:
    """Say whether any system is of the head emoq."""
    return bool((systems["head"] == HEAD).any())


def study_emoq(
    predictions: pd.DataFrame,
    systems: pd.DataFrame,
    seconds: Mapping[str, float],
    *,
    cluster: str,
) -> EmoQStudy:
    """Return every table of the study.

    Args:
        predictions: The tested rows of all runs, as `pipeline.evaluation.columns` has them.
        systems: `systems.csv`; a system that it lacks is shown without facts.
        seconds: Of scoring a clip, of each system, as far as they are known.
        cluster: What intervals resample.

    Raises:
        PredictionsError: If systems were not scored on the same clips.
    """
    paired = Paired(predictions, cluster=cluster)
    known = {row["system"]: row for row in rows_of(systems)}
    rows = [
        {
            **(known.get(name) or unknown_facts(name)),
            "seconds_per_clip": float(seconds.get(name, math.nan)),
        }
        for name in paired.systems
    ]
    ours = [row for row in rows if row["head"] == HEAD]
    wholes = [row for row in ours if is_whole(row)]
    reference = (wholes or ours)[0]["system"]
    return EmoQStudy(
        systems=pd.DataFrame([beside(row, reference, paired) for row in rows]),
        variants=pd.DataFrame(_variants(ours, wholes, paired)),
        reference=reference,
        corpora=tuple(sorted(set(predictions["corpus"]))),
        num_classes=len(class_order(predictions)),
        split=split_words(predictions),
        num_folds=num_folds(predictions),
        num_clusters=paired.num_clusters,
    )


def is_whole(row: Row) -> bool:
    """Say whether a system of the head is the one that the paper proposes."""
    both = row["input"] == QUERIES and row["mal"] == BOTH_LOSSES
    return bool(both and row["stage1_steps"] > 0)


def _variants(ours: Sequence[Row], wholes: Sequence[Row], paired: Paired) -> list[dict[str, Any]]:
    told = []
    firsts: list[Row] = []
    for whole in wholes:
        # Two that systems.csv cannot tell apart stand in one table.
        if not any(_differs_in(whole, first) == set() for first in firsts):
            firsts.append(whole)
    for whole in firsts:
        for row in ours:
            differing = _differs_in(row, whole)
            for table, variant in _places(row, differing):
                place = {"table": table, "whole": whole["system"], "variant": variant}
                told.append({**place, **beside(row, whole["system"], paired)})
    if not wholes:
        told = [
            {"table": INPUT, "whole": "", "variant": row["input"], **beside(row, "", paired)}
            for row in ours
        ]
    return told


def _places(row: Row, differing: set[str]) -> list[tuple[str, str]]:
    """Return the tables that a system is in, by what it differs in, and as what."""
    places = []
    if differing <= {"input"}:
        places.append((INPUT, str(row["input"])))
    if differing <= {"mal"}:
        places.append((LOSSES, str(row["mal"])))
    is_without = row["stage1_steps"] == 0 and differing == {"mal", "stage1_steps"}
    if is_without or not differing:
        places.append((STAGE1, WITHOUT if is_without else WITH))
    return places


def _differs_in(row: Row, whole: Row) -> set[str]:
    """Return the facts that differ from those of a whole system, but for what an input lacks."""
    facts = ["input", "language"]
    if row["input"] != TEXT:
        facts += ["views", "encoder", "layers"]
    if row["input"] in (QUERIES, AUDIO):
        facts += ["former", "mal", "stage1_steps"]
    if row["input"] != AUDIO:
        facts += ["text_sources"]
    return {fact for fact in facts if row[fact] != whole[fact]}
