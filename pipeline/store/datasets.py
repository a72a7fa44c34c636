"""Datasets of one HDF5 file that is wholly in memory: that they lie in it, and where.

The file was held to its digest as a whole before it was opened, so its bytes can be taken for what
they are: HDF5 is asked where features lie, and each row is copied once, to where it is wanted.
"""

import math
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.store.views import CURE

TEXT_BYTES, TEXTS_AT_A_TIME = 1 << 26, 4096  # of a column of texts, at most


class Laid:
    """The rows of a dataset of numbers, copied from where they lie."""

    def __init__(self, dataset: h5py.Dataset, data: bytes) -> None:
        self._dataset = dataset
        self._data = data
        self._row_shape: tuple[int, ...] = dataset.shape[1:]
        self._row_size = math.prod(self._row_shape)
        self._kind: np.dtype[Any] = dataset.dtype
        # Contiguous data are one chunk.
        self._length = dataset.shape[0] if dataset.chunks is None else dataset.chunks[0]
        self._starts = self._chunks() if dataset.size else []

    def copy(self, first: int, out: np.ndarray, layers: Sequence[int] | None = None) -> None:
        """Copy rows from `first` on into `out`, (N, ...), as many as it has, all of them there.

        Args:
            first: Of the rows.
            out: Where to.
            layers: Positions along a row's first axis to keep, in this order; None keeps all.
        """
        done = 0
        while done < len(out):
            part = self._part(first + done, len(out) - done)
            out[done : done + len(part)] = part if layers is None else part[:, list(layers)]
            done += len(part)

    def _part(self, first: int, most: int) -> np.ndarray:
        """Return rows from `first` on without a copy, as many as their chunk has and at most."""
        if not self._starts:
            found: np.ndarray = self._dataset[first : first + most]
            return found
        chunk, row = divmod(first, self._length)
        num = min(most, self._length - row)
        start = self._starts[chunk] + row * self._row_size * self._kind.itemsize
        part = np.frombuffer(self._data, self._kind, num * self._row_size, start)
        return part.reshape(num, *self._row_shape)

    def _chunks(self) -> list[int]:
        """Return where each chunk of whole rows starts; none where HDF5 has to put them together.

        So it is where another program has cut rows into pieces, or says of a chunk that it lies
        outside the file.
        """
        dataset = self._dataset
        if dataset.chunks is None:
            starts = [dataset.id.get_offset()]
        elif dataset.chunks[1:] == self._row_shape:
            found: list[Any] = []
            dataset.id.chunk_iter(found.append)
            starts = [chunk.byte_offset for chunk in sorted(found, key=lambda c: c.chunk_offset)]
        else:
            return []
        num_bytes = self._length * self._row_size * self._kind.itemsize
        is_whole = len(starts) == -(-len(dataset) // self._length)
        inside = all(s is not None and s + num_bytes <= len(self._data) for s in starts)
        return starts if is_whole and inside else []


def own_dataset(file: h5py.File, name: str, where: object) -> h5py.Dataset:
    """Return a dataset whose bytes lie in this very file.

    A link, external storage or a virtual dataset would read any file of the machine.

    Raises:
        KeyError: If there is none of that name.
        FeatureStoreError: If it lies elsewhere, or is not written out.
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


def column(dataset: h5py.Dataset, kind: str) -> pd.Series:
    """Return a column of a table, numbers of a kind or `"str"`.

    Raises:
        ValueError: If its texts are longer than the file.
    """
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
