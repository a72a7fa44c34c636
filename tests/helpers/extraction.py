"""A small extraction, with an encoder that counts, which tests run, watch and kill."""

import itertools
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.encoders.base import Encoded, Encoder, Outline
from pipeline.encoders.pooling import Moments
from pipeline.extraction.extract import Summary, extract
from pipeline.extraction.settings import ExtractConfig
from pipeline.extraction.views import open_view
from pipeline.progress import Silence

ROWS_PER_SHARD = 2
NUM_CLIPS = 5
KILLED = -signal.SIGKILL


class PlainEncoder(Encoder):
    """Powers of the waveform; counts what it is given."""

    outline = Outline(num_layers=3, dim=2)
    layer_convention = "powers"
    sample_rate = 16000
    min_samples = 400

    def __init__(self, weights: str = "w0") -> None:
        self.identity = {"family": "plain", "weights": weights, "flags": {"powers": 3}}
        self.num_encoded = 0

    def num_frames(self, num_samples: int) -> int:
        return num_samples // 400

    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        self.num_encoded += len(waveforms)
        return [Encoded(moments=self._moments(x.astype(np.float64))) for x in waveforms]

    def _moments(self, x: np.ndarray) -> Moments:
        rows = [[(x ** (2 * row + 2)).mean(), (x[1:] * x[:-1]).mean() + row] for row in range(3)]
        mean = torch.tensor(rows, dtype=torch.float32)
        return Moments(self.num_frames(len(x)), mean, torch.zeros_like(mean))


def table(files: dict[str, Path], **columns: Any) -> pd.DataFrame:
    """Return the requests for these files, one clip each."""
    values = {"start": np.nan, "end": np.nan, "channel": -1, "num_samples": -1, "sample_rate": -1}
    names = {"utterance_id": list(files), "source": [str(path) for path in files.values()]}
    return pd.DataFrame({**names, **values, **columns})


def run(
    requests: pd.DataFrame, root: Path, *, encoder: PlainEncoder | None = None, **options: Any
) -> Summary:
    config = ExtractConfig(rows_per_shard=ROWS_PER_SHARD, **options.pop("config", {}))
    options.setdefault("reporter", Silence())
    encoder = encoder or PlainEncoder()
    views = [open_view(encoder, settings) for settings in config.view_settings()]
    return extract(requests, root, views, **options)["layers"]


def num_computed(requests: pd.DataFrame, root: Path, **options: Any) -> int:
    """Bring a store up to date and return how many clips met the encoder."""
    encoder = PlainEncoder()
    summary = run(requests, root, encoder=encoder, **options)
    assert encoder.num_encoded <= summary.num_computed
    return encoder.num_encoded


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    files = (path for path in root.rglob("*") if not path.is_dir())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def shards(root: Path) -> set[int]:
    return {int(path.stem) for path in root.glob("views/layers/shards/*.h5")}


def forked(work: Callable[[], object]) -> int:
    """Start `work` in a child of this process and return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def outcome(child: int) -> int:
    """Wait for a child; return its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(event: int) -> None:
    """Let this process die before its n-th touch of the disk; a write touches it twice."""
    events = itertools.count()

    def tick() -> None:
        if next(events) == event:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def touch(*args: Any, **kwargs: Any) -> Any:
            tick()
            return original(*args, **kwargs)

        return touch

    write_bytes = Path.write_bytes

    def write_in_two(path: Path, data: bytes) -> int:
        tick()
        write_bytes(path, data[: len(data) // 2])
        tick()
        return write_bytes(path, data)

    Path.write_bytes = write_in_two  # type: ignore[assignment,method-assign]
    Path.replace = watched(Path.replace)  # type: ignore[method-assign]
    Path.unlink = watched(Path.unlink)  # type: ignore[method-assign]


class StopAfter(Silence):
    """Raises after so many shards, as a signal would."""

    def __init__(self, num_shards: int, error: BaseException) -> None:
        self.left = num_shards
        self.error = error

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


def stop_after(num_shards: int, requests: pd.DataFrame, root: Path, **options: Any) -> None:
    """Run until so many shards are published, then stop."""
    with pytest.raises(KeyboardInterrupt):
        run(requests, root, reporter=StopAfter(num_shards, KeyboardInterrupt()), **options)
