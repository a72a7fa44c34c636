"""How systems cope with what their training was given: a row for each and each level of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import ends
from pipeline.evaluation.columns import class_order
from pipeline.evaluation.standings import comparison, standing
from pipeline.experiments.conditions import NEW_CLASS, Condition
from pipeline.experiments.plan import System

CONDITIONS = "conditions.csv"


def under_conditions(
    systems: Mapping[str, System], conditions: Iterable[Condition]
) -> dict[str, System]:
    """Return every system under every condition, by the name that it has there."""
    return {
        condition.named(name): replace(system, condition=condition)
        for condition in conditions
        for name, system in systems.items()
    }


def conditions_table(
    table: pd.DataFrame,
    names: Sequence[str],
    conditions: Sequence[Condition],
    *,
    cluster: str,
    margin: float,
) -> pd.DataFrame:
    """Return how every system did under every condition.

    Args:
        table: Predictions of them all, as `pipeline.evaluation.columns` has them.
        names: Of the systems without a condition; the first is compared with the others.
        conditions: Nothing among them.
        cluster: What intervals resample.
        margin: How much less UA still counts as not inferior.

    Returns:
        Texts: kind ("" for nothing), level, new_class, name (the system), system (under the
        condition) and verdict. Numbers with `_low` and `_high`: ua, wa, error_at_80 (where there
        are probabilities), difference (UA of the first system less this one's, both under the
        condition), and of a new class its recall, new_recall; known_recall is the mean of the
        other classes'. And clusters.

    Raises:
        PredictionsError: If systems were not scored on the same clips.
    """
    classes = class_order(table)
    rows = []
    for condition in conditions:
        first = condition.named(names[0])
        for name in names:
            system = condition.named(name)
            one = standing(table[table["system"] == system], classes, cluster=cluster)
            row: dict[str, object] = {
                "kind": condition.kind,
                "level": condition.level,
                "new_class": condition.new_class,
                "name": name,
                "system": system,
                **ends("ua", one.scores["ua"]),
                **ends("wa", one.scores["wa"]),
                **ends("error_at_80", one.abstained),
                **ends("difference", None),
                "verdict": "",
                **ends("new_recall", None),
                "known_recall": np.nan,
                "clusters": one.scores["ua"].num_clusters,
            }
            if condition.kind == NEW_CLASS:
                new = classes.index(condition.new_class)
                recalls = {
                    key: found.value
                    for key, found in one.scores.items()
                    if key.startswith("recall.") and key != f"recall.{new}"
                }
                row |= ends("new_recall", one.scores[f"recall.{new}"])
                row["known_recall"] = float(np.mean(list(recalls.values())))
            if system != first:
                found = comparison(table, first, system, classes, cluster=cluster, margin=margin)
                row |= {**ends("difference", found.difference), "verdict": found.verdict}
            rows.append(row)
    return pd.DataFrame(rows)
