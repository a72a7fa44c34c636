"""One shard as bytes: an HDF5 file that describes itself, made and read in memory.

A shard is one unit of finished work: the clips it was made from, failed ones too, and the features
of those that have any. Written in memory, it meets the disk as plain bytes under one digest; read
in memory, what was hashed is what HDF5 sees. Dense features are format 1, ragged ones format 2.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import canonical_json
from pipeline.store.recipe import Recipe, checked_recipe
from pipeline.store.views import CLIP_COLUMNS, CURE, NUM_FRAMES
from pipeline.typed import typed_json

FORMAT = "genser-shard"
DENSE, RAGGED = 1, 2  # the versions of the format
FRAMES_PER_CHUNK = 64
CODES_PER_CHUNK = 4096
TEXT_BYTES, TEXTS_AT_A_TIME = 1 << 26, 4096  # of a column of texts, at most


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

    def __init__(self, file: h5py.File, where: object) -> None:
        self._file = file
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
        self._features = _own_dataset(file, "features", where)
        if self._features.dtype.kind not in "fu":
            raise TypeError(f"features of {self._features.dtype}")
        self.offsets: np.ndarray | None = None
        if version == RAGGED:
            self.offsets = _own_dataset(file, "offsets", where)[()]
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

    def whole(self) -> Shard:
        """Return everything."""
        columns = dict(CLIP_COLUMNS) | (NUM_FRAMES if self.offsets is not None else {})
        with _formed(self._where):
            clips = pd.DataFrame(
                {
                    name: _column(_own_dataset(self._file, f"clips/{name}", self._where), kind)
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

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of clips of a dense shard, shape (len(rows), ...)."""
        unique, inverse = np.unique(rows, return_inverse=True)
        self._require_within(unique, len(self._features))
        found = np.empty((len(unique), *self.shape), self._features.dtype)
        # Neighbours in one read: h5py is slow where it is given a list of rows.
        for run in np.split(np.arange(len(unique)), np.flatnonzero(np.diff(unique) > 1) + 1):
            if len(run):
                found[run] = self._features[unique[run[0]] : unique[run[-1]] + 1]
        return found[inverse]

    def read_frames(self, row: int) -> np.ndarray:
        """Return the frames of one clip of a ragged shard, shape (T, R, D), or codes (T, R)."""
        assert self.offsets is not None
        self._require_within(np.array([row]), len(self.offsets) - 1)
        frames: np.ndarray = self._features[self.offsets[row] : self.offsets[row + 1]]
        return frames

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
                shard = OpenShard(file, where)
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


def _own_dataset(file: h5py.File, name: str, where: object) -> h5py.Dataset:
    """Return a dataset whose bytes lie in this very file.

    A link, external storage or a virtual dataset would read any file of the machine.
    """
    group = file
    for part in name.split("/"):
        link = group.get(part, getlink=True)
        if link is None:
            raise KeyError(f"no {name!r}")
        if not isinstance(link, h5py.HardLink):
            raise FeatureStoreError(
                f"{where}: {name!r} is a link, wanted data inside the file; do not use this store."
            )
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.external or group.is_virtual:
        raise FeatureStoreError(
            f"{where}: {name!r} points to another file, wanted data inside the file; "
            "do not use this store."
        )
    _require_written_out(group, name, where)
    return group


def _require_written_out(dataset: h5py.Dataset, name: str, where: object) -> None:
    """Refuse data that take more room in memory than in the file: filtered, or never written."""
    made = dataset.id.get_create_plist()
    filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
    size = dataset.size * dataset.id.get_type().get_size()
    if filters - {h5py.h5z.FILTER_FLETCHER32} or dataset.id.get_storage_size() < size:
        raise FeatureStoreError(
            f"{where}: {name!r} is not written out: {size} bytes from "
            f"{dataset.id.get_storage_size()}; {CURE}."
        )


def _column(dataset: h5py.Dataset, kind: str) -> pd.Series:
    if kind == "str":
        return pd.Series(_texts(dataset), dtype="str")
    return pd.Series(dataset[()].astype(kind))


def _texts(dataset: h5py.Dataset) -> list[str]:
    """Return texts that are together no longer than their file: many can be one and the same."""
    most = dataset.file.id.get_filesize()
    step = min(max(TEXT_BYTES // most, 1), TEXTS_AT_A_TIME)
    found: list[str] = []
    num_bytes = 0
    for start in range(0, len(dataset), step):
        part = dataset[start : start + step]
        num_bytes += sum(map(len, part))
        if num_bytes > most:
            raise ValueError(f"{dataset.name} has texts of more than the file's {most} bytes")
        found += [text.decode() for text in part]
    return found
