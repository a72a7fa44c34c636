"""Features computed elsewhere become a store with a recipe of their own.

A table is an npz with `utterance_id` (N,) and `features` (N, D) or (N, L, D), a folder of one
`<utterance_id>.npy` per clip, or a Parquet file with `utterance_id` and a list column `features`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.audio.outcomes import NONFINITE, OK
from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.files import fingerprint, sha256_bytes
from pipeline.progress import Reporter
from pipeline.provenance import package_versions
from pipeline.store.format import Shard
from pipeline.store.planning import REQUEST_COLUMNS, plan_groups
from pipeline.store.recipe import Recipe
from pipeline.store.turns import Job, enter_turn
from pipeline.store.views import CLIP_COLUMNS, LAYERS
from pipeline.store.writer import ViewWriter


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """What a table cannot say of itself."""

    name: str = "features"  # of the features, part of the recipe
    last_layer: int = -1  # the row that is x1; negative counts from the end
    stored_dtype: str = "float16"  # of the store: float16 or float32
    rows_per_shard: int = 256  # clips per shard

    def __post_init__(self) -> None:
        if self.stored_dtype not in ("float16", "float32"):
            raise ParamsError(
                f"ingest.stored_dtype: {self.stored_dtype!r} is not 'float16' or 'float32'."
            )
        if self.rows_per_shard < 1:
            raise ParamsError(f"ingest.rows_per_shard: {self.rows_per_shard} is below 1.")


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """A table of features.

    Attributes:
        utterance_ids: Unique.
        features: Shape (N, L, D).
    """

    utterance_ids: list[str]
    features: np.ndarray


def read_feature_table(path: Path) -> FeatureTable:
    """Read a table of features; one vector per clip becomes one layer.

    Raises:
        FeatureStoreError: If it cannot be read, ids repeat, or shapes differ.
    """
    try:
        if path.is_dir():
            ids, features = _read_folder(path)
        elif path.suffix == ".npz":
            ids, features = _read_npz(path)
        elif path.suffix == ".parquet":
            ids, features = _read_parquet(path)
        else:
            raise FeatureStoreError(
                f"{path}: wanted an .npz, a .parquet or a folder of .npy files."
            )
    except FileNotFoundError as error:
        raise FeatureStoreError(f"{path}: no such table of features.") from error
    except (OSError, ValueError, KeyError, EOFError, pa.ArrowException) as error:
        if isinstance(error, FeatureStoreError):
            raise
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeatureStoreError(f"{path}: cannot be read ({line}); write it again.") from error
    if features.ndim == 2:
        features = features[:, None]
    if features.ndim != 3 or not features.size or features.dtype.kind != "f":
        raise FeatureStoreError(
            f"{path}: features have shape {features.shape} and type {features.dtype}, wanted "
            "(N, D) or (N, L, D) floating-point numbers."
        )
    if len(ids) != len(features):
        raise FeatureStoreError(f"{path}: {len(ids)} ids for {len(features)} rows of features.")
    repeated = pd.Series(ids)[pd.Series(ids).duplicated()]
    if len(repeated):
        raise FeatureStoreError(f"{path}: utterance_id {repeated.iloc[0]!r} occurs twice.")
    return FeatureTable(utterance_ids=ids, features=features)


def ingest(table: FeatureTable, root: Path, config: IngestConfig, reporter: Reporter) -> int:
    """Bring a store's `layers` view up to date with a table; return how many rows were written.

    Raises:
        ParamsError: If `last_layer` is not a row of the table.
        FeatureStoreError: If the store is in use or holds features of another recipe.
        OutputError: If it cannot be written.
    """
    recipe = make_recipe(table, config)
    digests = [sha256_bytes(row.tobytes()) for row in table.features]
    places = dict(zip(table.utterance_ids, range(len(digests)), strict=True))
    # The source of a clip is its row in the table, by number.
    requests = pd.DataFrame(
        {
            "utterance_id": table.utterance_ids,
            "source": [str(i) for i in range(len(digests))],
            "start": np.nan,
            "end": np.nan,
            "channel": -1,
            "num_samples": -1,
            "sample_rate": -1,
        }
    )[list(REQUEST_COLUMNS)]
    key = [fingerprint(digests), table.utterance_ids, dict(recipe)]
    with enter_turn(root, job=Job(), plan_key=key):
        provenance = {"versions": package_versions()}
        writer = ViewWriter(root, LAYERS, recipe, provenance)
        groups = plan_groups(
            writer,
            requests,
            rows_per_shard=config.rows_per_shard,
            digests_of=lambda sources: [digests[int(source)] for source in sources],
            may_adopt=True,
        )
        todo = [group for group in groups if not group.is_finished]
        reporter.begin(sum(len(group.requests) for group in todo))
        for group in todo:
            rows = [places[name] for name in group.requests["utterance_id"]]
            features = table.features[rows]
            clips = _clip_table(group.requests, features, [digests[i] for i in rows], config)
            kept = features[(clips["row"] >= 0).to_numpy()].astype(config.stored_dtype)
            shard = Shard(clips=clips, features=kept, recipe=recipe, provenance=provenance)
            writer.publish(group.number, shard)
            reporter.advance(len(rows))
        writer.commit([group.number for group in groups], keep=None)
    return sum(len(group.requests) for group in todo)


def make_recipe(table: FeatureTable, config: IngestConfig) -> Recipe:
    """Return what identifies ingested features.

    Raises:
        ParamsError: If `last_layer` is not a row of the table.
    """
    num_layers, dim = table.features.shape[1:]
    if not -num_layers <= config.last_layer < num_layers:
        raise ParamsError(
            f"ingest.last_layer: {config.last_layer} is not a row of {num_layers}-layer features."
        )
    return {
        "view": LAYERS,
        "source": "table",
        "name": config.name,
        "num_layers": num_layers,
        "dim": dim,
        "last_layer": config.last_layer % num_layers,
        "stored_dtype": config.stored_dtype,
    }


def _clip_table(
    requests: pd.DataFrame, features: np.ndarray, digests: list[str], config: IngestConfig
) -> pd.DataFrame:
    limit = float(np.finfo(config.stored_dtype).max)
    largest = np.abs(features.astype(np.float64)).max(axis=(1, 2))
    # NaN compares false, so it fails like infinity and like what the stored type cannot hold.
    fits = largest <= limit
    columns: dict[str, Any] = {
        "utterance_id": requests["utterance_id"].tolist(),
        "start": np.nan,
        "end": np.nan,
        "channel": -1,
        "file_digest": digests,
        "audio_digest": "",
        "num_samples": -1,
        "sample_rate": -1,
        "duration": 0.0,
        "outcome": np.where(fits, OK, NONFINITE),
        "message": [
            "" if ok else f"largest value {value:g} is not finite in {config.stored_dtype}; mend it"
            for ok, value in zip(fits, largest, strict=True)
        ],
        "row": np.where(fits, np.cumsum(fits) - 1, -1),
    }
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    return pd.DataFrame(columns).astype(kinds)


def _read_npz(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as table:
        return [str(name) for name in table["utterance_id"]], table["features"]


def _read_folder(path: Path) -> tuple[list[str], np.ndarray]:
    files = sorted(path.rglob("*.npy"))
    if not files:
        raise FeatureStoreError(f"{path}: holds no .npy files; name the folder that has them.")
    arrays = [np.load(file, allow_pickle=False) for file in files]
    for file, array in zip(files, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise FeatureStoreError(
                f"{file}: shape {array.shape}, {files[0].name} has {arrays[0].shape}; "
                "average over time first, so that all are alike."
            )
    ids = [file.relative_to(path).with_suffix("").as_posix() for file in files]
    return ids, np.stack(arrays)


def _read_parquet(path: Path) -> tuple[list[str], np.ndarray]:
    table = pq.read_table(path, columns=["utterance_id", "features"])
    return table["utterance_id"].to_pylist(), np.array(table["features"].to_pylist(), np.float32)
