"""Features of single clips, read from where they lie in a shard, each held to a digest of its own.

A view's table, itself held to its digest, says of each clip at which byte of its shard's file its
features begin and what their SHA-256 is. So a few clips cost no more than their bytes, many are
read to where they are wanted, and HDF5 is not asked.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import FeatureStoreError
from pipeline.files import require_regular, sha256_bytes
from pipeline.store.contents import Contents, checked_bytes
from pipeline.store.places import Rows

AT_ONCE = 1 << 19  # bytes read before they are hashed, so that they are still in the cache


class OpenRows:
    """A shard's file, of which the bytes of single clips are read.

    Attributes:
        shape: Of one clip's features, or of one frame's.
        dtype: Of its numbers.
    """

    def __init__(self, file: FileIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self._file = file

    def read_into(self, out: np.ndarray, wanted: Rows, layers: Sequence[int] | None = None) -> None:
        """Put the features of clips of a dense shard where they are wanted.

        Args:
            out: Shape (N, ...).
            wanted: Which clips, and where in it.
            layers: Positions along the first axis of a clip to keep, in this order; None keeps all.

        Raises:
            ValueError: If they are not those that the table tells.
            OSError: If they cannot be read.
        """
        size = math.prod(self.shape) * self.dtype.itemsize
        most = max(AT_ONCE // max(size, 1), 1)
        room = None if layers is None else np.empty((most, *self.shape), self.dtype)
        for run in wanted.runs(most):
            there = slice(wanted.places[run.start], wanted.places[run.stop - 1] + 1)
            part = out[there] if room is None else room[: run.stop - run.start]
            self._fill(part, wanted.starts[run.start], wanted.digests[run])
            if layers is not None:
                out[there] = part[:, list(layers)]

    def frames(self, wanted: Rows, layers: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Yield the frames of clips of a ragged shard, each (T, R, D), or codes (T, R).

        Args:
            wanted: Which clips.
            layers: Positions along R to keep, in this order; None keeps all.

        Raises:
            ValueError: If they are not those that the table tells.
            OSError: If they cannot be read.
        """
        clips = zip(wanted.starts, wanted.digests, wanted.num_frames, strict=True)
        for start, digest, num_frames in clips:
            frames = np.empty((num_frames, *self.shape), self.dtype)
            self._fill(frames[None], start, [digest])
            yield frames if layers is None else frames[:, list(layers)]

    def _fill(self, out: np.ndarray, start: int, digests: Sequence[str]) -> None:
        """Fill an array with clips that lie one after another from a byte on, (N, ...)."""
        data = out.reshape(-1).view(np.uint8).data
        self._file.seek(start)
        done = 0
        while done < len(data) and (num := self._file.readinto(data[done:])):
            done += num
        if done < len(data) or [sha256_bytes(one.data) for one in out] != digests:
            raise ValueError(f"features from byte {start} on are not those that the table tells")


@contextmanager
def open_rows(
    root: Path, name: str, contents: Contents, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Iterator[OpenRows]:
    """Open a shard's file for the bytes of single clips.

    Args:
        root: The store's folder.
        name: The shard's file, relative to it.
        contents: What the store holds.
        shape: Of one clip's features, or of one frame's.
        dtype: Of its numbers.

    Raises:
        FeatureStoreError: Also while it is open, if a byte that is asked for is not there, or
            another one.
    """
    path = root / name
    try:
        require_regular(path)
        with path.open("rb", buffering=0) as file:
            yield OpenRows(file, shape, dtype)
    except (OSError, ValueError) as error:
        checked_bytes(root, name, contents)  # says what has become of the file
        raise FeatureStoreError(
            f"{path}: whole, and yet its {error}; run the same command again: if it says so again, "
            "no genser wrote this store, do not use it."
        ) from error
