"""Who wrote the texts of a manifest: its corpus, or a recogniser.

descriptors   how it is said, in a sentence
text          what is said
text_source   who wrote it: "" where the corpus gives it, else "<model>@<12 of its digest>"
text_given    the corpus's own text, where `text` is a recogniser's
"""

from dataclasses import replace

import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.descriptors import DESCRIPTORS
from pipeline.manifests.manifest import Manifest

TEXT, TEXT_SOURCE, TEXT_GIVEN = "text", "text_source", "text_given"
GOLD = "gold"  # what results call a text that the corpus gives


def text_sources(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the different sources of the rows that have text, `GOLD` first.

    Args:
        table: Of a manifest, or some rows of one.
    """
    has_text = _texts(table, TEXT) != ""
    found = set(_texts(table, TEXT_SOURCE)[has_text])
    return (*([GOLD] if "" in found else []), *sorted(found - {""}))


def require_texts(where: object, table: pd.DataFrame) -> None:
    """Refuse a manifest without any text; one in which a recogniser heard nothing passes.

    Args:
        where: The manifest, for the message.
        table: Of it.

    Raises:
        ManifestError: If nobody wrote a text.
    """
    if not any((_texts(table, name) != "").any() for name in (TEXT, TEXT_SOURCE)):
        raise ManifestError(
            f"{where}: no row has a text, and this head reads the column {TEXT!r}; add it with "
            "'genser transcribe', or from the corpus."
        )


def require_descriptors(where: object, table: pd.DataFrame) -> None:
    """Refuse a manifest in which no clip is described.

    Args:
        where: The manifest, for the message.
        table: Of it.

    Raises:
        ManifestError: If every row's `descriptors` are empty.
    """
    if not (_texts(table, DESCRIPTORS) != "").any():
        raise ManifestError(
            f"{where}: no row has {DESCRIPTORS!r}, and this head is to learn them; add the column "
            "with 'genser describe', or train without it (train.descriptors.describe=false)."
        )


def given_texts(table: pd.DataFrame) -> pd.Series:
    """Return the corpus's own text of each row, "" where it gives none.

    Args:
        table: Of a manifest; it may have been transcribed.
    """
    own = _texts(table, TEXT).where(_texts(table, TEXT_SOURCE) == "", "")
    given = _texts(table, TEXT_GIVEN)
    return given.where(given != "", own)


def with_given_texts(manifest: Manifest) -> Manifest:
    """Return a manifest that was transcribed with the corpus's own texts back in their place.

    Raises:
        ManifestError: If the corpus gives none.
    """
    given = given_texts(manifest.table)
    if not (given != "").any():
        raise ManifestError(
            f"{manifest.path}: no row has a text that its corpus gives, wanted some in "
            f"{TEXT_GIVEN!r}, as 'genser transcribe' keeps them; leave out texts: {GOLD}."
        )
    table = manifest.table.assign(**{TEXT: given}).assign(**{TEXT_SOURCE: ""})
    return replace(manifest, table=table)


def recognised(table: pd.DataFrame, texts: pd.Series, source: str) -> pd.DataFrame:
    """Return a manifest's table with a recogniser's texts in place of those it has.

    Args:
        table: Of the manifest; it may have been transcribed before.
        texts: Of its rows, missing (not "") where a row could not be transcribed.
        source: The recogniser, for `text_source`.
    """
    given = given_texts(table)
    columns = {
        TEXT: texts.fillna(""),
        TEXT_SOURCE: pd.Series(source, index=table.index).where(texts.notna(), ""),
    }
    if (given != "").any() or TEXT_GIVEN in table.columns:
        columns[TEXT_GIVEN] = given
    return table.assign(**columns)


def _texts(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table.columns else pd.Series("", index=table.index, dtype="str")
