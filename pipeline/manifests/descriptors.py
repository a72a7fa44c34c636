"""How the clips of a manifest sound, in words, and where the words come from.

descriptors          a description of how the clip sounds
descriptors.<k>      the same for fold k, where it was made from what fold k trains on
descriptors_source   who wrote it: "" where the corpus gives it; "self-made@<12 of the digest of
                     grammar and fit>" where `genser describe` made it from acoustics; else the
                     file that it was taken from, with 12 digits of its digest
measured.<slot>      the number that a slot's words stand for
"""

from collections.abc import Mapping

import pandas as pd

from pipeline.manifests.manifest import DESCRIPTORS_OF_FOLD, MEASURED

DESCRIPTORS, DESCRIPTORS_SOURCE = "descriptors", "descriptors_source"
SELF_MADE = "self-made@"
GIVEN = "given"  # what results call descriptors that the corpus gives


def descriptor_sources(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the different sources of the rows that have descriptors, `GIVEN` first.

    Args:
        table: Of a manifest, or some rows of one.
    """
    found = set(_column(table, DESCRIPTORS_SOURCE)[_column(table, DESCRIPTORS) != ""])
    return (*([GIVEN] if "" in found else []), *sorted(found - {""}))


def given_descriptors(table: pd.DataFrame) -> pd.Series:
    """Return the descriptors that genser did not make itself, "" in rows without any.

    Args:
        table: Of a manifest; it may have been described.
    """
    is_ours = _column(table, DESCRIPTORS_SOURCE).str.startswith(SELF_MADE)
    return _column(table, DESCRIPTORS).where(~is_ours, "")


def described(
    table: pd.DataFrame,
    made: Mapping[str, pd.Series],
    source: str,
    measured: pd.DataFrame,
) -> pd.DataFrame:
    """Return a manifest's table with descriptors made from numbers; given ones stay.

    Args:
        table: Of the manifest; it may have been described before.
        made: Descriptors of each row, "" where there are none, by fold; "" is the split's.
        source: Of those that were made.
        measured: The number of each slot, NaN where there is none.
    """
    given = given_descriptors(table)
    texts = {fold: given.where(given != "", column) for fold, column in made.items()}
    is_made = (given == "") & (pd.DataFrame(texts) != "").any(axis=1)
    kept = without_self_made(table)
    columns = {
        DESCRIPTORS: given,
        **{f"{DESCRIPTORS_OF_FOLD}{fold}" if fold else DESCRIPTORS: texts[fold] for fold in texts},
        DESCRIPTORS_SOURCE: _column(kept, DESCRIPTORS_SOURCE).where(~is_made, source),
        **{f"{MEASURED}{slot}": measured[slot] for slot in measured.columns},
    }
    return kept.assign(**columns)


def without_self_made(table: pd.DataFrame) -> pd.DataFrame:
    """Return a manifest's table without descriptors that genser made; what it measured stays.

    Args:
        table: Of a manifest.
    """
    table = table.drop(columns=[c for c in table.columns if c.startswith(DESCRIPTORS_OF_FOLD)])
    if DESCRIPTORS not in table.columns:
        return table
    given = given_descriptors(table)
    source = _column(table, DESCRIPTORS_SOURCE).where(given != "", "")
    return table.assign(**{DESCRIPTORS: given, DESCRIPTORS_SOURCE: source})


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table.columns else pd.Series("", index=table.index, dtype="str")
