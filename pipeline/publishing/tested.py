"""What a card says beside the head itself: its scores, and the licences of its corpora."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.corpora.catalogue import all_importers
from pipeline.errors import PredictionsError
from pipeline.evaluation.number_standings import NumberStanding, number_standing
from pipeline.evaluation.standings import Standing, standings_of
from pipeline.heads.saved import TrainedHead
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.publishing.card import Tested
from pipeline.report.tables import prediction_table
from pipeline.scoring.predictions import CONTAMINATED, Predictions


def tested_of(
    trained: TrainedHead,
    path: Path,
    predictions: Predictions,
    manifest: Manifest | None,
    label_map: LabelMap | None,
    *,
    split: str,
    cluster: str,
) -> Tested:
    """Return what a head reached.

    Args:
        trained: The head.
        path: Of its predictions, for messages.
        predictions: What it said.
        manifest: That was scored; None resamples clips.
        label_map: Of the task.
        split: The rows that are looked at.
        cluster: What intervals resample where there is a manifest.

    Raises:
        PredictionsError: If another head said it, or no row can be looked at.
    """
    said_by = str(predictions.metadata.get("head"))
    if said_by != trained.digest:
        raise PredictionsError(
            f"{path}: of the head {said_by[:12]}, wanted {trained.digest[:12]}, which is "
            "published; score with that head."
        )
    table = prediction_table({"head": predictions}, split, manifest, label_map)
    cluster = "clip" if manifest is None else cluster
    if trained.record.scale is not None:
        standing: Standing | NumberStanding = number_standing(table, cluster=cluster)
    else:
        standing = standings_of(table, cluster=cluster, margin=0.0).first
    notes = []
    if known := predictions.metadata.get(CONTAMINATED):
        notes.append(f"Contaminated: the model behind the features was trained on {known}.")
    if predictions.metadata.get("transductive"):
        notes.append("Transductive: clips were standardised by what was scored beside them.")
    return Tested(
        standing=standing,
        split=split,
        corpora=sorted({str(name) for name in table["corpus"] if name}),
        cluster=cluster,
        notes=notes,
    )


def licences_of(corpora: Iterable[str]) -> dict[str, str]:
    """Return the terms of the corpora that genser, or another package, knows.

    Raises:
        PluginError: If what another package adds cannot be used.
    """
    known = {one.corpus or one.name: one.licence for one in all_importers().values()}
    return {name: known[name] for name in corpora if name in known}
