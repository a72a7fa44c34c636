"""One shard as bytes: an HDF5 file that describes itself, made and read in memory.

A shard is one unit of finished work: the clips it was made from, failed ones too, and the features
of those that have any. Written in memory, it meets the disk as plain bytes under one digest; read
in memory, what was hashed is what HDF5 sees. Dense features are format 1, ragged ones format 2.
"""

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import canonical_json
from pipeline.store.datasets import Laid, column, own_dataset
from pipeline.store.recipe import Recipe, checked_recipe
from pipeline.store.views import CLIP_COLUMNS, CURE, NUM_FRAMES
from pipeline.typed import typed_json

FORMAT = "genser-shard"
DENSE, RAGGED = 1, 2  # the versions of the format
FRAMES_PER_CHUNK = 64
CODES_PER_CHUNK = 4096


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A finished piece of a view.

    Attributes:
        clips: One row per clip, columns `CLIP_COLUMNS`, in manifest order; as read, a ragged
            shard's have `num_frames` beside.
        features: The features of the clips whose `row` is not -1, shape (N, ...); ragged, the
            frames of one clip after another, shape (sum T, R, D), or their codes, (sum T, R).
        recipe: What the features were made with.
        provenance: Versions and names that are recorded and not compared.
        offsets: Of a ragged shard, shape (N + 1,): the clip in `row` p has the frames
            `offsets[p]` to `offsets[p + 1]`. None: dense.
    """

    clips: pd.DataFrame
    features: np.ndarray
    recipe: Recipe
    provenance: Mapping[str, Any]
    offsets: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.offsets is not None:
            _require_offsets(self.offsets, len(self.features), "a shard")


def shard_bytes(shard: Shard) -> bytes:
    """Return the shard as the bytes of an HDF5 file; equal shards give equal bytes."""
    with h5py.File("shard.h5", "w", driver="core", backing_store=False) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = DENSE if shard.offsets is None else RAGGED
        file.attrs["recipe"] = canonical_json(shard.recipe)
        file.attrs["provenance"] = canonical_json(shard.provenance)
        # Dense, a random clip is one read; Fletcher-32 guards each chunk.
        chunks = (_chunk_length(shard), *shard.features.shape[1:]) if shard.features.size else None
        file.create_dataset(
            "features", data=shard.features, chunks=chunks, fletcher32=chunks is not None
        )
        table = shard.clips
        columns = dict(CLIP_COLUMNS)
        if shard.offsets is not None:
            file.create_dataset("offsets", data=shard.offsets.astype(np.int64))
            table = table.assign(num_frames=_num_frames(table, shard.offsets))
            columns |= NUM_FRAMES
        clips = file.create_group("clips")
        for name, kind in columns.items():
            values = table[name]
            if kind == "str":
                clips.create_dataset(name, data=values.tolist(), dtype=h5py.string_dtype())
            else:
                clips.create_dataset(name, data=values.to_numpy(kind))
        file.flush()
        return bytes(file.id.get_file_image())


class OpenShard:
    """A shard in memory, of which only what is asked for is read.

    Attributes:
        recipe: What the features were made with.
        offsets: As in `Shard`; None where it is dense.
    """

    def __init__(self, file: h5py.File, data: bytes, where: object) -> None:
        self._file = file
        self._data = data
        self._where = where
        if file.attrs.get("format") != FORMAT:
            raise FeatureStoreError(
                f"{where}: not a shard of a feature store; extract into another --store."
            )
        version = file.attrs["format_version"]
        if version not in (DENSE, RAGGED):
            raise FeatureStoreError(
                f"{where}: shard format {version}, this genser reads {DENSE} and {RAGGED}; "
                "install the version that wrote it, or extract again."
            )
        self.recipe: Recipe = checked_recipe(where, self._attribute("recipe"))
        self._features = own_dataset(file, "features", where)
        if self._features.dtype.kind not in "fu":
            raise TypeError(f"features of {self._features.dtype}")
        self.offsets: np.ndarray | None = None
        if version == RAGGED:
            self.offsets = own_dataset(file, "offsets", where)[()]
            _require_offsets(self.offsets, len(self._features), where)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What was recorded beside the recipe."""
        return self._attribute("provenance")

    def _attribute(self, name: str) -> dict[str, Any]:
        text = self._file.attrs[name]
        return typed_json(dict[str, Any], text, self._where, error=FeatureStoreError, cure=CURE)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one clip's features, or of one frame's."""
        return tuple(self._features.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers."""
        found: np.dtype[Any] = self._features.dtype
        return found

    def whole(self) -> Shard:
        """Return everything."""
        columns = dict(CLIP_COLUMNS) | (NUM_FRAMES if self.offsets is not None else {})
        with _formed(self._where):
            clips = pd.DataFrame(
                {
                    name: column(own_dataset(self._file, f"clips/{name}", self._where), kind)
                    for name, kind in columns.items()
                }
            )
        return Shard(
            clips=clips,
            features=self._features[()],
            recipe=self.recipe,
            provenance=self.provenance,
            offsets=self.offsets,
        )

    def read_into(
        self,
        out: np.ndarray,
        places: np.ndarray,
        rows: np.ndarray,
        layers: Sequence[int] | None = None,
    ) -> None:
        """Put the features of clips of a dense shard where they are wanted, in one copy.

        Args:
            out: Shape (N, ...).
            places: Where in it, shape (len(rows),).
            rows: Which clips.
            layers: Positions along the first axis of a clip to keep, in this order; None keeps all.
        """
        self._require_within(rows, len(self._features))
        # Neighbours in one copy.
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(places) != 1)) + 1
        for first, end in itertools.pairwise([0, *breaks.tolist(), len(rows)]):
            if first < end:
                wanted = slice(places[first], places[first] + end - first)
                self._laid.copy(int(rows[first]), out[wanted], layers)

    def read_frames(self, row: int, layers: Sequence[int] | None = None) -> np.ndarray:
        """Return the frames of one clip of a ragged shard, shape (T, R, D), or codes (T, R).

        Args:
            row: Of the clip.
            layers: Positions along R to keep, in this order; None keeps all.
        """
        assert self.offsets is not None
        self._require_within(np.array([row]), len(self.offsets) - 1)
        first, end = self.offsets[row : row + 2].tolist()
        kept = () if layers is None else (len(layers),)
        shape = (*kept, *self.shape[len(kept) :])
        frames = np.empty((end - first, *shape), self.dtype)
        self._laid.copy(first, frames, layers)
        return frames

    @cached_property
    def _laid(self) -> Laid:
        return Laid(self._features, self._data)

    def _require_within(self, rows: np.ndarray, number: int) -> None:
        outside = rows[(rows < 0) | (rows >= number)]
        if len(outside):
            raise FeatureStoreError(
                f"{self._where}: has no row {outside[0]}, only {number}; {CURE}."
            )


@contextmanager
def open_shard(data: bytes, where: object) -> Iterator[OpenShard]:
    """Open what `shard_bytes` wrote; call it only on bytes whose digest has been checked.

    Raises:
        FeatureStoreError: If it is not a shard, of another version, or points outside itself.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            with _formed(where):
                shard = OpenShard(file, data, where)
            yield shard
    except (OSError, KeyError, RuntimeError) as error:
        raise FeatureStoreError(f"{where}: cannot be read as HDF5 ({error}); {CURE}.") from error


@contextmanager
def _formed(where: object) -> Iterator[None]:
    """Refuse what is whole and yet no shard: its attributes or tables are of other types."""
    try:
        yield
    except FeatureStoreError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise FeatureStoreError(f"{where}: is no shard of genser's ({error}); {CURE}.") from error


def read_shard_bytes(data: bytes, where: object) -> Shard:
    """Read a shard whole.

    Raises:
        FeatureStoreError: As `open_shard`.
    """
    with open_shard(data, where) as shard:
        return shard.whole()


def _chunk_length(shard: Shard) -> int:
    if shard.offsets is None:
        return 1
    most = FRAMES_PER_CHUNK if shard.features.ndim == 3 else CODES_PER_CHUNK
    return min(most, len(shard.features))


def _require_offsets(offsets: np.ndarray, num_frames: int, where: object) -> None:
    is_sound = (
        offsets.ndim == 1
        and offsets.dtype == np.int64
        and len(offsets) > 0
        and offsets[0] == 0
        and offsets[-1] == num_frames
        and bool((np.diff(offsets) >= 0).all())
    )
    if not is_sound:
        raise FeatureStoreError(
            f"{where}: its offsets do not run from 0 to its {num_frames} frames as int64; "
            "extract it again."
        )


def _num_frames(clips: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
    """Return the number of frames of each clip, 0 for those without."""
    rows = clips["row"].to_numpy()
    lengths = np.append(np.diff(offsets), 0)  # row -1 takes the last
    result: np.ndarray = lengths[rows]
    return result
