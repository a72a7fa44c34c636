"""The texts that features are made from, and whether a manifest still has them."""

from collections.abc import Collection, Sequence

import pandas as pd

from pipeline.errors import ManifestError
from pipeline.files import sha256_bytes
from pipeline.manifests.faults import Problems
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.texts import GOLD, TEXT, TEXT_GIVEN, text_sources


def texts_of(manifest: Manifest, column: str) -> list[str]:
    """Return a column of texts, as it stands.

    Raises:
        ManifestError: If the manifest has no such column.
    """
    if column not in manifest.table.columns:
        raise ManifestError(
            f"{manifest.path}: has no column {column!r}, only {list(manifest.table.columns)}, "
            "wanted the one that texts are embedded from; name another in embed.column, or write "
            "one with 'genser transcribe'."
        )
    texts: list[str] = manifest.table[column].astype("str").tolist()
    return texts


def text_digests(texts: Sequence[str]) -> list[str]:
    """Return the SHA-256 of each text."""
    return [sha256_bytes(text.encode()) for text in texts]


def sources_read(table: pd.DataFrame, columns: Collection[str]) -> tuple[str, ...]:
    """Return who wrote the texts in columns that are read, `GOLD` for the corpus's own, first.

    Args:
        table: Of a manifest, or some rows of one.
        columns: Of it.
    """
    found = set(text_sources(table)) if TEXT in columns else set()
    if TEXT_GIVEN in columns:
        found.add(GOLD)
    return (*([GOLD] if GOLD in found else []), *sorted(found - {GOLD}))


def require_same_texts(manifest: Manifest, view: str, column: str, embedded: pd.Series) -> None:
    """Refuse features of texts that the manifest has no more.

    Args:
        manifest: The manifest.
        view: The view, for messages.
        column: Of the texts.
        embedded: The digest of the text that each row's features were made from, row by row.

    Raises:
        ManifestError: Naming rows whose text is another one now.
    """
    now = pd.Series(text_digests(texts_of(manifest, column)), index=embedded.index)
    ids = manifest.table["utterance_id"]
    problems = Problems(manifest.path, manifest.first_row)
    problems.add(
        now != embedded,
        lambda i: f"utterance {ids.iloc[i]!r} has another {column} than view {view!r} was made of",
    )
    problems.raise_if_any("run 'genser embed' on this manifest again, or into a view of its own")
