"""Tables of features that another program has computed, dense or ragged.

    .npz       `utterance_id` (N,) and `features` (N, D) or (N, L, D); or, with `lengths` (N,) or
               `offsets` (N + 1,), `features` (sum T, D) or (sum T, R, D), one clip after another
    folder     one `<utterance_id>.npy` per clip, of (D,) or (L, D); frames (T, D) or (T, R, D)
    .parquet   `utterance_id` and `features`: a list of numbers or a list of such lists per clip

A folder and a Parquet file cannot say whether a clip's first axis is layers or time: `ingest.kind`
does.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile, ZipInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import FeatureStoreError
from pipeline.files import require_regular
from pipeline.store.views import FRAMES, LAYERS

MOST_PACKED = 1 << 26  # bytes of an array that may be packed however well
BEST_PACKED = 100  # times smaller than in memory

# What numpy, zip and Arrow raise of a file that is damaged.
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    RuntimeError,  # NotImplementedError among them
    SyntaxError,
    TokenError,
    BadZipFile,
    zlib.error,
    pa.ArrowException,
)


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """A table of features.

    Attributes:
        utterance_ids: N of them, unique.
        features: Shape (N, L, D); ragged, shape (sum T, R, D).
        offsets: Of a ragged table, shape (N + 1,): the frames of clip i are
            `features[offsets[i]:offsets[i + 1]]`. None: dense.
    """

    utterance_ids: list[str]
    features: np.ndarray
    offsets: np.ndarray | None = None

    @property
    def kind(self) -> str:
        """`LAYERS` or `FRAMES`."""
        return LAYERS if self.offsets is None else FRAMES

    def clip(self, i: int) -> np.ndarray:
        """Return the features of clip i, shape (L, D), or (T, R, D) of frames."""
        return (
            self.features[i]
            if self.offsets is None
            else self.features[self.offsets[i] : self.offsets[i + 1]]
        )


def read_feature_table(path: Path, kind: str | None = None) -> FeatureTable:
    """Read a table of features; one vector per clip, or per frame, becomes one layer.

    Args:
        path: The table.
        kind: `LAYERS` or `FRAMES`; None lets an .npz say it, and takes others as layers.

    Raises:
        FeatureStoreError: If it cannot be read, is of another kind, ids repeat, or sizes differ.
    """
    try:
        if path.is_dir():
            table = _read_folder(path, kind)
        elif path.suffix == ".npz":
            table = _read_npz(path, kind)
        elif path.suffix == ".parquet":
            table = _read_parquet(path, kind)
        else:
            raise FeatureStoreError(
                f"{path}: wanted an .npz, a .parquet or a folder of .npy files."
            )
    except FileNotFoundError as error:
        raise FeatureStoreError(f"{path}: no such table of features.") from error
    except UNREADABLE as error:
        if isinstance(error, FeatureStoreError):
            raise
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeatureStoreError(f"{path}: cannot be read ({line}); write it again.") from error
    return _checked(path, table)


def _checked(path: Path, table: FeatureTable) -> FeatureTable:
    ids, features, offsets = table.utterance_ids, table.features, table.offsets
    if features.ndim == 2:
        features = features[:, None]
    if features.ndim != 3 or not features.size or features.dtype.kind != "f":
        wanted = "(N, D) or (N, L, D)" if offsets is None else "(sum T, D) or (sum T, R, D)"
        raise FeatureStoreError(
            f"{path}: features have shape {features.shape} and type {features.dtype}, wanted "
            f"{wanted} floating-point numbers."
        )
    if offsets is None and len(ids) != len(features):
        raise FeatureStoreError(f"{path}: {len(ids)} ids for {len(features)} rows of features.")
    if offsets is not None:
        _check_offsets(path, ids, offsets, len(features))
    repeated = pd.Series(ids)[pd.Series(ids).duplicated()]
    if len(repeated):
        raise FeatureStoreError(f"{path}: utterance_id {repeated.iloc[0]!r} occurs twice.")
    return FeatureTable(utterance_ids=ids, features=features, offsets=offsets)


def _check_offsets(path: Path, ids: Sequence[str], offsets: np.ndarray, num_frames: int) -> None:
    if offsets.ndim != 1 or len(offsets) != len(ids) + 1:
        raise FeatureStoreError(
            f"{path}: found {max(offsets.size - 1, 0)} lengths for {len(ids)} ids; write one for "
            "each id, or one offset more."
        )
    if offsets[0] != 0 or offsets[-1] != num_frames:
        raise FeatureStoreError(
            f"{path}: the clips' frames run from {offsets[0]} to {offsets[-1]}, features have "
            f"{num_frames}; write lengths or offsets of just these frames."
        )
    empty = np.flatnonzero(np.diff(offsets) < 1)
    if len(empty):
        first = int(empty[0])
        raise FeatureStoreError(
            f"{path}: {ids[first]!r} has {offsets[first + 1] - offsets[first]} frames, wanted 1 or "
            "more; leave the clip out."
        )


def _read_npz(path: Path, kind: str | None) -> FeatureTable:
    require_regular(path)
    # Opened here: what numpy opens itself stays open if it is damaged.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        _require_written_out(path, file.zip.infolist())
        ids = [str(name) for name in file["utterance_id"]]
        found = [name for name in ("lengths", "offsets") if name in file]
        if len(found) > 1 or (kind == FRAMES and not found) or (kind == LAYERS and found):
            wanted = {None: "at most one of them", LAYERS: "neither", FRAMES: "one of them"}[kind]
            raise FeatureStoreError(
                f"{path}: found {' and '.join(found) or 'neither lengths nor offsets'}, wanted "
                f"{wanted}; mend the table or ingest.kind."
            )
        if not found:
            return FeatureTable(utterance_ids=ids, features=file["features"])
        numbers = file[found[0]]
        if numbers.dtype.kind not in "iu":
            raise FeatureStoreError(
                f"{path}: {found[0]} have type {numbers.dtype}, wanted whole numbers."
            )
        numbers = numbers.astype(np.int64)
        offsets = numbers if found == ["offsets"] else np.concatenate([[0], np.cumsum(numbers)])
        return FeatureTable(utterance_ids=ids, features=file["features"], offsets=offsets)


def _require_written_out(path: Path, members: Sequence[ZipInfo]) -> None:
    """Refuse arrays that are far larger in memory than in the file: no features pack so well."""
    for member in members:
        if member.file_size > MOST_PACKED and member.file_size > BEST_PACKED * member.compress_size:
            raise FeatureStoreError(
                f"{path}: {member.filename} is not written out: {member.file_size} bytes from "
                f"{member.compress_size}; write it by numpy.savez."
            )


def _read_folder(path: Path, kind: str | None) -> FeatureTable:
    files = sorted(path.rglob("*.npy"))
    if not files:
        raise FeatureStoreError(f"{path}: holds no .npy files; name the folder that has them.")
    arrays = [_read_npy(file) for file in files]
    ids = [file.relative_to(path).with_suffix("").as_posix() for file in files]
    return _joined(ids, arrays, [str(file) for file in files], kind)


def _read_npy(path: Path) -> np.ndarray:
    require_regular(path)
    with path.open("rb") as file:
        array: np.ndarray = np.load(file, allow_pickle=False)
    return array


def _read_parquet(path: Path, kind: str | None) -> FeatureTable:
    require_regular(path)
    table = pq.read_table(path, columns=["utterance_id", "features"])
    ids = table["utterance_id"].to_pylist()
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and a clip's outcome
        arrays = [np.array(value, np.float32) for value in table["features"].to_pylist()]
    return _joined(ids, arrays, [f"{path}: {name!r}" for name in ids], kind)


def _joined(
    ids: list[str], arrays: Sequence[np.ndarray], places: Sequence[str], kind: str | None
) -> FeatureTable:
    """Put the clips' arrays together: stacked as layers, or one after another as frames."""
    first = arrays[0].shape
    for place, array in zip(places, arrays, strict=True):
        if kind != FRAMES and array.shape != first:
            raise FeatureStoreError(
                f"{place}: shape {array.shape}, {Path(places[0]).name} has {first}; set "
                "ingest.kind to frames if the first axis is time, or average over it first."
            )
        if kind == FRAMES and (array.ndim not in (2, 3) or array.shape[1:] != first[1:]):
            axes = ", ".join(["T", *map(str, first[1:])]) if len(first) in (2, 3) else "T, D"
            raise FeatureStoreError(
                f"{place}: shape {array.shape}, wanted ({axes}) as frames, for every clip alike."
            )
    if kind != FRAMES:
        return FeatureTable(utterance_ids=ids, features=np.stack(arrays))
    offsets = np.cumsum([0, *(len(array) for array in arrays)], dtype=np.int64)
    return FeatureTable(utterance_ids=ids, features=np.concatenate(arrays), offsets=offsets)
