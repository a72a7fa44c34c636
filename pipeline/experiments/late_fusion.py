"""Late fusion: a system that is the mean of what others say, each trained without the others.

    log p(c | x) = mean over the parts k of log p_k(c | x), and a softmax over c

p_k are the calibrated probabilities of part k, so that a part which is too sure of itself does not
drown the others. Of numbers it is their mean, in the units of the labels:

    y(x) = mean over the parts k of y_k(x)

Nothing is learnt, so a mean of numbers keeps its own spread, which is less than the parts' where
they differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from pipeline.errors import ParamsError
from pipeline.evaluation.columns import PROBABILITY
from pipeline.experiments.costs import Cost
from pipeline.experiments.crossval import BINDING, kept_run, run_path
from pipeline.experiments.plan import Run
from pipeline.files import fingerprint
from pipeline.scoring.number_predictions import assemble_numbers
from pipeline.scoring.predictions import Predictions, assemble_predictions, write_predictions

LATE_FUSION = "late-fusion"  # what the predictions of such a system have for a kind of head
LEAST = float(np.finfo(np.float32).tiny)  # of a probability, before its logarithm


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """A system of others.

    Attributes:
        name: Of the system.
        parts: Names of the systems that it is made of, at least two.
    """

    name: str
    parts: tuple[str, ...]


def read_fusions(texts: Sequence[str], systems: Sequence[str]) -> tuple[Fusion, ...]:
    """Read `NAME=SYSTEM+SYSTEM[+...]`, several times.

    Args:
        texts: As they were given.
        systems: Names of the systems there are; a fusion's name joins them for those after it.

    Raises:
        ParamsError: If one is spelled otherwise, its name is taken, or a part is none of them.
    """
    known, fusions = list(systems), []
    for text in texts:
        name, equals, rest = text.partition("=")
        parts = tuple(rest.split("+"))
        if not equals or not name or len(parts) < 2:
            raise ParamsError(f"--late-fusion {text}: wanted NAME=SYSTEM+SYSTEM, at least two.")
        if name in known:
            raise ParamsError(f"--late-fusion {text}: there is a {name!r} already; rename it.")
        strange = [part for part in parts if part not in known]
        if strange or len(set(parts)) < len(parts):
            found = strange[0] if strange else next(p for p in parts if parts.count(p) > 1)
            raise ParamsError(
                f"--late-fusion {text}: found {found!r}, wanted each part once, of the systems "
                f"{known}."
            )
        known.append(name)
        fusions.append(Fusion(name=name, parts=parts))
    return tuple(fusions)


def fused_runs(runs: Sequence[Run], fusions: Sequence[Fusion], out: Path) -> list[Run]:
    """Return the runs of fusions, of each fold and seed; those that stand in the folder are kept.

    Args:
        runs: Of all parts.
        fusions: In order; one may be a part of a later one.
        out: Folder of the runs.

    Raises:
        OutputError: If a run cannot be written.
    """
    known = {(run.system, run.fold, run.seed): run for run in runs}
    places = dict.fromkeys((run.fold, run.seed) for run in runs)
    fused = []
    for fusion in fusions:
        for fold, seed in places:
            parts = {name: known[name, fold, seed].predictions for name in fusion.parts}
            binding = fingerprint(
                [LATE_FUSION, {name: one.metadata.get(BINDING) for name, one in parts.items()}]
            )
            path = run_path(out, fusion.name, fold, seed)
            predictions = kept_run(path, binding)
            if predictions is None:
                predictions = fuse(parts, {BINDING: binding})
                write_predictions(path, predictions)
            cost = _together([known[name, fold, seed].cost for name in fusion.parts])
            run = Run(system=fusion.name, fold=fold, seed=seed, predictions=predictions, cost=cost)
            known[fusion.name, fold, seed] = run
            fused.append(run)
    return fused


def fuse(parts: Mapping[str, Predictions], metadata: Mapping[str, object]) -> Predictions:
    """Return the predictions of a fusion; a row that a part has none of has that part's reason.

    Args:
        parts: By system, of the same rows, and of the same classes or all of numbers.
        metadata: What the file says besides what all parts agree on.
    """
    frames = {name: one.frame for name, one in parts.items()}
    first_name = next(iter(parts))
    first, classes = frames[first_name], parts[first_name].classes
    errors: list[str | None] = [None] * len(first)
    for name, frame in frames.items():
        assert frame["utterance_id"].equals(first["utterance_id"]), name
        assert parts[name].classes == classes, name
        told = [None if error is None else f"{name}: {error}" for error in _texts(frame["error"])]
        errors = [old or new for old, new in zip(errors, told, strict=True)]
    shared = dict(parts[first_name].metadata)
    for one in parts.values():
        shared = {key: v for key, v in shared.items() if one.metadata.get(key) == v}
    about: dict[str, Any] = {
        "utterance_ids": first["utterance_id"].tolist(),
        "splits": _texts(first["split"]),
        "errors": errors,
        "metadata": {**shared, "head_kind": LATE_FUSION, "parts": list(parts), **metadata},
    }
    if not classes:
        return assemble_numbers(
            labels=first["label"].to_numpy(np.float64),
            predicted=np.mean([frame["predicted"] for frame in frames.values()], axis=0),
            **about,
        )
    names = [f"{PROBABILITY}{label}" for label in classes]
    found = np.stack([frame[names].to_numpy(np.float64) for frame in frames.values()])  # (K, N, C)
    scores = log_softmax(np.log(np.maximum(found, LEAST)).mean(0), axis=1)
    return assemble_predictions(
        labels=_texts(first["label"]),
        scores=scores,
        probabilities=np.exp(scores),
        classes=classes,
        **about,
    )


def _together(costs: Sequence[Cost | None]) -> Cost | None:
    """Return what the parts of a fusion take one after another; None where one is unknown."""
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    return Cost(
        num_parameters=sum(cost.num_parameters for cost in known),
        num_trained=sum(cost.num_trained for cost in known),
        seconds=sum(cost.seconds for cost in known),
        num_clips=known[0].num_clips,
        device=" ".join(dict.fromkeys(cost.device for cost in known)),
    )


def _texts(column: pd.Series) -> list[str | None]:
    return [text if isinstance(text, str) else None for text in column]
