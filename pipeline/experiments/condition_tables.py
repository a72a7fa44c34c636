"""How systems cope with what their training was given: a row for each and each level of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import Difference, ends
from pipeline.evaluation.columns import are_numbers, class_order
from pipeline.evaluation.concordance import CCC, RMSE
from pipeline.evaluation.number_standings import number_comparison, number_standing
from pipeline.evaluation.standings import comparison, standing
from pipeline.experiments.conditions import NEW_CLASS, Condition
from pipeline.experiments.plan import System

CONDITIONS = "conditions.csv"

Cells = dict[str, Any]


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
        margin: How much less UA, or CCC of numbers, still counts as not inferior.

    Returns:
        Texts: kind ("" for nothing), level, new_class, name (the system), system (under the
        condition) and verdict. Numbers with `_low` and `_high`: ua, wa, error_at_80 (where there
        are probabilities), difference (UA of the first system less this one's, both under the
        condition), and of a new class its recall, new_recall; known_recall is the mean of the
        other classes'. And clusters. Of numbers ccc and rmse stand for ua, wa and error_at_80, and
        the difference is of CCC.

    Raises:
        PredictionsError: If systems were not scored on the same clips.
    """
    classes = None if are_numbers(table) else class_order(table)
    rows = []
    for condition in conditions:
        first = condition.named(names[0])
        for name in names:
            system = condition.named(name)
            mine = table[table["system"] == system]
            found: Difference | None = None
            if classes is None:
                scores, last = _of_numbers(mine, cluster)
                if system != first:
                    found = number_comparison(table, first, system, cluster=cluster, margin=margin)
            else:
                scores, last = _of_classes(mine, classes, condition, cluster)
                if system != first:
                    found = comparison(
                        table, first, system, classes, cluster=cluster, margin=margin
                    )
            rows.append(
                {
                    "kind": condition.kind,
                    "level": condition.level,
                    "new_class": condition.new_class,
                    "name": name,
                    "system": system,
                    **scores,
                    **ends("difference", found.difference if found else None),
                    "verdict": found.verdict if found else "",
                    **last,
                }
            )
    return pd.DataFrame(rows)


def _of_numbers(mine: pd.DataFrame, cluster: str) -> tuple[Cells, Cells]:
    """Return the cells of one system before and behind its comparison."""
    scores = number_standing(mine, cluster=cluster).scores
    told = {**ends(CCC, scores[CCC]), **ends(RMSE, scores[RMSE])}
    return told, {"clusters": scores[CCC].num_clusters}


def _of_classes(
    mine: pd.DataFrame, classes: Sequence[str], condition: Condition, cluster: str
) -> tuple[Cells, Cells]:
    """Return the cells of one system before and behind its comparison."""
    one = standing(mine, classes, cluster=cluster)
    new_recall, known_recall = None, np.nan
    if condition.kind == NEW_CLASS:
        new = f"recall.{classes.index(condition.new_class)}"
        known = {key: found.value for key, found in one.scores.items() if key.startswith("recall.")}
        del known[new]
        new_recall, known_recall = one.scores[new], float(np.mean(list(known.values())))
    told = {
        **ends("ua", one.scores["ua"]),
        **ends("wa", one.scores["wa"]),
        **ends("error_at_80", one.abstained),
    }
    last = {
        **ends("new_recall", new_recall),
        "known_recall": known_recall,
        "clusters": one.scores["ua"].num_clusters,
    }
    return told, last
