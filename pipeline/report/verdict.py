"""The sentence that a report begins with: what was found, against what guessing and others get."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from pipeline.evaluation.bootstrap import Difference, Interval
from pipeline.evaluation.concordance import CCC, RMSE
from pipeline.evaluation.number_standings import NumberStandings
from pipeline.evaluation.standings import Standings


def verdict_of(found: Standings, *, where: str, baselines: Collection[str]) -> str:
    """Return the verdict on the first of some systems that tell classes apart.

    It is held against always saying the commonest class by accuracy, and against the best other
    system by UA, in the words of its paired difference.

    Args:
        found: All of them.
        where: What was scored.
        baselines: Those that were trained to compare with.
    """
    first = found.first
    wa, ua = first.scores["wa"], first.scores["ua"]
    chance = 1 / first.num_classes
    against = against_commonest(
        wa, first.majority_rate, where=where, ua=ua if ua.low > chance else None, chance=chance
    )
    others = {one.system: one.scores["ua"].value for one in found.overall[1:]}
    return f"{against}{_beside(found.comparisons, others, baselines, 'UA', ua.value)}."


def number_verdict_of(found: NumberStandings, *, where: str, baselines: Collection[str]) -> str:
    """Return the verdict on the first of some systems that say numbers, as `verdict_of`.

    It is held against always saying the mean by CCC, which is 0 for that, and by RMSE.
    """
    first = found.first
    ccc, rmse = first.scores[CCC], first.scores[RMSE]
    against = against_mean(ccc, rmse.value, first.label_sd, where=where)
    others = {one.system: one.scores[CCC].value for one in found.overall[1:]}
    return f"{against}{_beside(found.comparisons, others, baselines, 'CCC', ccc.value)}."


def crossval_verdict_of(
    standings: pd.DataFrame, comparisons: pd.DataFrame | None, *, where: str
) -> str:
    """Return the verdict on the first system of the tables that `genser crossval` wrote.

    Args:
        standings: A row for each system; those of single corpora are passed over.
        comparisons: Of the first with each other one; None where it is alone.
        where: What was tested.
    """
    overall = standings[standings["corpus"].isna() | (standings["corpus"] == "")]
    rows: list[Any] = overall.to_dict("records")
    first = rows[0]
    numbers = CCC in first
    score, label = (CCC, "CCC") if numbers else ("ua", "UA")
    own = _interval(first, score)
    if numbers:
        against = against_mean(own, first[RMSE], first["label_sd"], where=where)
    else:
        against = against_commonest(
            _interval(first, "wa"),
            first["majority_rate"],
            where=where,
            ua=own if own.low > first["chance"] else None,
            chance=first["chance"],
        )
    compared = {}
    if comparisons is not None:
        prefix = f"{CCC}_difference_" if numbers else ""
        for row in comparisons.to_dict("records"):
            difference = Interval(
                value=row[f"{score}_difference"],
                low=row[f"{prefix}low"],
                high=row[f"{prefix}high"],
                num_clusters=row["clusters"],
            )
            compared[row["second"]] = Difference(difference=difference, margin=row["margin"])
    others = {row["system"]: row[score] for row in rows[1:]}
    return f"{against}{_beside(compared, others, (), label, own.value)}."


def against_mean(ccc: Interval, rmse: float, label_sd: float, *, where: str) -> str:
    """Say where numbers stand against always saying the mean, whose CCC is 0.

    Args:
        ccc: Their concordance.
        rmse: Their error.
        label_sd: That of always saying the mean.
        where: What was scored.
    """
    against = f"Above always saying the mean on {where}: CCC {ccc.value:.3f} against 0"
    if ccc.low <= 0:
        against = (
            f"Not shown to be above always saying the mean on {where}: CCC {ccc.value:.3f} "
            f"[{ccc.low:.3f}, {ccc.high:.3f}] against 0"
        )
    if rmse > label_sd:
        against += f", though its RMSE is larger, {rmse:.3f} against {label_sd:.3f}"
    return against


def against_commonest(
    wa: Interval, commonest: float, *, where: str, ua: Interval | None = None, chance: float = 0.0
) -> str:
    """Say where an accuracy stands against that of always saying the commonest class.

    Args:
        wa: The accuracy.
        commonest: The share of the commonest class.
        where: What was scored.
        ua: The mean recall, if it is shown to be above chance: said where the accuracy is not above
            the commonest class.
        chance: 1 over the number of classes.
    """
    though = ua and f", though its UA is above chance, {ua.value:.3f} against {chance:.3f}"
    if wa.value < commonest:
        return (
            f"Below the commonest class on {where}: {wa.value:.3f} of the clips right against "
            f"{commonest:.3f}{though or ''}"
        )
    if wa.low <= commonest:
        return (
            f"Not shown to be above the commonest class on {where}: {wa.value:.3f} "
            f"[{wa.low:.3f}, {wa.high:.3f}] of the clips right against {commonest:.3f}"
            f"{though or ''}"
        )
    return (
        f"Above the commonest class on {where}: {wa.value:.3f} of the clips right against "
        f"{commonest:.3f}"
    )


def beside_best(one: Difference, name: str, score: str, own: float, other: float) -> str:
    """Say where a score stands against that of the best other system.

    Args:
        one: The paired difference, own minus other.
        name: What the other is called, e.g. "the best baseline, logreg".
        score: Of what, for a person.
        own: The score.
        other: The other's.
    """
    margin = ""
    if one.is_better:
        said = f"better than {name}"
    elif one.is_not_inferior:
        said, margin = f"as good as {name}", f", margin {one.margin:.3f}"
    elif one.difference.high < 0:
        said = f"worse than {name}"
    else:
        said = f"not shown to be better or worse than {name}"
    return f"; {said} ({score} {own:.3f} against {other:.3f}{margin})"


def _beside(
    comparisons: Mapping[str, Difference],
    others: Mapping[str, float],
    baselines: Collection[str],
    score: str,
    own: float,
) -> str:
    if not comparisons:
        return ""
    best = max(comparisons, key=others.__getitem__)
    name = f"the best {'baseline' if best in baselines else 'other system'}, {best}"
    return beside_best(comparisons[best], name, score, own, others[best])


def _interval(row: Mapping[str, Any], name: str) -> Interval:
    return Interval(
        value=row[name],
        low=row[f"{name}_low"],
        high=row[f"{name}_high"],
        num_clusters=row["clusters"],
    )
