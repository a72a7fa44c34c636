"""From a manifest and its stores to a trained head, in memory or in a folder."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from pipeline.dataset import StoredFeatures
from pipeline.errors import ParamsError
from pipeline.evaluation.links import Softmax, link_json
from pipeline.files import require_writable, sha256_bytes
from pipeline.heads.catalogue import build_head, head_needs
from pipeline.heads.needs import adopted
from pipeline.heads.record import BaseRecord, HeadRecord, StandardiserRecord
from pipeline.heads.saved import TrainedHead, save_head
from pipeline.heads.standardiser import CORPUS, SPEAKER, Standardiser
from pipeline.manifests.coverage import lacking_sentences
from pipeline.manifests.descriptors import DESCRIPTORS
from pipeline.manifests.labels import LabelMap, class_names, countable
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.texts import require_descriptors
from pipeline.parameters import as_kept
from pipeline.progress import Reporter
from pipeline.provenance import package_versions
from pipeline.sources.opening import (
    Fits,
    open_source,
    shapes_of,
    views_of,
    with_groups,
)
from pipeline.sources.source import StoredSource
from pipeline.store.views import CODES
from pipeline.training.batches import LabelledClips, TrainingClips
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.config import FOLD, TrainConfig
from pipeline.training.copies import augment_of, num_copies, with_copies
from pipeline.training.curves import CURVES, PICTURE, write_curves
from pipeline.training.loop import Selection, train_head
from pipeline.training.rows import TrainingRows, choose_rows, describe_rows, require_selector
from pipeline.training.targets import classes_by_corpus, make_targets
from pipeline.training.weighting import weigh_rows


def train_manifest(
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
    held_bytes: float = math.inf,
) -> Selection:
    """Train a head from stored features and save it to a folder.

    Layers of training or dev clips that take more than `held_bytes` are not held in memory: each
    step reads its clips from the store, to the same head.

    Raises:
        ManifestError: As `choose_rows`.
        FeatureStoreError: If a store is damaged, or lacks a view that the head reads.
        ParamsError: If the classes are too many for the width of the features.
        OutputError: If the folder cannot be written.
    """
    require_writable(out)
    features = features_for(config, manifest, stores)
    rows = choose_rows(
        manifest, features, task=task, label_map=label_map, allow_overlap=allow_overlap
    )
    reporter.say(describe_rows(rows, features))
    named = class_names(manifest, task, label_map).where(features.has_features, "")
    for sentence in lacking_sentences(manifest.table["split"], countable(named, label_map)):
        reporter.say(f"{manifest.path}: {sentence}")
    trained, selection = train_rows(
        features,
        rows,
        task=task,
        label_map=label_map,
        config=config,
        state_folder=out,
        device=device,
        reporter=reporter,
        held_bytes=held_bytes,
    )
    write_curves(out, selection.curves, title=f"{config.head} on {task}")
    save_head(out, trained, beside=[CURVES, PICTURE])
    Checkpoints(out, None).clear()
    return selection


def features_for(
    config: TrainConfig, manifest: Manifest, stores: Mapping[str, Path]
) -> StoredFeatures:
    """Open the views that the head of a configuration reads.

    Raises:
        ManifestError: If rows were never extracted.
        FeatureStoreError: If a store is damaged, or lacks a view.
        ParamsError: If a view is of a fold, and none is chosen.
    """
    views = views_of(head_needs(config.head, config.head_config))
    unnamed = [view for view in views if FOLD in view]
    if unnamed:
        raise ParamsError(
            f"train.{config.head}: view {unnamed[0]!r} is of a fold, and none is chosen; give "
            "--fold."
        )
    return StoredFeatures(manifest, stores, views)


def train_rows(
    features: StoredFeatures,
    rows: TrainingRows,
    *,
    task: str,
    label_map: LabelMap | None,
    config: TrainConfig,
    state_folder: Path | None,
    device: str,
    reporter: Reporter,
    fits: Fits | None = None,
    held_bytes: float = math.inf,
) -> tuple[TrainedHead, Selection]:
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
        fits: Standardisers that other trainings have fitted.
        held_bytes: As of `train_manifest`.

    Raises:
        FeatureStoreError: If a store is damaged.
        ParamsError: If the classes are too many for the width of the features.
    """
    needs = head_needs(config.head, config.head_config)
    features = features.only(views_of(needs))
    rows.require_unfitted(features)
    seen, more = with_copies(features, rows, num_copies(features, config.copies))
    if num_more := len(more.train) - len(rows.train):
        reporter.say(f"{num_more} augmented copies of training clips beside them")
    shapes = shapes_of(features, needs)
    require_selector(config.select_by, label_map)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = build_head(config.head, shapes, len(rows.classes), config.head_config)
        head.name_classes(rows.classes)
        if rows.numbers is not None:
            head.learn_numbers(config.head)
        codebooks = {v: features.codebooks(v) for v in features.views if features.kind(v) == CODES}
        head.adopt(adopted(needs, codebooks))
    columns = tuple(dict.fromkeys([*head.columns, *head.learns]))
    if DESCRIPTORS in head.learns:
        require_descriptors(features.manifest.path, features.manifest.table)
    opened = partial(open_source, device=device, frames_in=config.frames_in, held_bytes=held_bytes)
    sources = {
        part: opened(whole, of_part, needs, columns)
        for part, whole, of_part in (("train", seen, more.train), ("dev", features, rows.dev))
    }
    standardisers = (fits or Fits()).standardisers(
        sources["train"],
        np.arange(len(rows.train)),
        shapes,
        kind=config.standardise,
        over=config.standardise_over,
    )
    used = np.concatenate([rows.train, rows.dev])
    known = with_groups(standardisers, features, used, needs)
    for source in sources.values():
        source.use(known)
    train = _training_clips(sources["train"], more, label_map, config)
    head.learn_shares(torch.from_numpy(train.weighting.prior).float())
    numbers = rows.numbers
    dev = LabelledClips(
        source=sources["dev"],
        labels=rows.labels[rows.dev],
        numbers=None if numbers is None else numbers.of(rows.dev),
        stretch=config.stretch,
    )
    checkpoints = None
    if state_folder is not None:
        binding = [
            config.as_json(),
            [base.digest for base in head.bases],
            {view: dict(recipe) for view, recipe in features.recipes.items()},
            list(rows.classes),
            device,
            seen.digest(np.concatenate([more.train, rows.dev])),
            [features.texts(column, used) for column in columns],
            _digest_of_arrays(train, dev, known),
        ]
        checkpoints = Checkpoints(state_folder, binding)
    selection = train_head(
        head, train, dev, config, checkpoints=checkpoints, device=device, reporter=reporter
    )
    link = selection.link
    record = HeadRecord(
        kind=config.head,
        config=as_kept(config.head_config),
        shapes=shapes,
        recipes={view: dict(recipe) for view, recipe in features.recipes.items()},
        standardisers={
            need: StandardiserRecord(kind=one.kind, over=one.over, groups=one.groups)
            for need, one in standardisers.items()
        },
        bases=tuple(BaseRecord(spelling=base.spelling, digest=base.digest) for base in head.bases),
        task=task,
        classes=rows.classes,
        label_map=label_map,
        temperature=link.temperature if isinstance(link, Softmax) else None,
        link=link_json(link),
        prior=tuple(train.weighting.prior.tolist()),
        corpora=classes_by_corpus(
            np.ones_like(train.targets) if numbers is not None else train.targets,
            seen.groups(CORPUS)[more.train],
            rows.classes,
        ),
        scale=None if numbers is None else numbers.scale,
        train={k: v for k, v in config.as_json().items() if k != "config"},
        seed=config.seed,
        num_train=len(rows.train),
        num_dev=len(rows.dev),
        num_skipped=rows.num_skipped,
        copies={"num_clips": num_more, **augment_of(features)} if num_more else {},
        best_step=selection.best_step,
        dev=selection.dev,
        leaks=rows.leaks.counts(),
        encoders={view: _encoder(told) for view, told in features.provenances.items()},
        facts=dict(head.facts),
        text_sources=features.text_sources(columns, used),
        versions=package_versions(),
    )
    trained = TrainedHead(
        head=selection.head, standardisers=standardisers, record=record, codebooks=codebooks
    )
    return trained, selection


def _encoder(provenance: Mapping[str, object]) -> str | None:
    spelling = provenance.get("encoder")
    return None if spelling is None else str(spelling)


def _training_clips(
    source: StoredSource, rows: TrainingRows, label_map: LabelMap | None, config: TrainConfig
) -> TrainingClips:
    features, part = source.features, rows.train
    numbers = None if rows.numbers is None else rows.numbers.of(part)
    targets = make_targets(
        features.manifest.table.iloc[part],
        rows.labels[part],
        rows.classes,
        label_map,
        kind=config.targets,
        numbers=numbers,
    )
    return TrainingClips(
        source=source,
        labels=rows.labels[part],
        numbers=numbers,
        speakers=features.groups(SPEAKER)[part],
        targets=targets,
        weighting=weigh_rows(
            targets,
            features.groups(CORPUS)[part],
            balance=config.balance,
            corpus_temperature=config.corpus_temperature,
        ),
    )


def _digest_of_arrays(
    train: TrainingClips, dev: LabelledClips, standardisers: Mapping[str, Standardiser]
) -> list[str]:
    """Return digests of what a training depends on beside its features and parameters."""
    arrays = [train.labels, dev.labels, train.targets, train.weighting.draw]
    arrays += [one.numbers.values for one in (train, dev) if one.numbers is not None]
    # Groups may take their numbers from rows beside these.
    for one in standardisers.values():
        arrays += [one.group_mean.cpu().numpy(), one.group_inverse_deviation.cpu().numpy()]
    return [sha256_bytes(np.ascontiguousarray(array).data) for array in arrays]
