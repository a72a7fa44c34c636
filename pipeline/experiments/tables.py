"""The tables of a cross-validation: standings, comparisons, and a matrix of corpora."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.evaluation.bootstrap import FEW_CLUSTERS
from pipeline.evaluation.standings import (
    PROBABILITY,
    class_order,
    comparison,
    standing,
    standings_by_corpus,
)
from pipeline.experiments.crossval import Run
from pipeline.files import publish_bytes
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.tables import write_csv
from pipeline.parquet import table_bytes
from pipeline.training.targets import about_rows

PREDICTIONS = "predictions.parquet"
STANDINGS, COMPARISONS, MATRIX = "standings.csv", "comparisons.csv", "matrix.csv"


def out_of_fold(
    runs: Sequence[Run], manifest: Manifest, label_map: LabelMap | None
) -> pd.DataFrame:
    """Return the tested, labelled rows of all runs as `pipeline.evaluation.standings` wants them.

    A class that a fold's head lacks has no probability there (NaN).
    """
    classes = list(dict.fromkeys(c for run in runs for c in run.predictions.classes))
    about = about_rows(manifest, classes, label_map)
    parts = []
    for run in runs:
        frame = run.predictions.table.to_pandas()
        frame = frame[frame["label"].notna() & frame["predicted"].notna()]
        told = [c for c in frame.columns if c.startswith(PROBABILITY)]
        frame = frame[["utterance_id", "label", "predicted", *told]].join(about, on="utterance_id")
        parts.append(frame.assign(system=run.system, fold=run.fold, seed=run.seed))
    table = pd.concat(parts, ignore_index=True)
    told = [c for c in table.columns if c.startswith(PROBABILITY)]
    first = ["system", "fold", "seed", "utterance_id", *about.columns]
    return table[[*first, "label", "predicted", *told]]


def write_tables(
    folder: Path,
    runs: Sequence[Run],
    manifest: Manifest,
    label_map: LabelMap | None,
    *,
    cluster: str,
    margin: float,
    is_matrix: bool,
) -> list[str]:
    """Write every table of a cross-validation.

    Returns:
        Lines for a person.

    Raises:
        OutputError: If something cannot be written.
    """
    table = out_of_fold(runs, manifest, label_map)
    publish_bytes(folder / PREDICTIONS, table_bytes(table))
    if is_matrix:
        return _write_matrix(folder, table, cluster)
    classes = class_order(table)
    systems = list(dict.fromkeys(table["system"]))
    found = {
        system: standing(table[table["system"] == system], classes, cluster=cluster)
        for system in systems
    }
    by_corpus = standings_by_corpus(table, classes, cluster=cluster)
    rows = [one.row(classes) for one in (*found.values(), *by_corpus)]
    write_csv(folder / STANDINGS, pd.DataFrame(rows))
    lines = []
    for system, one in found.items():
        ua, wa = one.scores["ua"], one.scores["wa"]
        lines.append(
            f"{system}: UA {ua.value:.3f} [{ua.low:.3f}, {ua.high:.3f}], "
            f"WA {wa.value:.3f} [{wa.low:.3f}, {wa.high:.3f}]"
        )
    compared = []
    for other in systems[1:]:
        result = comparison(table, systems[0], other, classes, cluster=cluster, margin=margin)
        difference = result.difference
        compared.append(
            {
                "first": systems[0],
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
            f"{systems[0]} - {other}: UA {difference.value:+.3f} "
            f"[{difference.low:+.3f}, {difference.high:+.3f}], {result.verdict}"
        )
    if compared:
        write_csv(folder / COMPARISONS, pd.DataFrame(compared))
    num = found[systems[0]].scores["ua"].num_clusters
    if num < FEW_CLUSTERS:
        lines.append(f"only {num} {cluster}s were resampled, so the ends of intervals say little")
    return [*lines, f"tables: {folder}"]


def _write_matrix(folder: Path, table: pd.DataFrame, cluster: str) -> list[str]:
    rows = []
    for (system, fold), part in table.groupby(["system", "fold"], sort=False):
        one = standing(part, class_order(part), cluster=cluster)
        target = part["corpus"].iloc[0]
        source = fold.removesuffix(f"-{target}")
        ua = one.scores["ua"]
        rows.append(
            {
                "system": system,
                "trained_on": source,
                "tested_on": target,
                "ua": ua.value,
                "ua_low": ua.low,
                "ua_high": ua.high,
                "wa": one.scores["wa"].value,
                "classes": one.num_classes,
                "clips": one.num_clips,
                "clusters": ua.num_clusters,
            }
        )
    found = pd.DataFrame(rows)
    write_csv(folder / MATRIX, found)
    shown = found.pivot(index=["system", "trained_on"], columns="tested_on", values="ua")
    return [*shown.to_string(float_format="%.3f", na_rep="-").splitlines(), f"tables: {folder}"]
