"""The state of an unfinished training: found again by a killed run, gone after a finished one."""

import io
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from pipeline.files import fingerprint, publish_bytes, read_bytes, sealed_json, sha256_bytes
from pipeline.heads.phase import Phase
from pipeline.typed import unsealed

POINTER = "checkpoint.json"
SPARED = 9.0  # times what it took to keep a state, until the next one is due
LOST_S = 30.0  # seconds of steps since the last state that are kept before dev is looked at
TENSORS = ("head", "average", "best")  # of a state, by name
NO_STATE = (
    "the checkpoint there is none of this training, although it says so; remove its "
    "checkpoint.json and run the same command again."
)
_STATE = re.compile(r"checkpoint-\d{9,}\.pt")


@dataclass(frozen=True, kw_only=True)
class _Pointer:
    """What `checkpoint.json` says: whose state it is, and the file of its tensors."""

    binding: str
    file: str
    digest: str


class Checkpoints:
    """One training's checkpoint in a head's folder, bound to everything that shapes its result.

    `checkpoint.json` names the tensors' file and its digest and is replaced last.
    """

    def __init__(self, folder: Path, binding: object) -> None:
        """Bind checkpoints in `folder` to a JSON value: parameters, fingerprints, rows."""
        self.folder = folder
        self.binding = fingerprint(binding)
        self._due = 0.0
        self._kept = monotonic()

    def is_due(self, *, has_looked: bool) -> bool:
        """Say whether a state is to be kept: keeping them takes a tenth of the time at most.

        Args:
            has_looked: Whether dev was looked at last; between looks, where steps are slow alone.
        """
        now = monotonic()
        return now >= self._due and (has_looked or now >= self._kept + LOST_S)

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state in place of the one before.

        Raises:
            OutputError: If it cannot be written; the one before stays.
        """
        begun = monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
        # Never the name of the state before, which stands until the pointer is replaced.
        name = f"checkpoint-{state['steps_before'] + state['step']:09d}.pt"
        pointer = _Pointer(binding=self.binding, file=name, digest=sha256_bytes(data))
        publish_bytes(self.folder / name, data)
        publish_bytes(self.folder / POINTER, sealed_json(asdict(pointer)))
        self._remove_all_but(name)
        self._kept = monotonic()
        self._due = self._kept + SPARED * (self._kept - begun)

    def load(self, device: str) -> dict[str, Any] | None:
        """Return the state to go on from; None if there is none of this very training.

        A checkpoint of other parameters or features, or a damaged one, is not this training's: a
        start from nothing gives the right result, only later.
        """
        try:
            pointer = unsealed(_Pointer, read_bytes(self.folder / POINTER))
            if pointer is None or pointer.binding != self.binding:
                return None
            if not _STATE.fullmatch(pointer.file):
                return None
            data = read_bytes(self.folder / pointer.file)
        except OSError:
            return None
        # What begins otherwise would go to the reader of torch's first files.
        if sha256_bytes(data) != pointer.digest or not data.startswith(b"PK"):
            return None
        try:
            state = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, ValueError, LookupError, EOFError):
            return None  # somebody has sealed what is no state
        return state if isinstance(state, dict) else None

    @property
    def is_there(self) -> bool:
        """Whether there is a state of some training, this one or another."""
        return (self.folder / POINTER).exists()

    def clear(self) -> None:
        """Forget the state; called when training has succeeded."""
        (self.folder / POINTER).unlink(missing_ok=True)
        self._remove_all_but("")

    def _remove_all_but(self, name: str) -> None:
        for path in self.folder.glob("checkpoint-*.pt"):
            if path.name != name:
                path.unlink()


def is_state(state: Mapping[str, Any], phases: Sequence[Phase]) -> bool:
    """Say whether a state has the form of one that was kept in one of some phases."""
    numbers: list[Any] = [
        state.get(name) for name in ("phase", "step", "steps_before", "best_step")
    ]
    if not all(type(number) is int for number in numbers):
        return False
    index, step, before, best = numbers
    phase = phases[index] if 0 <= index < len(phases) else None
    first, curves, taken = (state.get(name) for name in ("first_loss", "curves", "taken"))
    return (
        phase is not None
        and 0 <= best <= step <= phase.num_steps
        and step > 0
        and before >= 0
        and isinstance(state.get("best_value"), float)
        and all(isinstance(state.get(name), dict) for name in (*TENSORS, "optimiser"))
        and isinstance(curves, list)
        and all(isinstance(one, dict) and type(one.get("step")) is int for one in curves)
        and isinstance(taken, list)
        and all(isinstance(one, dict) and _are_losses(one) for one in taken)
        and len(taken) == (step < phase.num_steps) * (step % phase.eval_every)
        # Both are of the first look.
        and (
            (isinstance(first, float) and len(curves) > 0) or (first is None and step == len(taken))
        )
    )


def _are_losses(losses: Mapping[str, Any]) -> bool:
    return bool(losses) and all(
        isinstance(value, torch.Tensor) and value.ndim == 0 for value in losses.values()
    )


def shapes_of(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shape of each tensor, None of what is none."""
    return {name: getattr(tensor, "shape", None) for name, tensor in tensors.items()}
