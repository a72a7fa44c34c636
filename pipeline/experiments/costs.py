"""What a system of a cross-validation takes: parameters, and seconds of scoring.

Seconds differ from run to run, so they stand beside a run's predictions, whose bytes do not.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.experiments.beside import read_beside
from pipeline.files import publish_bytes, sealed_json

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.heads.base import Head

COSTS = "costs.csv"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one run took.

    Attributes:
        num_parameters: Of the head with its frozen models, adapters among them; the encoder that
            made its features is not counted.
        num_trained: Those that are its own: what is saved with it.
        seconds: From stored features to predictions.
        num_clips: That were scored.
        device: The torch device.
    """

    num_parameters: int
    num_trained: int
    seconds: float
    num_clips: int
    device: str


def count_parameters(head: "Head") -> tuple[int, int]:
    """Return how many parameters a trained head computes with, and how many are its own."""
    from torch import nn

    kept = head.kept()
    if head.fits_at_once:
        # Not by steps, so its weights are buffers; a lone number is a setting.
        own = sum(value.numel() for value in kept.values() if value.ndim)
        return own, own
    buffers = dict(head.named_buffers())
    trained = sum(value.numel() for name, value in kept.items() if name not in buffers)
    models = [head, *(base.model for base in head.bases)]
    every = {
        id(parameter): parameter
        for model in models
        if isinstance(model, nn.Module)
        for parameter in model.parameters()
    }
    return sum(_size(parameter) for parameter in every.values()), trained


def write_cost(path: Path, cost: Cost) -> None:
    """Write what a run took beside its predictions.

    Raises:
        OutputError: If it cannot be written.
    """
    publish_bytes(_beside(path), sealed_json(asdict(cost)))


def read_cost(path: Path) -> Cost | None:
    """Return what the run of a predictions file took; None where nobody measured it.

    Raises:
        PredictionsError: If what is there is damaged.
    """
    return read_beside(Cost, _beside(path))


def forget_cost(path: Path) -> None:
    """Remove what stands beside a predictions file."""
    _beside(path).unlink(missing_ok=True)


def costs_table(costs: Sequence[tuple[str, Cost | None]]) -> pd.DataFrame:
    """Return what each system's runs took together.

    Args:
        costs: Of each run, the name of its system and its cost.

    Returns:
        system, runs (that were measured), clips, seconds_per_clip (NaN unmeasured), device.
    """
    rows = []
    for system in dict.fromkeys(name for name, _ in costs):
        known = [cost for name, cost in costs if name == system and cost is not None]
        clips = sum(cost.num_clips for cost in known)
        rows.append(
            {
                "system": system,
                "runs": len(known),
                "clips": clips,
                "seconds_per_clip": (
                    sum(cost.seconds for cost in known) / clips if clips else math.nan
                ),
                "device": " ".join(dict.fromkeys(cost.device for cost in known)),
            }
        )
    return pd.DataFrame(rows)


def _beside(path: Path) -> Path:
    return path.with_suffix(".cost.json")


def _size(parameter: "Tensor") -> int:
    # A weight in 4 bits is stored in bytes of two each; its state knows the shape.
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else math.prod(state.shape)
