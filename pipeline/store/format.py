"""One shard as bytes: an HDF5 file that describes itself, made and read in memory.

A shard is one unit of finished work: the clips it was made from, failed ones too, and the features
of those that have any. Written in memory, it meets the disk as plain bytes under one digest; read
in memory, what was hashed is what HDF5 sees.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import canonical_json
from pipeline.store.recipe import Recipe
from pipeline.store.views import CLIP_COLUMNS

FORMAT = "genser-shard"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A finished piece of a view.

    Attributes:
        clips: One row per clip, columns `CLIP_COLUMNS`, in manifest order.
        features: The features of the clips whose `row` is not -1, shape (N, ...).
        recipe: What the features were made with.
        provenance: Versions and names that are recorded and not compared.
    """

    clips: pd.DataFrame
    features: np.ndarray
    recipe: Recipe
    provenance: Mapping[str, Any]


def shard_bytes(shard: Shard) -> bytes:
    """Return the shard as the bytes of an HDF5 file; equal shards give equal bytes."""
    with h5py.File("shard.h5", "w", driver="core", backing_store=False) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["recipe"] = canonical_json(shard.recipe)
        file.attrs["provenance"] = canonical_json(shard.provenance)
        # One row a chunk: a random clip is one read; Fletcher-32 guards each.
        chunks = (1, *shard.features.shape[1:]) if shard.features.size else None
        file.create_dataset(
            "features", data=shard.features, chunks=chunks, fletcher32=chunks is not None
        )
        clips = file.create_group("clips")
        for name, kind in CLIP_COLUMNS.items():
            values = shard.clips[name]
            if kind == "str":
                clips.create_dataset(name, data=values.tolist(), dtype=h5py.string_dtype())
            else:
                clips.create_dataset(name, data=values.to_numpy(kind))
        file.flush()
        return bytes(file.id.get_file_image())


def read_shard_bytes(data: bytes, where: object) -> Shard:
    """Read what `shard_bytes` wrote; call it only on bytes whose digest has been checked.

    Raises:
        FeatureStoreError: If it is not a shard, of another version, or points outside itself.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise FeatureStoreError(f"{where}: not a shard of a feature store.")
            version = int(file.attrs["format_version"])
            if version != FORMAT_VERSION:
                raise FeatureStoreError(
                    f"{where}: shard format {version}, this genser reads {FORMAT_VERSION}; "
                    "install the version that wrote it, or extract again."
                )
            features = _own_dataset(file, "features", where)[()]
            columns = {
                name: _column(_own_dataset(file, f"clips/{name}", where), kind)
                for name, kind in CLIP_COLUMNS.items()
            }
            return Shard(
                clips=pd.DataFrame(columns),
                features=features,
                recipe=json.loads(file.attrs["recipe"]),
                provenance=json.loads(file.attrs["provenance"]),
            )
    except (OSError, KeyError, RuntimeError) as error:
        raise FeatureStoreError(
            f"{where}: cannot be read as HDF5 ({error}); run 'genser verify --repair' on the "
            "store, then extract."
        ) from error


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
    return group


def _column(dataset: h5py.Dataset, kind: str) -> pd.Series:
    if kind == "str":
        return pd.Series(list(dataset.asstr()[()]), dtype="str")
    return pd.Series(dataset[()].astype(kind))
