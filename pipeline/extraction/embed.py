"""From a manifest's texts to a view of their vectors; no audio is needed.

The view is one of layers, (1, D) for each row, so whatever reads the layers of a clip reads it. A
row's text stands where other views have its recording: its digest says whether it has changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.audio.outcomes import NO_TEXT, NONFINITE, OK
from pipeline.encoders.base import COMPUTE_DTYPES
from pipeline.encoders.text import MEAN, TEXT_POOLINGS, TextEncoder
from pipeline.errors import ParamsError
from pipeline.manifests.embedded import sources_read, text_digests, texts_of
from pipeline.manifests.manifest import Manifest
from pipeline.names import require_view_name
from pipeline.progress import Reporter
from pipeline.provenance import package_versions
from pipeline.store.format import Shard
from pipeline.store.planning import REQUEST_COLUMNS, plan_groups
from pipeline.store.recipe import Recipe
from pipeline.store.turns import enter_turn
from pipeline.store.views import CLIP_COLUMNS, LAYERS, TEXT_SOURCE
from pipeline.store.writer import ViewWriter

STORED = "float32"


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """Everything about vectors of texts that changes a number."""

    encoder: str = ""  # a folder or owner/name@commit of BERT or one of its kin
    column: str = "text"  # of the manifest
    pooling: str = MEAN  # mean over a text's own tokens, or cls, its first one
    max_tokens: int = 256  # what a text is cut to, its marks of beginning and end among them
    batch_size: int = 64  # texts that go through the encoder together
    compute_dtype: str = "float32"  # of the encoder: float32, bfloat16, or float16 on a GPU
    rows_per_shard: int = 256  # texts

    def __post_init__(self) -> None:
        for name, allowed in (("pooling", TEXT_POOLINGS), ("compute_dtype", COMPUTE_DTYPES)):
            if getattr(self, name) not in allowed:
                raise ParamsError(
                    f"embed.{name}: {getattr(self, name)!r} is not one of {list(allowed)}."
                )
        for name in ("max_tokens", "batch_size", "rows_per_shard"):
            if getattr(self, name) < 1:
                raise ParamsError(f"embed.{name}: {getattr(self, name)} is below 1.")


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """What was done.

    Attributes:
        num_rows: Rows of the manifest.
        num_written: Those that were embedded by this run, or found to have no text.
        num_cut: Those of them whose text is longer than `max_tokens`.
        num_without: Rows of the manifest without text.
    """

    num_rows: int
    num_written: int
    num_cut: int
    num_without: int


def embed(
    manifest: Manifest,
    root: Path,
    name: str,
    config: EmbedConfig,
    encoder: TextEncoder,
    *,
    replace: bool = False,
    prune: bool = False,
    reporter: Reporter,
) -> Embedded:
    """Bring a view up to date with the texts of a manifest.

    Args:
        manifest: The manifest.
        root: The store's folder.
        name: Of the view.
        config: What changes a number.
        encoder: The one that the configuration names.
        replace: Make a view anew that was made otherwise, and keep that one beside it.
        prune: Forget rows that the manifest does not name.
        reporter: Hears of progress.

    Raises:
        ManifestError: If the manifest has no such column.
        FeatureStoreError: If the store is in use or damaged, or the view was made otherwise and
            `replace` is not given.
        OutputError: If it cannot be written; what is finished is kept.
    """
    require_view_name("--out", name)
    ids = manifest.store_ids
    texts = dict(zip(ids, texts_of(manifest, config.column), strict=True))
    digests = dict(zip(ids, text_digests(list(texts.values())), strict=True))
    recipe = make_recipe(encoder, config)
    provenance = {
        "encoder": config.encoder,
        "text_sources": list(sources_read(manifest.table, [config.column])),
        "versions": package_versions(),
    }
    num_cut = 0
    with enter_turn(root):
        writer = ViewWriter(root, name, recipe, provenance, replace=replace)
        groups = plan_groups(
            writer,
            _requests(ids),
            rows_per_shard=config.rows_per_shard,
            digests_of=lambda sources: [digests[source] for source in sources],
            may_adopt=True,
        )
        todo = [group for group in groups if not group.is_finished]
        reporter.begin(sum(len(group.requests) for group in todo))
        for group in todo:
            mine = group.requests["utterance_id"].tolist()
            given = [texts[one] for one in mine]
            vectors, cut = _vectors(given, encoder, config.batch_size)
            clips = _clips(mine, given, [digests[one] for one in mine], vectors)
            features = vectors[(clips["row"] >= 0).to_numpy()][:, None]
            shard = Shard(clips=clips, features=features, recipe=recipe, provenance=provenance)
            writer.publish(group.number, shard)
            num_cut += cut
            reporter.advance(len(mine))
        keep = frozenset(ids) if prune else None
        writer.commit([group.number for group in groups], keep)
    return Embedded(
        num_rows=len(ids),
        num_written=sum(len(group.requests) for group in todo),
        num_cut=num_cut,
        num_without=sum(not _says(text) for text in texts.values()),
    )


def make_recipe(encoder: TextEncoder, config: EmbedConfig) -> Recipe:
    """Return everything that changes a number of the view."""
    return {
        "view": LAYERS,
        "source": TEXT_SOURCE,
        "column": config.column,
        "encoder": dict(encoder.identity),
        "pooling": config.pooling,
        "max_tokens": config.max_tokens,
        "compute_dtype": config.compute_dtype,
        "stored_dtype": STORED,
        "num_layers": 1,
        "dim": encoder.dim,
        "last_layer": 0,
    }


def _says(text: str) -> bool:
    return bool(text.strip())


def _requests(ids: Sequence[str]) -> pd.DataFrame:
    """Return the table that a plan is made of; the source of a row is its id."""
    columns: dict[str, Any] = {
        "utterance_id": list(ids),
        "source": list(ids),
        "start": np.nan,
        "end": np.nan,
        "channel": -1,
        "num_samples": -1,
        "sample_rate": -1,
    }
    return pd.DataFrame(columns)[list(REQUEST_COLUMNS)]


def _vectors(texts: Sequence[str], encoder: TextEncoder, batch_size: int) -> tuple[np.ndarray, int]:
    """Return the vectors of texts, (N, D), 0 of an empty one, and how many texts were cut."""
    vectors = np.zeros((len(texts), encoder.dim), np.float32)
    given = np.array([i for i, text in enumerate(texts) if _says(text)], np.int64)
    if not len(given):
        return vectors, 0
    lengths = encoder.lengths([texts[i] for i in given])
    # Texts of like length go together, so that little is computed for padding.
    order = given[np.argsort(lengths, kind="stable")]
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        vectors[batch] = encoder.encode([texts[i] for i in batch])
    return vectors, int((lengths > encoder.max_tokens).sum())


def _clips(
    ids: Sequence[str], texts: Sequence[str], digests: Sequence[str], vectors: np.ndarray
) -> pd.DataFrame:
    says = np.array([_says(text) for text in texts], dtype=bool)
    finite = np.isfinite(vectors).all(1)
    rows = says & finite
    unsound = "its vector is not finite; take another embed.compute_dtype"
    columns: dict[str, Any] = {
        "utterance_id": list(ids),
        "start": np.nan,
        "end": np.nan,
        "channel": -1,
        "file_digest": list(digests),
        "audio_digest": "",
        "num_samples": -1,
        "sample_rate": -1,
        "duration": 0.0,
        "outcome": np.where(rows, OK, np.where(says, NONFINITE, NO_TEXT)),
        "message": np.where(rows, "", np.where(says, unsound, "nothing is written; add its text")),
        "row": np.where(rows, np.cumsum(rows) - 1, -1),
    }
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    return pd.DataFrame(columns).astype(kinds)
