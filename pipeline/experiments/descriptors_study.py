"""The studies of emotion descriptors (arXiv 2505.23236), from a cross-validation.

What belongs together is found by what `systems.csv` says of each system, never by names. The whole
system has two branches behind bottlenecks, trained in two stages one after the other, and describes
before it names the emotion; of several that differ in beta alone it is the one with the paper's, or
the first. Its variants differ from it in parts (branches, bottleneck, stages, in any combination),
in beta, or in what stands before the emotion.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.evaluation.columns import class_order
from pipeline.evaluation.paired import Paired
from pipeline.experiments.compared import beside, num_folds, split_words, unknown_facts
from pipeline.experiments.system_files import IN_PHASES, NEVER, TWO_STAGES
from pipeline.experiments.token_study import Row, rows_of

HEAD = "descriptors"
PARTS, BETA, CONDITION = "parts", "beta", "condition"  # the tables
PREDICTED = "predicted"
ALL_SLOTS = "all"
BETAS = (1.0, 1e-4)  # of the paper, first and last
SHARED = ("views", "encoder", "layers", "language", "text_sources", "described_by")
VARIED = {
    PARTS: {"branches", "bottleneck", "stages"},
    BETA: {"beta_first", "beta_last"},
    CONDITION: {"condition"},
}


@dataclass(frozen=True, kw_only=True)
class DescriptorsStudy:
    """The tables, each empty where the cross-validation has nothing for it.

    Attributes:
        systems: Every system with its facts, `seconds_per_clip`, its scores on test, and what it
            has more than the reference.
        variants: `table`, `whole` (the system it is a variant of), `variant` (in words), and the
            columns of `systems`, its differences to `whole`.
        told: What is known of each beside: `slots` (their mean accuracy), each text score by name,
            and `<question>: <representation>`, the mean UA of its probes over runs; a row each.
        reference: What `systems` is compared to: the first whole system, else the first.
        corpora: That were scored.
        num_classes: C.
        split: Which clips were scored, in words.
        num_folds: They are of; None of a manifest's own split.
        num_clusters: That intervals resample.
    """

    systems: pd.DataFrame
    variants: pd.DataFrame
    told: pd.DataFrame
    reference: str
    corpora: tuple[str, ...]
    num_classes: int
    split: str
    num_folds: int | None
    num_clusters: int

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables that have rows, by name."""
        found = {"systems": self.systems, "variants": self.variants, "told": self.told}
        return {name: table for name, table in found.items() if len(table)}


def has_descriptors(systems: pd.DataFrame) -> bool:
    """Say whether any system is of the head descriptors."""
    return bool((systems["head"] == HEAD).any())


def study_descriptors(
    predictions: pd.DataFrame,
    systems: pd.DataFrame,
    seconds: Mapping[str, float],
    *,
    probes: pd.DataFrame,
    scores: pd.DataFrame,
    slots: pd.DataFrame,
    cluster: str,
) -> DescriptorsStudy:
    """Return every table of the studies.

    Args:
        predictions: The tested rows of all runs, as `pipeline.evaluation.columns` has them.
        systems: `systems.csv`.
        seconds: Of scoring a clip, of each system, as far as they are known.
        probes: `probes.csv`, empty without one.
        scores: `text_scores.csv`, likewise.
        slots: `slots.csv`, likewise.
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
    wholes = whole_systems(ours)
    reference = (wholes or ours)[0]["system"]
    return DescriptorsStudy(
        systems=pd.DataFrame([beside(row, reference, paired) for row in rows]),
        variants=pd.DataFrame(_variants(ours, wholes, paired)),
        told=pd.DataFrame([_told(row["system"], probes, scores, slots) for row in ours]),
        reference=reference,
        corpora=tuple(sorted(set(predictions["corpus"]))),
        num_classes=len(class_order(predictions)),
        split=split_words(predictions),
        num_folds=num_folds(predictions),
        num_clusters=paired.num_clusters,
    )


def whole_systems(ours: Sequence[Row]) -> list[Row]:
    """Return the systems that are as the paper proposes, one of those that differ in beta alone."""
    wanted = ("two", "yes", f"{TWO_STAGES} in {IN_PHASES}", PREDICTED)
    names = ("branches", "bottleneck", "stages", "condition")
    found = [row for row in ours if tuple(row[name] for name in names) == wanted]
    found.sort(key=lambda row: (row["beta_first"], row["beta_last"]) != BETAS)
    wholes: list[Row] = []
    for row in found:
        if not any(_differs_in(row, other) <= VARIED[BETA] for other in wholes):
            wholes.append(row)
    return wholes


def _variants(ours: Sequence[Row], wholes: Sequence[Row], paired: Paired) -> list[dict[str, Any]]:
    told = []
    for whole in wholes:
        for row in ours:
            differing = _differs_in(row, whole)
            for table, parts in VARIED.items():
                if differing <= parts:
                    place = {"table": table, "whole": whole["system"], "variant": _name(table, row)}
                    told.append({**place, **beside(row, whole["system"], paired)})
    return told


def _differs_in(row: Row, whole: Row) -> set[str]:
    """Return the facts that differ from those of a whole system, but for what a part lacks."""
    facts = {*SHARED, *(name for names in VARIED.values() for name in names)}
    if NEVER in (row["condition"], whole["condition"]):
        facts -= {"described_by"}
    if "no" in (row["bottleneck"], whole["bottleneck"]):
        facts -= VARIED[BETA]
    return {fact for fact in facts if row[fact] != whole[fact]}


def _name(table: str, row: Row) -> str:
    """Return what a variant is in a table, in words."""
    if table == CONDITION:
        return str(row["condition"])
    if table == BETA:
        first, last = row["beta_first"], row["beta_last"]
        return f"{first:g} throughout" if first == last else f"{first:g} to {last:g}"
    branches = f"{row['branches']} branch{'es' * (row['branches'] != 'one')}"
    bottleneck = "bottleneck" if row["bottleneck"] == "yes" else "no bottleneck"
    stages = str(row["stages"]).replace(TWO_STAGES, "two stages", 1)
    return f"{branches}, {bottleneck}, {stages}"


def _told(
    system: str, probes: pd.DataFrame, scores: pd.DataFrame, slots: pd.DataFrame
) -> Mapping[str, Any]:
    """Return what is known of a system beside its scores of classes."""
    told: dict[str, Any] = {"system": system}
    if len(slots):
        mine = slots[(slots["system"] == system) & (slots["slot"] == ALL_SLOTS)]
        told |= dict.fromkeys(["slots"] * len(mine), float(mine["accuracy"].mean()))
    if len(scores):
        mine = scores[scores["system"] == system]
        told |= dict(zip(mine["score"], mine["value"], strict=True))
    if len(probes):
        mine = probes[probes["system"] == system]
        asked = mine["question"] + ": " + mine["representation"]
        means = mine.groupby(asked, sort=False)["ua"].mean()
        told |= {str(name): value for name, value in means.items()}
    return told
