"""Running a head over a source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import HeadError
from pipeline.heads.base import Head
from pipeline.heads.batch import Batch
from pipeline.heads.phase import Phase
from pipeline.sources.source import FRAMES_AT_ONCE, Pool, Source

SCORED_AT_ONCE = 256  # clips of dense views: a shard; larger tensors are unmapped and mapped anew

Extras = Mapping[str, list[str] | np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a head says of the clips of a source.

    Attributes:
        scores: Class scores, float32, shape (N, C).
        extras: Named texts, N of them, or numbers, float32, shape (N,).
    """

    scores: np.ndarray
    extras: Extras


def autocast(device: str, precision: str) -> torch.autocast:
    """Return the context in which the network runs in `precision`."""
    kind = device.partition(":")[0]
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@torch.inference_mode()
def score_source(
    head: Head,
    source: Source,
    options: Any,
    *,
    device: str,
    precision: str,
    with_extras: bool = False,
) -> Said:
    """Score every clip of a source.

    Args:
        head: The network.
        source: Its clips, standardised.
        options: The head's own section of `score`.
        device: A torch device.
        precision: Of the network.
        with_extras: Whether to ask for what the head says besides.

    Raises:
        HeadError: If what it says besides is not one text or number of each clip.
        FeatureStoreError: If a store is damaged.
    """
    plan = _plan(source)
    scores: list[np.ndarray] = []
    extras: list[Mapping[str, Any]] = []
    for batch in source.batches(plan):
        part, said = say(
            head, batch, options, device=device, precision=precision, with_extras=with_extras
        )
        scores.append(part)
        extras.append(said)
    order = _order(plan)
    found = np.empty((source.num_clips, scores[0].shape[1]), np.float32)
    found[order] = np.concatenate(scores)
    return Said(scores=found, extras=_in_order(extras, order))


@torch.inference_mode()
def gather_source(
    head: Head,
    source: Source,
    make: Callable[[Batch], Mapping[str, Tensor]],
    *,
    device: str,
    precision: str,
) -> dict[str, np.ndarray]:
    """Return what is made of every clip of a source, float32, in the source's order.

    Args:
        head: The network, put into evaluation mode.
        source: Its clips, standardised.
        make: Gives named tensors of a batch, (B, ...) each.
        device: A torch device.
        precision: Of the network.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    head.eval()
    plan = _plan(source)
    parts = []
    for batch in source.batches(plan):
        with autocast(device, precision):
            parts.append(make(batch))
    found: dict[str, np.ndarray] = _in_order(parts, _order(plan))
    return found


@torch.inference_mode()
def say(
    head: Head,
    batch: Batch,
    options: Any,
    *,
    device: str,
    precision: str,
    with_extras: bool = True,
) -> tuple[np.ndarray, Mapping[str, Any]]:
    """Return a head's class scores of a batch, float32, shape (B, C), and what it says besides."""
    head.eval()
    with autocast(device, precision):
        extras: Mapping[str, Any] = {}
        if with_extras:
            scores, extras = head.answer(batch, options)
        else:
            scores = head.scores(batch, options)
        return scores.float().cpu().numpy(), extras


@torch.inference_mode()
def embed_source(
    head: Head, source: Source, options: Any, *, device: str, precision: str
) -> np.ndarray:
    """Return what each clip of a source is to a head before classes are told apart, (N, P).

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    head.eval()
    plan = _plan(source)
    parts = []
    for batch in source.batches(plan):
        with autocast(device, precision):
            parts.append(head.embedding(batch, options).float().cpu().numpy())
    together = np.concatenate(parts)
    found = np.empty_like(together)
    found[_order(plan)] = together
    return found


@torch.inference_mode()
def watch_source(
    head: Head, source: Source, targets: Tensor, phase: Phase, *, device: str, precision: str
) -> dict[str, float]:
    """Return the mean over a source's clips of each number that a head watches in a phase.

    Args:
        head: The network.
        source: Its clips, standardised.
        targets: Of the clips, shape (N, C).
        phase: The phase under way.
        device: A torch device.
        precision: Of the network.
    """
    head.eval()
    total: dict[str, float] = {}
    plan = _plan(source)
    parts = np.split(_order(plan), np.cumsum([len(part) for pool in plan for part in pool])[:-1])
    for positions, batch in zip(parts, source.batches(plan), strict=True):
        known = replace(batch, targets=targets[positions].to(device))
        with autocast(device, precision):
            watched = head.watch(known, phase=phase)
        if not watched:
            return {}
        for name, values in watched.items():
            total[name] = total.get(name, 0.0) + float(values.double().sum())
    return {name: value / source.num_clips for name, value in total.items()}


def _plan(source: Source) -> list[Pool]:
    return source.scan(FRAMES_AT_ONCE if source.lengths.any() else SCORED_AT_ONCE)


def _order(plan: list[Pool]) -> np.ndarray:
    return np.concatenate([positions for pool in plan for positions in pool])


def _in_order(parts: list[Mapping[str, Any]], order: np.ndarray) -> dict[str, Any]:
    """Put what batches said together, clips in the source's order."""
    result: dict[str, Any] = {}
    for name in parts[0] if parts else ():
        values = [part[name] for part in parts]
        if isinstance(values[0], Tensor):
            numbers = torch.cat(values).float().cpu().numpy()
            _require_one_each(name, len(numbers), len(order))
            result[name] = np.empty_like(numbers)
            result[name][order] = numbers
        else:
            texts = [text for value in values for text in value]
            _require_one_each(name, len(texts), len(order))
            places = np.argsort(order, kind="stable")
            result[name] = [texts[int(place)] for place in places]
    return result


def _require_one_each(name: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise HeadError(
            f"head: found {found} values of its extra column {name!r}, wanted {wanted}, one of "
            "each clip; mend the head's `extras`."
        )
