"""One training of a cross-validation and all that is scored with it, wherever it runs."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.errors import GenserError
from pipeline.experiments.conditions import under
from pipeline.experiments.costs import Cost, count_parameters
from pipeline.experiments.head_probes import has_representations, probe_head
from pipeline.experiments.new_class import Task, score_new_class
from pipeline.experiments.plan import DEV, Plan, System
from pipeline.heads.catalogue import head_needs
from pipeline.heads.needs import Need
from pipeline.heads.saved import TrainedHead
from pipeline.held import HeldFeatures
from pipeline.manifests.manifest import Manifest
from pipeline.progress import Lines, Reporter, Silence
from pipeline.scoring.predictions import Predictions
from pipeline.scoring.score import score_stored
from pipeline.sources.opening import Fits, views_of
from pipeline.training.config import TrainConfig
from pipeline.training.rows import choose_rows
from pipeline.training.train import train_rows

CONDITION = "condition"  # in a run's metadata: what its training had to cope with


class Scored(NamedTuple):
    """A system to be scored, with its seed, and what its predictions are to say of it."""

    system: System
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training.

    Attributes:
        fold: Name of the fold.
        seed: Of the training.
        systems: Those that it serves, by name; they differ in scoring alone.
    """

    fold: str
    seed: int
    systems: dict[str, Scored]


class Finished(NamedTuple):
    """A run: what is said of the rows that its fold tests, what it took, what is known within."""

    predictions: Predictions
    cost: Cost
    probes: pd.DataFrame


class Done(NamedTuple):
    """A training: its runs by system, and what was worth a line."""

    finished: dict[str, Finished]
    said: list[str]


@dataclass(frozen=True)
class Trainer:
    """Trains and scores in a worker, and writes nothing.

    Attributes:
        features: Of the rows.
        folds: The rows with the split of each fold.
        plan: What is run.
    """

    features: StoredFeatures
    folds: Mapping[str, Manifest]
    plan: Plan

    def __call__(self) -> Callable[[Training], Done]:
        """Return what runs a training; what trainings have in common is read and fitted once."""
        return _Worker(self).run


class _Worker:
    """Runs trainings one after another.

    Memory holds what the systems read of all rows that a fold looks at, once, however many folds
    and seeds there are; of views and standardisers of a fold, those of one fold at a time.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._folds, self._plan = trainer.folds, trainer.plan
        looked_at = ("train", "dev", trainer.plan.part)
        used = [one.table["split"].isin(looked_at).to_numpy() for one in trainer.folds.values()]
        rows = np.flatnonzero(np.any(used, axis=0) & trainer.features.has_features)
        self._features = HeldFeatures(trainer.features, rows)
        self._fits = Fits()

    def run(self, training: Training) -> Done:
        plan, fold = self._plan, self._folds[training.fold]
        self._features.let_go(views_in(plan, training.fold))
        first = next(iter(training.systems.values())).system
        fold = first.of_texts(fold)
        seen = under(
            first.condition, fold, task=plan.task, label_map=plan.label_map, seed=training.seed
        )
        of_fold = self._features.of(seen)
        where = f"{next(iter(training.systems))}, fold {training.fold}, seed {training.seed}"
        heard = Lines()
        try:
            trained = _trained(of_fold, plan, first.train, heard, self._fits)
        except GenserError as error:
            error.add_note(f"in {where}; what was finished is kept")
            raise
        finished = {}
        for name, scored in training.systems.items():
            predictions, cost = _scored(self._features.of(fold), plan, trained, scored)
            is_probed = plan.probes and has_representations(trained.head)
            probes = _probed(of_fold, plan, trained) if is_probed else pd.DataFrame()
            finished[name] = Finished(predictions, cost, probes)
        return Done(finished, [f"{where}: {line}" for line in heard.lines])


def views_in(plan: Plan, fold: str) -> tuple[str, ...]:
    """Return the views that any of the systems reads in a fold."""
    of_fold = [
        replace(system, train=system.train.of_fold(fold)) for system in plan.systems.values()
    ]
    return views_of([need for system in of_fold for need in system_needs(system)])


def system_needs(system: System) -> tuple[Need, ...]:
    """Return what a system reads of a store."""
    return head_needs(system.train.head, system.train.head_config)


def _trained(
    features: StoredFeatures, plan: Plan, config: TrainConfig, reporter: Reporter, fits: Fits
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
        fits=fits,
    )
    return trained


def _scored(
    features: StoredFeatures, plan: Plan, trained: TrainedHead, asked: Scored
) -> tuple[Predictions, Cost]:
    """Score what a fold tests.

    Args:
        features: Of the fold with every label, whatever the training saw of it.
        plan: Of the cross-validation.
        trained: The head.
        asked: What is scored.
    """
    system = asked.system
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
    known = {**asked.metadata, DEV: trained.record.dev}
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
