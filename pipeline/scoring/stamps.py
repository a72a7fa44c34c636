"""What predictions say of their making that is read again: the `genser.*` entries of their file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import PredictionsError
from pipeline.typed import typed, typed_json

CURE = "run 'genser score' again"


@dataclass(frozen=True, kw_only=True)
class Stamps:
    """The entries that are read again, those of them that a file has; others are only shown.

    Attributes:
        task: The label column; None in files that do not say it.
        seed: Of the training.
        head_kind: Of the head.
        head_corpora: That the head was trained on.
        head_leaks: What the splits of training shared.
        leaks: What the splits of this manifest share.
        transductive: Whether features were standardised by what the manifest itself holds.
        text_sources: Who wrote the texts that were scored.
        head_text_sources: Who wrote those of training.
        dev: Scores on dev.
    """

    task: str | None = None
    seed: int = 0
    head_kind: str | None = None
    head_corpora: tuple[str, ...] = ()
    head_leaks: Mapping[str, int] = field(default_factory=dict)
    leaks: Mapping[str, int] = field(default_factory=dict)
    transductive: bool = False
    text_sources: tuple[str, ...] = ()
    head_text_sources: tuple[str, ...] = ()
    dev: Mapping[str, float] = field(default_factory=dict)


def read_stamps(path: Path, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of entries, each of them JSON.

    Raises:
        PredictionsError: If one is no JSON, or of another type than genser gives it.
    """
    kind: Any = Any
    values = {
        name: typed_json(kind, text, f"{path}: {name}", error=PredictionsError, cure=CURE)
        for name, text in texts.items()
    }
    typed(Stamps, values, path, error=PredictionsError, cure=CURE, others=True)
    return values


def task_of(path: Path, values: Mapping[str, object]) -> str:
    """Return the label column that predictions are of.

    Raises:
        PredictionsError: If they do not say it.
    """
    task = values.get("task")
    if task is None:
        raise PredictionsError(f"{path}: found no task, wanted its label column; {CURE}.")
    return str(task)
