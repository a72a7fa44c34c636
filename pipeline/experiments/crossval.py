"""Cross-validation of several systems from one store, resumed by (system, fold, seed).

A system is a head with its parameters. Every run is a predictions file of the rows that its fold
tests (or, in a sweep, selects by), in `runs/<system>/`. It is kept when
what it was made with is unchanged, else made again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.errors import GenserError, PredictionsError
from pipeline.experiments.conditions import under
from pipeline.experiments.costs import (
    Cost,
    count_parameters,
    forget_cost,
    read_cost,
    write_cost,
)
from pipeline.experiments.head_probes import has_representations, probe_head
from pipeline.experiments.new_class import Task, score_new_class
from pipeline.experiments.plan import Plan, Run, System
from pipeline.experiments.probe_files import forget_probes, read_probes, write_probes
from pipeline.files import clear_temporaries, fingerprint
from pipeline.heads.catalogue import head_kind, head_needs
from pipeline.heads.needs import Need
from pipeline.heads.saved import TrainedHead
from pipeline.manifests.descriptors import DESCRIPTORS
from pipeline.manifests.manifest import VOTES, Manifest
from pipeline.manifests.texts import TEXT, TEXT_SOURCE
from pipeline.progress import Reporter, Silence, Within
from pipeline.scoring.predictions import Predictions, read_predictions, write_predictions
from pipeline.scoring.score import score_stored
from pipeline.sources.opening import views_of
from pipeline.training.config import TrainConfig
from pipeline.training.rows import choose_rows
from pipeline.training.train import train_rows

RUNS = "runs"
BINDING = "binding"
CONDITION = "condition"  # in a run's metadata: what its training had to cope with
DEV = "dev"  # in a run's metadata: the scores on dev of the head that was kept


def cross_validate(
    folds: Mapping[str, Manifest],
    stores: Mapping[str, Path],
    plan: Plan,
    out: Path,
    *,
    reporter: Reporter,
) -> list[Run]:
    """Train and score every system on every fold with every seed.

    Args:
        folds: The same rows with the split of each fold.
        stores: Of their features.
        plan: What to run.
        out: Folder of the runs, which nobody else writes.
        reporter: Hears of progress.

    Raises:
        ManifestError: If a fold cannot be trained on.
        FeatureStoreError: If a store is damaged.
        OutputError: If a run cannot be written.
    """
    clear_temporaries(out / RUNS, below=True)
    features = open_features(folds, stores, plan)
    digests: dict[tuple[str, ...], str] = {}
    todo = [(name, fold, seed) for fold in folds for seed in plan.seeds for name in plan.systems]
    reporter.begin(len(todo))
    runs = []
    latest: tuple[object, TrainedHead] | None = None
    for name, fold, seed in todo:
        path = run_path(out, name, fold, seed)
        system = plan.systems[name]
        system = replace(system, train=replace(system.train.of_fold(fold), seed=seed))
        seen = under(
            system.condition, folds[fold], task=plan.task, label_map=plan.label_map, seed=seed
        )
        of_fold = features.of(seen)
        views = _views_of(system)
        if views not in digests:
            digests[views] = features.only(views).digest(np.flatnonzero(features.has_features))
        binding = _binding(of_fold, digests[views], plan, system)
        predictions = kept_run(path, binding)
        if predictions is None:
            # Systems that differ in scoring only stand side by side: one training serves them.
            training = (fold, system.train, system.condition.in_training)
            if latest is None or latest[0] != training:
                where = f"{name}, fold {fold}, seed {seed}"
                try:
                    trained = _trained(of_fold, plan, system.train, Within(reporter, where))
                except GenserError as error:
                    error.add_note(f"in {where}; what was finished is kept")
                    raise
                latest = (training, trained)
            predictions, cost = _scored(features.of(folds[fold]), plan, latest[1], system, binding)
            write_cost(path, cost)
            if plan.probes and has_representations(latest[1].head):
                write_probes(path, _probed(of_fold, plan, latest[1]))
            write_predictions(path, predictions)
        runs.append(
            Run(
                system=name,
                fold=fold,
                seed=seed,
                predictions=predictions,
                cost=read_cost(path),
                probes=read_probes(path),
            )
        )
        reporter.advance(1)
    return runs


def open_features(
    folds: Mapping[str, Manifest], stores: Mapping[str, Path], plan: Plan
) -> StoredFeatures:
    """Open the views that any of the systems reads in any fold, so that all see the same clips.

    Raises:
        ManifestError: If rows were never extracted.
        FeatureStoreError: If a store is damaged, or lacks a view.
    """
    of_folds = [
        replace(system, train=system.train.of_fold(fold))
        for fold in folds
        for system in plan.systems.values()
    ]
    views = views_of([need for system in of_folds for need in _needs(system)])
    return StoredFeatures(next(iter(folds.values())), stores, views)


def forget_other_runs(out: Path, runs: Sequence[Run]) -> None:
    """Remove the runs of a folder that are none of these."""
    mine = {run_path(out, run.system, run.fold, run.seed) for run in runs}
    for path in sorted((out / RUNS).rglob("*.parquet")):
        if path not in mine:
            path.unlink()
            forget_cost(path)
            forget_probes(path)


def _needs(system: System) -> tuple[Need, ...]:
    return head_needs(system.train.head, system.train.head_config)


def _views_of(system: System) -> tuple[str, ...]:
    return views_of(_needs(system))


def run_path(out: Path, system: str, fold: str, seed: int) -> Path:
    """Return where the predictions of a run stand in a folder."""
    return out / RUNS / system / f"{fold}-{seed}.parquet"


def _trained(
    features: StoredFeatures, plan: Plan, config: TrainConfig, reporter: Reporter
) -> TrainedHead:
    rows = choose_rows(
        features.manifest,
        features,
        task=plan.task,
        label_map=plan.label_map,
        allow_overlap=plan.allow_overlap,
    )
    trained, _ = train_rows(
        features,
        rows,
        task=plan.task,
        label_map=plan.label_map,
        config=config,
        state_folder=None,
        device=plan.device,
        reporter=reporter,
    )
    return trained


def _scored(
    features: StoredFeatures, plan: Plan, trained: TrainedHead, system: System, binding: str
) -> tuple[Predictions, Cost]:
    """Score what a fold tests.

    Args:
        features: Of the fold with every label, whatever the training saw of it.
        plan: Of the cross-validation.
        trained: The head.
        system: That it is of.
        binding: Of the run.
    """
    scored = np.flatnonzero((features.manifest.table["split"] == plan.part).to_numpy())
    read = features.only(views_of(trained.record.needs))
    begin = perf_counter()
    if system.condition.new_class:
        task = Task(column=plan.task, label_map=plan.label_map, part=plan.part)
        found = score_new_class(
            read, trained, system.score, system.condition, task, device=plan.device
        )
    else:
        found = score_stored(read, trained, system.score, device=plan.device, rows=scored)
    seconds = perf_counter() - begin
    # What is chosen among systems is chosen by dev; test is only looked at.
    known = {BINDING: binding, DEV: trained.record.dev}
    if system.condition.kind:
        known[CONDITION] = asdict(system.condition)
    num_parameters, num_trained = count_parameters(trained.head)
    cost = Cost(
        num_parameters=num_parameters,
        num_trained=num_trained,
        seconds=seconds,
        num_clips=len(scored),
        device=plan.device,
    )
    return replace(found, metadata={**found.metadata, **known}), cost


def _probed(features: StoredFeatures, plan: Plan, trained: TrainedHead) -> pd.DataFrame:
    read = features.only(views_of(trained.record.needs))
    return probe_head(read, trained, plan.part, device=plan.device, reporter=Silence())


def _binding(features: StoredFeatures, digest: str, plan: Plan, system: System) -> str:
    """Return the fingerprint of everything that a run's predictions depend on."""
    table = features.manifest.table
    # A head says what it reads once it is made; texts are what any of them may read.
    read = dict.fromkeys(
        (*head_kind(system.train.head).head.columns, TEXT, TEXT_SOURCE, DESCRIPTORS)
    )
    texts = [name for name in read if name in table.columns]
    voted = [name for name in table.columns if name.startswith(VOTES)]
    label_map = None if plan.label_map is None else asdict(plan.label_map)
    return fingerprint(
        [
            system.train.as_json(),
            system.score.as_json(system.train.head),
            label_map,
            plan.device,
            plan.task,
            plan.part,
            digest,
            table[
                ["utterance_id", "corpus", "speaker", "split", plan.task, *voted, *texts]
            ].to_csv(),
            # What was changed for training is in the table; what is shown afterwards is not.
            *([asdict(system.condition)] if system.condition.kind else []),
        ]
    )


def kept_run(path: Path, binding: str) -> Predictions | None:
    """Return a finished run of this very kind; a damaged or another one is made again."""
    if not path.exists():
        return None
    try:
        found = read_predictions(path)
    except PredictionsError:
        return None
    return found if found.metadata.get(BINDING) == binding else None
