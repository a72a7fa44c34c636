"""Features computed elsewhere become a view of a store, with a recipe of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.audio.outcomes import NONFINITE, OK
from pipeline.errors import ParamsError
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.settings import CLIPS_PER_SHARD, STORED_DTYPES
from pipeline.files import sha256_bytes
from pipeline.names import require_view_name
from pipeline.progress import Reporter
from pipeline.provenance import package_versions
from pipeline.store.format import Shard
from pipeline.store.planning import REQUEST_COLUMNS, plan_groups
from pipeline.store.recipe import TRAINED_ON, Recipe
from pipeline.store.turns import enter_turn
from pipeline.store.views import CLIP_COLUMNS, FRAMES, LAYERS
from pipeline.store.writer import ViewWriter

KINDS = (LAYERS, FRAMES)  # of features that may be brought along


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """What a table cannot say of itself."""

    name: str = "features"  # of the features, part of the recipe
    view: str | None = None  # of the store; None: layers, or frames for a table of frames
    kind: str | None = None  # layers or frames; None: what an .npz says, of others layers
    last_layer: int = -1  # of layers: the one that is x1; negative counts from the end
    stored_dtype: str = "float16"  # of the store: float16 or float32
    rows_per_shard: int | None = None  # clips; None: 256, of frames 64
    trained_on: tuple[str, ...] = ()  # corpora that the model behind them was trained on

    def __post_init__(self) -> None:
        if self.view is not None:
            require_view_name("ingest.view", self.view)
        if self.kind not in (None, *KINDS):
            raise ParamsError(f"ingest.kind: {self.kind!r} is not one of {list(KINDS)}.")
        if self.stored_dtype not in STORED_DTYPES:
            raise ParamsError(
                f"ingest.stored_dtype: {self.stored_dtype!r} is not 'float16' or 'float32'."
            )
        if self.rows_per_shard is not None and self.rows_per_shard < 1:
            raise ParamsError(f"ingest.rows_per_shard: {self.rows_per_shard} is below 1.")
        if "" in self.trained_on:
            raise ParamsError("ingest.trained_on: '' names no corpus; leave it out.")

    def view_of(self, table: FeatureTable) -> str:
        """Return the name of the view that a table becomes."""
        return self.view or table.kind


def ingest(
    table: FeatureTable,
    root: Path,
    config: IngestConfig,
    reporter: Reporter,
    *,
    replace: bool = False,
) -> int:
    """Bring a view up to date with a table; return how many clips were written.

    With `replace` a view of another recipe is made anew, and that one kept beside it.

    Raises:
        ParamsError: If `last_layer` is no layer of the table.
        FeatureStoreError: If the store is in use or holds features of another recipe.
        OutputError: If it cannot be written.
    """
    recipe = make_recipe(table, config)
    digests = [sha256_bytes(table.clip(i).tobytes()) for i in range(len(table.utterance_ids))]
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
    with enter_turn(root):
        provenance = {"versions": package_versions()}
        writer = ViewWriter(root, config.view_of(table), recipe, provenance, replace=replace)
        groups = plan_groups(
            writer,
            requests,
            rows_per_shard=config.rows_per_shard or CLIPS_PER_SHARD[table.kind],
            digests_of=lambda sources: [digests[int(source)] for source in sources],
            may_adopt=True,
        )
        todo = [group for group in groups if not group.is_finished]
        reporter.begin(sum(len(group.requests) for group in todo))
        for group in todo:
            rows = [places[name] for name in group.requests["utterance_id"]]
            clips = _clip_table(group.requests, table, rows, digests, config)
            kept = [i for i, row in zip(rows, clips["row"], strict=True) if row >= 0]
            shard = _make_shard(clips, table, kept, config, recipe, provenance)
            writer.publish(group.number, shard)
            reporter.advance(len(rows))
        writer.commit([group.number for group in groups], keep=None)
    return sum(len(group.requests) for group in todo)


def make_recipe(table: FeatureTable, config: IngestConfig) -> Recipe:
    """Return what identifies ingested features.

    Raises:
        ParamsError: If `last_layer` is no layer of the table.
    """
    num_layers, dim = table.features.shape[1:]
    shared: dict[str, Any] = {
        "view": table.kind,
        "source": "table",
        "name": config.name,
        "num_layers": num_layers,
        "dim": dim,
        "stored_dtype": config.stored_dtype,
    }
    if config.trained_on:
        shared[TRAINED_ON] = sorted(set(config.trained_on))
    if table.kind == FRAMES:
        return shared | {"layers": list(range(num_layers)), "every": 1}
    if not -num_layers <= config.last_layer < num_layers:
        raise ParamsError(
            f"ingest.last_layer: {config.last_layer} is not one of the {num_layers} layers of the "
            "features."
        )
    return shared | {"last_layer": config.last_layer % num_layers}


def _make_shard(
    clips: pd.DataFrame,
    table: FeatureTable,
    kept: Sequence[int],
    config: IngestConfig,
    recipe: Recipe,
    provenance: dict[str, Any],
) -> Shard:
    parts = [table.clip(i).astype(config.stored_dtype) for i in kept]
    offsets: np.ndarray | None = None
    empty = np.empty((0, *table.features.shape[1:]), config.stored_dtype)
    if table.kind == FRAMES:
        offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        features = np.concatenate([empty, *parts])
    else:
        features = np.stack(parts) if parts else empty
    return Shard(
        clips=clips, features=features, recipe=recipe, provenance=provenance, offsets=offsets
    )


def _clip_table(
    requests: pd.DataFrame,
    table: FeatureTable,
    rows: Sequence[int],
    digests: Sequence[str],
    config: IngestConfig,
) -> pd.DataFrame:
    limit = float(np.finfo(config.stored_dtype).max)
    largest = np.array([np.abs(table.clip(i).astype(np.float64)).max() for i in rows])
    # NaN compares false, so it fails like infinity and like what the stored type cannot hold.
    fits = largest <= limit
    columns: dict[str, Any] = {
        "utterance_id": requests["utterance_id"].tolist(),
        "start": np.nan,
        "end": np.nan,
        "channel": -1,
        "file_digest": [digests[i] for i in rows],
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
