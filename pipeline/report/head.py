"""What a trained head has to show: how it learned, what each layer knows, a clip on its way."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.dataset import StoredFeatures
from pipeline.evaluation.columns import ALL_SPLITS, clusters_of, rows_of_split
from pipeline.experiments.head_probes import has_representations, is_split_of, probe_head
from pipeline.experiments.path_study import STEPS, sampling_table, trace_clip
from pipeline.experiments.probing import probe_layers
from pipeline.figures.curves import draw_learning_curve
from pipeline.figures.lines import draw_scores
from pipeline.figures.transport import draw_transport
from pipeline.heads.folder import read_head_record
from pipeline.heads.genser import GenSER
from pipeline.heads.saved import TrainedHead, load_head
from pipeline.manifests.labels import UNLABELLED, LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.tables import write_csv
from pipeline.progress import Reporter
from pipeline.report.head_probe import head_probe_section
from pipeline.report.making import kept_step
from pipeline.report.page import Picture, Section
from pipeline.report.probe import PICTURE as PROBE_PICTURE
from pipeline.report.probe import compared_by, write_probe
from pipeline.report.published_genser import MELD
from pipeline.report.tables import steps_table
from pipeline.scoring.score import ScoreConfig, features_of, label_indices, open_clips, score_clips
from pipeline.store.views import LAYERS
from pipeline.training.curves import read_curves
from pipeline.training.rows import TrainingRows, choose_rows


def head_sections(
    folder: Path,
    head: Path,
    manifest: Manifest | None,
    stores: Mapping[str, Path],
    *,
    split: str,
    cluster: str,
    score: ScoreConfig,
    device: str,
    reporter: Reporter,
    label_map: LabelMap | None = None,
) -> list[Section]:
    """Return what a head's folder, and its features if they are given, have to show.

    Args:
        folder: Of the report.
        head: Folder of the head.
        manifest: That was scored.
        stores: Of its features, by corpus; without them only the learning curves are shown.
        split: Whose rows are scored.
        cluster: What intervals resample.
        score: How heads are scored.
        device: A torch device.
        reporter: Hears of the layers.
        label_map: Of the manifest's labels; None takes the head's own.

    Raises:
        HeadError: If the head is damaged, or of other features.
        FeatureStoreError: If a store is damaged.
    """
    trained = load_head(head, device)
    sections = [learning_section(folder, head, trained)]
    if not stores or manifest is None:
        return sections
    features = features_of(trained, manifest, stores)
    known = trained.record.label_map if label_map is None else label_map
    has_own_parts = {"train", "dev"} <= set(manifest.table["split"])
    if LAYERS in features.views and has_own_parts:
        chosen = choose_rows(
            manifest, features, task=trained.task, label_map=known, allow_overlap=True
        )
        sections.append(layer_section(folder, features, chosen, reporter))
    if trained.record.scale is not None:
        return sections  # what follows counts classes
    is_part = split not in ("train", ALL_SPLITS) and has_own_parts
    if has_representations(trained.head) and is_part and is_split_of(features, trained):
        found = probe_head(features, trained, split, device=device, reporter=reporter)
        if len(found):
            name = trained.record.kind
            sections.append(head_probe_section(folder, found, name=name, part=split))
    labels = label_indices(manifest, trained, known)
    sections += sampling_sections(
        folder,
        trained,
        features,
        labels,
        split=split,
        cluster=cluster,
        score=score,
        device=device,
    )
    return sections


def encoder_of(head: Path) -> str:
    """Return the spelling of the encoder that a head's features are from."""
    return read_head_record(head).encoder


def language_of(head: Path) -> str:
    """Return the spelling of a head's language model, "none" of one that has none."""
    return str(read_head_record(head).facts.get("language") or "none")


def learning_section(folder: Path, head: Path, trained: TrainedHead) -> Section:
    """Return the learning curves of a head's folder; without steps there is nothing to draw.

    Raises:
        HeadError: If the folder has lost them, or they are damaged.
    """
    curves = read_curves(head)
    path = folder / "learning.png"
    pictures = []
    kept = "it was fitted to them at once, without steps"
    if not trained.head.fits_at_once:
        kept = kept_step(trained.record)
        draw_learning_curve(path, curves, title=f"{trained.record.kind} on {trained.task}")
        caption = "Above the training loss, below the scores on dev, over the steps."
        pictures = [Picture(caption=caption, path=path)]
    return Section(
        title="How it learned",
        texts=[
            f"{trained.record.num_train} clips were trained on; {kept}. Dev has "
            f"{trained.record.num_dev} clips."
        ],
        pictures=pictures,
    )


def layer_section(
    folder: Path, features: StoredFeatures, rows: TrainingRows, reporter: Reporter
) -> Section:
    """Probe every layer on dev, and show which know the task."""
    table = probe_layers(features, rows, reporter=reporter)
    write_probe(folder, table, len(rows.classes), title="Each layer alone")
    column, name = compared_by(table)
    best = table.iloc[table[column].argmax()]
    kind, floor = ("logistic", "chance") if rows.numbers is None else ("ridge", "always the mean")
    return Section(
        title="What each layer knows",
        texts=[
            f"A {kind} regression on one layer at a time, trained on train, scored on dev: layer "
            f"{best['layer']:.0f} alone reaches {best[column]:.3f}."
        ],
        pictures=[
            Picture(
                caption=f"{name} on dev of a {kind} regression on each layer alone; dashed: "
                f"{floor}.",
                path=folder / PROBE_PICTURE,
            )
        ],
    )


def sampling_sections(
    folder: Path,
    trained: TrainedHead,
    features: StoredFeatures,
    labels: np.ndarray,
    *,
    split: str,
    cluster: str,
    score: ScoreConfig,
    device: str,
) -> list[Section]:
    """Return Gen-SER's Table 3 and Fig. 1 for a head that transports; nothing for others.

    Args:
        folder: Of the report.
        trained: The head.
        features: Of the manifest.
        labels: Class index of every row, `UNLABELLED` where it has none.
        split: Whose rows are scored.
        cluster: What intervals resample.
        score: How heads are scored; its solver is the figure's.
        device: A torch device.
    """
    if not isinstance(trained.head, GenSER):
        return []
    solver = score.options(trained.record.kind).solver
    table = features.manifest.table
    usable = table.index.isin(rows_of_split(table, split).index) & features.has_features
    rows = np.flatnonzero(usable & (labels != UNLABELLED))
    clusters = clusters_of(table.iloc[rows], cluster).tolist()
    found = sampling_table(trained, features, rows, labels[rows], clusters, device=device)
    write_csv(folder / "steps.csv", found)
    path = folder / "steps.png"
    estimates = found[found["readout"] == "estimate"]
    draw_scores(
        path,
        {
            str(name): part.rename(
                columns={"num_steps": "x", "ua": "value", "ua_low": "low", "ua_high": "high"}
            )
            for name, part in estimates.groupby("solver", sort=False)
        },
        title=f"UA on {split} over the number of steps",
        xlabel="number of steps N",
        ylabel=f"UA on {split}",
    )
    corpora = set(table["corpus"].iloc[rows])
    is_of_meld = corpora == {MELD.corpus} and trained.task == MELD.task and split in MELD.splits
    sections = [
        Section(
            title="Number of steps",
            texts=[
                "How the score depends on the number of steps N from embedding to code, for each "
                f"solver (as Gen-SER's Table 3 does for MELD). This report scored with {solver}."
            ],
            tables=[steps_table(found, is_of_meld=is_of_meld)],
            pictures=[
                Picture(
                    caption="UA over N by the last estimate of the code, one line for each solver, "
                    "side by side where they agree; bars are 95 % intervals.",
                    path=path,
                )
            ],
        )
    ]
    shown = _clip_to_show(trained, features, rows[labels[rows] == 0], device)
    if shown is not None:
        row, is_right = shown
        name = table["utterance_id"].iloc[row]
        trace = trace_clip(trained, features, row, 0, solver=solver, device=device)
        path = folder / "transport.png"
        draw_transport(
            path,
            times=trace.times,
            states=trace.states,
            code=trace.code,
            cosines=trace.cosines,
            classes=trained.classes,
            label=0,
            title=f"{name} on its way to {trained.classes[0]!r}",
        )
        sections.append(
            Section(
                title="One clip on its way",
                texts=[
                    f"As Gen-SER's Fig. 1: {name}, the first clip of class {trained.classes[0]!r} "
                    f"in {split}{' that is recognised' * is_right}, carried from its embedding at "
                    f"t = 1 to a code at t = 0 in {STEPS[-1]} steps ({solver})."
                ],
                pictures=[
                    Picture(
                        caption="Above: the state at six times against the code of its class. "
                        "Below: its cosine to the code of its class and of the class that comes "
                        "nearest; the others in grey.",
                        path=path,
                    )
                ],
            )
        )
    return sections


def _clip_to_show(
    trained: TrainedHead, features: StoredFeatures, rows: np.ndarray, device: str
) -> tuple[int, bool] | None:
    """Return the first of some rows of class 0 that is recognised, else the first; None of none."""
    if not len(rows):
        return None
    clips = open_clips(features, rows, trained, device=device)
    scored = score_clips(clips, trained, ScoreConfig(), device=device)
    right = rows[scored.scores.argmax(1) == 0]
    return (int(right[0]), True) if len(right) else (int(rows[0]), False)
