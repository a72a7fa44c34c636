"""One shard as bytes: an HDF5 file that describes itself, made and read in memory.

A shard is one unit of finished work: the clips it was made from, failed ones too, and the features
of those that have any. Written in memory, it meets the disk as plain bytes under one digest; read
in memory, what was hashed is what HDF5 sees. Dense features are format 1, ragged ones format 2.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import canonical_json, sha256_bytes
from pipeline.store.datasets import Laid, column, own_dataset
from pipeline.store.places import Rows
from pipeline.store.recipe import Recipe, checked_recipe
from pipeline.store.views import CLIP_COLUMNS, CURE, NUM_FRAMES, PLACED
from pipeline.typed import typed_json

FORMAT = "genser-shard"
DENSE, RAGGED = 1, 2  # the versions of the format


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
        start: As read, the byte of the file where the features begin; None where they lie in
            chunks, as before, or nowhere.
    """

    clips: pd.DataFrame
    features: np.ndarray
    recipe: Recipe
    provenance: Mapping[str, Any]
    offsets: np.ndarray | None = None
    start: int | None = None

    def __post_init__(self) -> None:
        if self.offsets is not None:
            _require_offsets(self.offsets, len(self.features), "a shard")

    def records(self, number: int) -> pd.DataFrame:
        """Return the clips as records: with the shard's number, and where their features lie."""
        bounds = self.offsets
        if bounds is None:
            bounds = np.arange(len(self.features) + 1)
        size = math.prod(self.features.shape[1:]) * self.features.itemsize
        starts = np.full(len(self.clips), -1)
        digests = [""] * len(self.clips)
        for i, row in enumerate(self.clips["row"]):
            if self.start is not None and 0 <= row < len(bounds) - 1:
                first, end = bounds[row : row + 2]
                starts[i] = self.start + first * size
                digests[i] = sha256_bytes(self.features[first:end].data)
        told = {"features_start": starts, "features_digest": digests}
        kinds: dict[Any, Any] = dict(PLACED)
        placed = pd.DataFrame(told, index=self.clips.index).astype(kinds)
        return pd.concat([self.clips.assign(shard=number), placed], axis=1)


def shard_bytes(shard: Shard) -> bytes:
    """Return the shard as the bytes of an HDF5 file; equal shards give equal bytes."""
    with h5py.File("shard.h5", "w", driver="core", backing_store=False) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = DENSE if shard.offsets is None else RAGGED
        file.attrs["recipe"] = canonical_json(shard.recipe)
        file.attrs["provenance"] = canonical_json(shard.provenance)
        # In one piece, so that a clip is told by where its features begin.
        file.create_dataset("features", data=shard.features)
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
            start=self._features.id.get_offset(),
        )

    def read_into(self, out: np.ndarray, wanted: Rows, layers: Sequence[int] | None = None) -> None:
        """Put the features of clips of a dense shard where they are wanted, in one copy.

        Args:
            out: Shape (N, ...).
            wanted: Which clips, and where in it.
            layers: Positions along the first axis of a clip to keep, in this order; None keeps all.
        """
        self._require_within(wanted.rows, len(self._features))
        for run in wanted.runs(len(self._features)):
            there = slice(wanted.places[run.start], wanted.places[run.stop - 1] + 1)
            self._laid.copy(int(wanted.rows[run.start]), out[there], layers)

    def frames(self, wanted: Rows, layers: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Yield the frames of clips of a ragged shard, each (T, R, D), or codes (T, R).

        Args:
            wanted: Which clips.
            layers: Positions along R to keep, in this order; None keeps all.
        """
        assert self.offsets is not None
        self._require_within(wanted.rows, len(self.offsets) - 1)
        kept = () if layers is None else (len(layers),)
        for row in wanted.rows:
            first, end = self.offsets[row : row + 2].tolist()
            frames = np.empty((end - first, *kept, *self.shape[len(kept) :]), self.dtype)
            self._laid.copy(first, frames, layers)
            yield frames

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
