"""From a manifest and its stores to a trained head in a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from pipeline.dataset import StoredFeatures
from pipeline.figures.curves import draw_learning_curve
from pipeline.files import publish, require_writable, sha256_bytes
from pipeline.heads.base import feature_shape
from pipeline.heads.catalogue import build_head
from pipeline.heads.inference import with_groups
from pipeline.heads.saved import TrainedHead, describe, save_head
from pipeline.heads.standardiser import CORPUS, SPEAKER, Standardiser
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.progress import Reporter
from pipeline.provenance import package_versions
from pipeline.store.views import LAYERS
from pipeline.training.batches import LabelledFeatures, TrainingFeatures
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.config import TrainConfig
from pipeline.training.loop import Fit, train_head
from pipeline.training.rows import TrainingRows, choose_rows, describe_rows
from pipeline.training.targets import make_targets
from pipeline.training.weighting import weigh_rows

CURVES = "curves.tsv"
PICTURE = "curves.png"


def fit_head(
    manifest: Manifest,
    stores: Mapping[str, Path],
    *,
    task: str,
    label_map: LabelMap | None,
    config: TrainConfig,
    out: Path,
    allow_overlap: bool,
    device: str,
    reporter: Reporter,
) -> Fit:
    """Train a head from stored features and save it to a folder.

    Raises:
        ManifestError: As `choose_rows`.
        FeatureStoreError: If a store is damaged.
        ParamsError: If the classes are too many for the width of the features.
        OutputError: If the folder cannot be written.
    """
    require_writable(out)
    features = StoredFeatures(manifest, stores)
    rows = choose_rows(
        manifest, features, task=task, label_map=label_map, allow_overlap=allow_overlap
    )
    reporter.say(describe_rows(rows, features))
    trained, fit = fit_rows(
        features,
        rows,
        task=task,
        label_map=label_map,
        config=config,
        state_folder=out,
        device=device,
        reporter=reporter,
    )
    with publish(out / CURVES) as temporary:
        fit.curves.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
    draw_learning_curve(out / PICTURE, fit.curves, title=f"{config.head} on {task}")
    save_head(
        out, trained.head, trained.standardiser, trained.description, beside=[CURVES, PICTURE]
    )
    Checkpoints(out, None).clear()
    return fit


def fit_rows(
    features: StoredFeatures,
    rows: TrainingRows,
    *,
    task: str,
    label_map: LabelMap | None,
    config: TrainConfig,
    state_folder: Path | None,
    device: str,
    reporter: Reporter,
) -> tuple[TrainedHead, Fit]:
    """Train a head in memory.

    Args:
        features: Of the manifest.
        rows: Which of them to train on and to select by.
        task: Label column.
        label_map: Of the task.
        config: What changes a number.
        state_folder: Where a killed run's state is kept; None keeps none.
        device: A torch device.
        reporter: Hears of progress.

    Raises:
        FeatureStoreError: If a store is damaged.
        ParamsError: If the classes are too many for the width of the features.
    """
    groups = features.groups(config.standardise_over)
    train = _training_features(features, rows, label_map, config)
    dev = LabelledFeatures(
        features=features.read(rows.dev), labels=rows.labels[rows.dev], groups=groups[rows.dev]
    )
    shape = feature_shape(features.recipe, train.features.shape)
    head_config = getattr(config, config.head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = build_head(config.head, shape, len(rows.classes), head_config)
    standardiser = Standardiser(
        shape.num_layers, shape.dim, kind=config.standardise, over=config.standardise_over
    )
    standardiser.fit(train.features)
    if config.standardise_over == CORPUS:
        corpora = features.groups(CORPUS)[rows.train]
        standardiser = standardiser.extended(
            (name, train.features[corpora == name]) for name in sorted(set(corpora))
        )
    known = with_groups(standardiser, features, np.concatenate([rows.train, rows.dev]))
    checkpoints = None
    if state_folder is not None:
        digests = [
            sha256_bytes(a.data) for part in (train, dev) for a in (part.features, part.labels)
        ]
        # Groups may take their numbers from rows beside these.
        arrays = (
            train.targets,
            train.weighting.draw,
            known.group_mean,
            known.group_inverse_deviation,
        )
        digests += [sha256_bytes(np.asarray(array).data) for array in arrays]
        parameters = [asdict(config), dict(features.recipe), list(rows.classes), device]
        checkpoints = Checkpoints(state_folder, [*parameters, *digests])
    fit = train_head(
        head,
        known,
        train,
        dev,
        config,
        checkpoints=checkpoints,
        device=device,
        reporter=reporter,
    )
    description = describe(
        kind=config.head,
        config=head_config,
        shape=shape,
        label_map=label_map,
        fields={
            "task": task,
            "classes": list(rows.classes),
            "temperature": fit.temperature,
            "recipes": {LAYERS: dict(features.recipe)},
            "train": asdict(config),
            "seed": config.seed,
            "prior": train.weighting.prior.tolist(),
            "corpora": _classes_by_corpus(train, features.groups(CORPUS)[rows.train], rows.classes),
            "standardiser": {
                "kind": standardiser.kind,
                "over": standardiser.over,
                "groups": list(standardiser.groups),
            },
            "num_train": len(rows.train),
            "num_dev": len(rows.dev),
            "num_skipped": rows.num_skipped,
            "best_step": fit.best_step,
            "dev": fit.dev,
            "leaks": rows.leaks.counts(),
            "encoder": features.provenance.get("encoder"),
            "versions": package_versions(),
        },
    )
    return TrainedHead(head=fit.head, standardiser=standardiser, description=description), fit


def _training_features(
    features: StoredFeatures, rows: TrainingRows, label_map: LabelMap | None, config: TrainConfig
) -> TrainingFeatures:
    part = rows.train
    table = features.manifest.table.iloc[part]
    targets = make_targets(table, rows.labels[part], rows.classes, label_map, kind=config.targets)
    return TrainingFeatures(
        features=features.read(part),
        labels=rows.labels[part],
        speakers=features.groups(SPEAKER)[part],
        targets=targets,
        weighting=weigh_rows(
            targets,
            features.groups(CORPUS)[part],
            balance=config.balance,
            corpus_temperature=config.corpus_temperature,
        ),
        groups=features.groups(config.standardise_over)[part],
    )


def _classes_by_corpus(
    train: TrainingFeatures, corpora: np.ndarray, classes: Sequence[str]
) -> dict[str, list[str]]:
    """Return the classes that each corpus's training rows have, in class order."""
    return {
        str(name): [
            label
            for label, share in zip(classes, train.targets[corpora == name].sum(0), strict=True)
            if share > 0
        ]
        for name in sorted(set(corpora))
    }
