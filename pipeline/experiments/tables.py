"""The tables of a cross-validation: standings, comparisons, and a matrix of corpora."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.evaluation.abstention import abstention_table
from pipeline.evaluation.bootstrap import FEW_CLUSTERS, ends
from pipeline.evaluation.columns import (
    are_numbers,
    class_order,
    labelled_rows,
    probability_columns,
)
from pipeline.evaluation.concordance import CCC, PEARSON, RMSE
from pipeline.evaluation.number_standings import number_standing, number_standings_of
from pipeline.evaluation.standings import standing, standings_of
from pipeline.experiments.condition_tables import CONDITIONS, conditions_table
from pipeline.experiments.conditions import Condition
from pipeline.experiments.plan import DEV, Run
from pipeline.files import publish_bytes
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.tables import write_csv
from pipeline.parquet import table_bytes
from pipeline.training.targets import about_rows

PREDICTIONS = "predictions.parquet"
STANDINGS, COMPARISONS, MATRIX = "standings.csv", "comparisons.csv", "matrix.csv"
DEV_SCORES, ABSTENTION = "dev.csv", "abstention.csv"


def out_of_fold(
    runs: Sequence[Run], manifest: Manifest, label_map: LabelMap | None
) -> pd.DataFrame:
    """Return the tested, labelled rows of all runs as `pipeline.evaluation.columns` has them.

    A class that a fold's head lacks has no probability there (NaN). The numbers that heads say
    besides come last, NaN for a head that does not say them.
    """
    classes = list(dict.fromkeys(c for run in runs for c in run.predictions.classes))
    about = about_rows(manifest, classes, label_map)
    parts = []
    besides: dict[str, None] = {}
    for run in runs:
        whole = run.predictions.frame
        numbers = whole[run.predictions.extras].select_dtypes("number")
        frame = labelled_rows(whole).join(numbers).join(about, on="utterance_id")
        besides |= dict.fromkeys(numbers.columns)
        parts.append(frame.assign(system=run.system, fold=run.fold, seed=run.seed))
    table = pd.concat(parts, ignore_index=True)
    first = ["system", "fold", "seed", "utterance_id", *about.columns]
    return table[[*first, "label", "predicted", *probability_columns(table), *besides]]


def dev_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the scores on dev of each run's head, as far as they are known.

    Returns:
        One row for each run: system, fold, seed, and each score as `dev_<name>`.
    """
    rows = []
    for run in runs:
        scores: Any = run.predictions.metadata.get(DEV) or {}
        told = {f"dev_{name}": value for name, value in sorted(scores.items())}
        rows.append({"system": run.system, "fold": run.fold, "seed": run.seed, **told})
    return pd.DataFrame(rows)


def write_tables(
    folder: Path,
    runs: Sequence[Run],
    manifest: Manifest,
    label_map: LabelMap | None,
    *,
    cluster: str,
    margin: float,
    is_matrix: bool,
    conditions: Sequence[Condition] = (),
    names: Sequence[str] = (),
) -> list[str]:
    """Write every table of a cross-validation.

    Args:
        folder: Where to.
        runs: Of all systems.
        manifest: Of all folds.
        label_map: Of the task.
        cluster: What intervals resample.
        margin: How much less UA, or CCC of numbers, still counts as not inferior.
        is_matrix: Whether corpora were crossed.
        conditions: Under which the systems were trained, nothing among them.
        names: Of the systems without a condition.

    Returns:
        Lines for a person.

    Raises:
        OutputError: If something cannot be written.
    """
    table = out_of_fold(runs, manifest, label_map)
    publish_bytes(folder / PREDICTIONS, table_bytes(table))
    write_csv(folder / DEV_SCORES, dev_table(runs))
    if is_matrix:
        return _write_matrix(folder, table, cluster)
    for table_of_before in (CONDITIONS, ABSTENTION):
        (folder / table_of_before).unlink(missing_ok=True)
    if len(conditions) > 1:
        coped = conditions_table(table, names, conditions, cluster=cluster, margin=margin)
        write_csv(folder / CONDITIONS, coped)
    if are_numbers(table):
        return _write_numbers(folder, table, cluster=cluster, margin=margin)
    found = standings_of(table, cluster=cluster, margin=margin)
    write_csv(folder / STANDINGS, found.table())
    left = abstention_table(table, cluster=cluster)
    if not left.empty:
        write_csv(folder / ABSTENTION, left)
    lines = []
    for one in found.overall:
        ua, wa = one.scores["ua"], one.scores["wa"]
        lines.append(
            f"{one.system}: UA {ua.value:.3f} [{ua.low:.3f}, {ua.high:.3f}], "
            f"WA {wa.value:.3f} [{wa.low:.3f}, {wa.high:.3f}]"
        )
    compared = []
    first = found.first.system
    for other, result in found.comparisons.items():
        difference = result.difference
        compared.append(
            {
                "first": first,
                "second": other,
                "ua_difference": difference.value,
                "low": difference.low,
                "high": difference.high,
                "margin": margin,
                "verdict": result.verdict,
                "mcnemar_p": result.mcnemar_p,
                "only_first": result.only_first,
                "only_second": result.only_second,
                "clusters": difference.num_clusters,
            }
        )
        lines.append(
            f"{first} - {other}: UA {difference.value:+.3f} "
            f"[{difference.low:+.3f}, {difference.high:+.3f}], {result.verdict}"
        )
    if compared:
        write_csv(folder / COMPARISONS, pd.DataFrame(compared))
    return [*lines, *_ending(folder, found.first.scores["ua"].num_clusters, cluster)]


def _write_numbers(folder: Path, table: pd.DataFrame, *, cluster: str, margin: float) -> list[str]:
    found = number_standings_of(table, cluster=cluster, margin=margin)
    write_csv(folder / STANDINGS, found.table())
    lines = []
    for one in found.overall:
        ccc, rmse = one.scores[CCC], one.scores[RMSE]
        lines.append(
            f"{one.system}: CCC {ccc.value:.3f} [{ccc.low:.3f}, {ccc.high:.3f}], "
            f"RMSE {rmse.value:.3f} [{rmse.low:.3f}, {rmse.high:.3f}]"
        )
    for other, result in found.comparisons.items():
        gain = result.difference
        lines.append(
            f"{found.first.system} - {other}: CCC {gain.value:+.3f} [{gain.low:+.3f}, "
            f"{gain.high:+.3f}], {result.verdict}"
        )
    if found.comparisons:
        write_csv(folder / COMPARISONS, found.comparisons_table())
    return [*lines, *_ending(folder, found.first.scores[CCC].num_clusters, cluster)]


def _ending(folder: Path, num_clusters: int, cluster: str) -> list[str]:
    few = (
        f"only {num_clusters} {cluster}s were resampled, so the ends of intervals say little"
        if num_clusters < FEW_CLUSTERS
        else ""
    )
    return [*([few] if few else []), f"tables: {folder}"]


def _write_matrix(folder: Path, table: pd.DataFrame, cluster: str) -> list[str]:
    score, cells = (CCC, _number_cells) if are_numbers(table) else ("ua", _class_cells)
    rows = []
    for (system, fold), part in table.groupby(["system", "fold"], sort=False):
        target = part["corpus"].iloc[0]
        source = str(fold).removesuffix(f"-{target}")
        of_pair = {"system": system, "trained_on": source, "tested_on": target}
        rows.append({**of_pair, **cells(part, cluster)})
    found = pd.DataFrame(rows)
    write_csv(folder / MATRIX, found)
    shown = found.pivot(index=["system", "trained_on"], columns="tested_on", values=score)
    return [*shown.to_string(float_format="%.3f", na_rep="-").splitlines(), f"tables: {folder}"]


def _class_cells(part: pd.DataFrame, cluster: str) -> dict[str, float]:
    one = standing(part, class_order(part), cluster=cluster)
    return {
        **ends("ua", one.scores["ua"]),
        "wa": one.scores["wa"].value,
        "classes": one.num_classes,
        "clips": one.num_clips,
        "clusters": one.scores["ua"].num_clusters,
    }


def _number_cells(part: pd.DataFrame, cluster: str) -> dict[str, float]:
    one = number_standing(part, cluster=cluster)
    return {
        **ends(CCC, one.scores[CCC]),
        PEARSON: one.scores[PEARSON].value,
        RMSE: one.scores[RMSE].value,
        "label_sd": one.label_sd,
        "clips": one.num_clips,
        "clusters": one.scores[CCC].num_clusters,
    }
