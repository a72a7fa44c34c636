"""Cross-validation of several systems from one store, resumed by (system, fold, seed).

A system is a head with its parameters. Every run is a predictions file of the rows that its fold
tests (or, in a sweep, selects by), in `runs/<system>/`. It is kept when
what it was made with is unchanged, else made again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pipeline.dataset import StoredFeatures
from pipeline.engines.base import SERIAL, Engine
from pipeline.errors import ParamsError, PredictionsError
from pipeline.experiments.conditions import under
from pipeline.experiments.costs import (
    forget_cost,
    read_cost,
    write_cost,
)
from pipeline.experiments.plan import Plan, Run, System
from pipeline.experiments.probe_files import forget_probes, read_probes, write_probes
from pipeline.experiments.running import Scored, Trainer, Training, system_needs, views_in
from pipeline.files import clear_temporaries, fingerprint
from pipeline.heads.catalogue import head_kind
from pipeline.manifests.descriptors import DESCRIPTORS
from pipeline.manifests.manifest import VOTES, Manifest
from pipeline.manifests.texts import TEXT, TEXT_GIVEN, TEXT_SOURCE
from pipeline.progress import Reporter
from pipeline.scoring.predictions import Predictions, read_predictions, write_predictions
from pipeline.sources.opening import views_of
from pipeline.training.copies import digest_of_copies

RUNS = "runs"
BINDING = "binding"


def cross_validate(
    folds: Mapping[str, Manifest],
    stores: Mapping[str, Path],
    plan: Plan,
    out: Path,
    *,
    reporter: Reporter,
    engine: Engine = SERIAL,
) -> list[Run]:
    """Train and score every system on every fold with every seed.

    Args:
        folds: The same rows with the split of each fold.
        stores: Of their features.
        plan: What to run.
        out: Folder of the runs, which nobody else writes.
        reporter: Hears of progress.
        engine: Where trainings run; they end with the same bytes wherever they do.

    Raises:
        ManifestError: If a fold cannot be trained on.
        FeatureStoreError: If a store is damaged.
        OutputError: If a run cannot be written.
    """
    clear_temporaries(out / RUNS, below=True)
    features = open_features(folds, stores, plan)
    digests: dict[tuple[tuple[str, ...], int | None], str] = {}
    todo = [(name, fold, seed) for fold in folds for seed in plan.seeds for name in plan.systems]
    found: dict[tuple[str, str, int], Predictions] = {}
    trainings: dict[str, Training] = {}
    for name, fold, seed in todo:
        system = plan.systems[name]
        system = replace(system, train=replace(system.train.of_fold(fold), seed=seed))
        seen = under(
            system.condition,
            system.of_texts(folds[fold]),
            task=plan.task,
            label_map=plan.label_map,
            seed=seed,
        )
        views, copies = views_of(system_needs(system)), system.train.copies
        if (views, copies) not in digests:
            digests[views, copies] = _digest(features.only(views), copies)
        binding = _binding(features.of(seen), digests[views, copies], plan, system)
        predictions = _kept(run_path(out, name, fold, seed), binding)
        if predictions is not None:
            found[name, fold, seed] = predictions
            continue
        # Systems that differ in scoring only stand side by side: one training serves them.
        in_training = asdict(system.condition.in_training)
        key = fingerprint([fold, system.train.as_json(), in_training, system.texts])
        training = trainings.setdefault(key, Training(fold=fold, seed=seed, systems={}))
        training.systems[name] = Scored(system=system, metadata={BINDING: binding})
    reporter.begin(len(todo))
    if found:
        reporter.advance(len(found))
    items = list(trainings.values())
    for place, done in engine.map(Trainer(features, folds, plan), items):
        for line in done.said:
            reporter.say(line)
        for name, (predictions, cost, probes) in done.finished.items():
            path = run_path(out, name, items[place].fold, items[place].seed)
            write_cost(path, cost)
            write_probes(path, probes)
            write_predictions(path, predictions)
            found[name, items[place].fold, items[place].seed] = predictions
            reporter.advance(1)
    runs = []
    for name, fold, seed in todo:
        path = run_path(out, name, fold, seed)
        runs.append(
            Run(
                system=name,
                fold=fold,
                seed=seed,
                predictions=found[name, fold, seed],
                cost=read_cost(path),
                probes=read_probes(path),
            )
        )
    return runs


def _kept(path: Path, binding: str) -> Predictions | None:
    """Return a finished run of this very kind, of which nothing is damaged or gone."""
    try:
        read_probes(path)
        if read_cost(path) is None:
            return None
    except PredictionsError:
        return None
    return kept_run(path, binding)


def open_features(
    folds: Mapping[str, Manifest], stores: Mapping[str, Path], plan: Plan
) -> StoredFeatures:
    """Open the views that any of the systems reads in any fold, so that all see the same clips.

    Raises:
        ManifestError: If rows were never extracted.
        FeatureStoreError: If a store is damaged, or lacks a view.
        ParamsError: If a system wants other texts than its view was made of.
    """
    views = dict.fromkeys(view for fold in folds for view in views_in(plan, fold))
    features = StoredFeatures(next(iter(folds.values())), stores, tuple(views))
    require_own_texts(plan.systems, features.embedded)
    return features


def require_own_texts(systems: Mapping[str, System], embedded: Mapping[str, str]) -> None:
    """Refuse a system that wants other texts, and reads a view that is made of some already.

    Args:
        systems: By name.
        embedded: The manifest's column that each view of texts is made of.

    Raises:
        ParamsError: If there is one.
    """
    for name, system in systems.items():
        made = [one.view for one in system_needs(system) if one.view in embedded]
        if system.texts and made:
            raise ParamsError(
                f"{name}: texts: {system.texts} is of heads that read texts themselves, and view "
                f"{made[0]!r} was made of {embedded[made[0]]!r}; embed {TEXT_GIVEN!r} "
                "(embed.column) into a view of its own, and name that without texts."
            )


def _digest(features: StoredFeatures, copies: int | None) -> str:
    """Return one digest of all features that trainings may see."""
    digest = features.digest(np.flatnonzero(features.has_features))
    of_copies = digest_of_copies(features, copies)
    return fingerprint([digest, of_copies]) if of_copies else digest


def forget_other_runs(out: Path, runs: Sequence[Run]) -> None:
    """Remove the runs of a folder that are none of these."""
    mine = {run_path(out, run.system, run.fold, run.seed) for run in runs}
    for path in sorted((out / RUNS).rglob("*.parquet")):
        if path not in mine:
            path.unlink()
            forget_cost(path)
            forget_probes(path)


def run_path(out: Path, system: str, fold: str, seed: int) -> Path:
    """Return where the predictions of a run stand in a folder."""
    return out / RUNS / system / f"{fold}-{seed}.parquet"


def _binding(features: StoredFeatures, digest: str, plan: Plan, system: System) -> str:
    """Return the fingerprint of everything that a run's predictions depend on."""
    table = features.manifest.table
    # A head says what it reads once it is made; texts are what any of them may read.
    read = dict.fromkeys(
        (*head_kind(system.train.head).head.columns, TEXT, TEXT_SOURCE, DESCRIPTORS)
    )
    texts = [name for name in read if name in table.columns]
    voted = [name for name in table.columns if name.startswith(VOTES)]
    label_map = None if plan.label_map is None else plan.label_map.as_json()
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
