"""Descriptions in a file of their own, such as SpeechCraft's, joined to a manifest by clip.

SpeechCraft's programs write one JSON object: under each clip's id another one, with `labels` and
the text of a description. Any object of texts, or of objects with texts, is read alike, and so is a
table (CSV, JSONL, Parquet) with a column of ids.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from pipeline.descriptions.config import DescribeConfig
from pipeline.descriptions.grammar import Grammar
from pipeline.descriptions.stripping import without_emotion
from pipeline.errors import ManifestError
from pipeline.files import fingerprint, read_bytes, sha256_file
from pipeline.manifests.descriptors import DESCRIPTORS, DESCRIPTORS_SOURCE, without_self_made
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.tables import read_table

ID_COLUMNS = ("utterance_id", "clip_id", "segment_id", "id", "key")
LABELS = "labels"  # of SpeechCraft: what its description was written from


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What was done.

    Attributes:
        num_joined: Rows that got a description.
        num_rows: Rows of the manifest.
        num_in_file: Descriptions of the file.
        by: What of a row its clip's id was found in.
        num_cut: Descriptions that lost a clause.
        num_lost: Descriptions that lost all.
    """

    num_joined: int
    num_rows: int
    num_in_file: int
    by: str
    num_cut: int
    num_lost: int


def take_given(
    manifest: Manifest, path: Path, grammar: Grammar, config: DescribeConfig
) -> tuple[pd.DataFrame, str, Joined]:
    """Return a manifest's table with a file's descriptions, their source, and what was done.

    Args:
        manifest: The manifest; rows that the file does not know stay as they are.
        path: The file.
        grammar: Whose words of emotion are dropped with their clause.
        config: Which field is read, and whether clauses are dropped.

    Raises:
        ManifestError: If the file is no such file, or knows none of the clips.
    """
    given = read_given(path, config.field)
    by, names = _joined_by(manifest, given, path)
    texts = names.map(given).fillna("")
    plain = texts
    if config.strip_emotion:
        plain = texts.map(lambda text: without_emotion(text, grammar))
    words = grammar.emotion_words if config.strip_emotion else ()
    digest = fingerprint([sha256_file(path), config.field, sorted(words)])[:12]
    source = f"{path.stem}@{digest}"
    table = without_self_made(manifest.table)
    nothing = pd.Series("", index=table.index, dtype="str")
    has_text = plain != ""
    joined = Joined(
        num_joined=int(has_text.sum()),
        num_rows=len(table),
        num_in_file=len(given),
        by=by,
        num_cut=int(((plain != texts) & has_text).sum()),
        num_lost=int(((plain != texts) & ~has_text).sum()),
    )
    columns = {
        DESCRIPTORS: plain.where(has_text, table.get(DESCRIPTORS, nothing)),
        DESCRIPTORS_SOURCE: table.get(DESCRIPTORS_SOURCE, nothing).where(~has_text, source),
    }
    return table.assign(**columns), source, joined


def read_given(path: Path, field: str) -> dict[str, str]:
    """Return the description of each clip in a file.

    Args:
        path: A JSON object by clip, or a table with a column of ids.
        field: Which text of a clip; "" takes the only one.

    Raises:
        ManifestError: If it is neither, or the field is not there, or one of several.
    """
    records = _json(path) if path.suffix == ".json" else _table(path)
    plain = {name: text for name, text in records.items() if isinstance(text, str)}
    rest = {name: told for name, told in records.items() if isinstance(told, Mapping)}
    if len(plain) + len(rest) < len(records) or not records:
        raise ManifestError(
            f"{path}: holds something else than texts by clip; wanted {{id: text}}, "
            "{id: {field: text}}, or a table."
        )
    if rest:
        texts = Counter(
            name
            for told in rest.values()
            for name, value in told.items()
            if isinstance(value, str) and name != LABELS
        )
        chosen = field or (next(iter(texts)) if len(texts) == 1 else "")
        if chosen not in texts:
            raise ManifestError(
                f"{path}: clips have the texts {sorted(texts)}, wanted one of them named in "
                f"describe.field, found {field!r}."
            )
        plain |= {name: str(told.get(chosen, "")) for name, told in rest.items()}
    return {name: " ".join(text.split()) for name, text in plain.items()}


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no JSON: {error}"
        raise ManifestError(f"{path}: cannot be read ({reason}); name another file.") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path}: holds {type(content).__name__}, wanted an object by clip.")
    return content


def _table(path: Path) -> Mapping[str, Any]:
    table, _ = read_table(path)
    ids = [name for name in ID_COLUMNS if name in table.columns]
    if not ids:
        raise ManifestError(
            f"{path}: has the columns {list(table.columns)}, wanted one of {list(ID_COLUMNS)}; "
            "rename the column of the clips' ids."
        )
    return {str(row[ids[0]]): row.drop(ids[0]).to_dict() for _, row in table.iterrows()}


def _joined_by(manifest: Manifest, given: Mapping[str, str], path: Path) -> tuple[str, pd.Series]:
    """Return what of a row names its clip in the file, and that name of each row."""
    paths = manifest.table["path"].map(PurePath)
    names = {
        "utterance_id": manifest.table["utterance_id"],
        "file name": paths.map(lambda one: one.stem),
        "folder and file name": paths.map(lambda one: f"{one.parent.name}_{one.stem}"),
    }
    found = {by: column.isin(list(given)) for by, column in names.items()}
    # Several clips of one file would all get the description of one of them.
    usable = {by: one for by, one in found.items() if not names[by][one].duplicated().any()}
    by = max(usable, key=lambda name: int(usable[name].sum()), default="utterance_id")
    if not usable or not usable[by].any():
        raise ManifestError(
            f"{path}: knows none of the clips of {manifest.path}: it has {next(iter(given))!r}, "
            f"the manifest {names['utterance_id'].iloc[0]!r}, {paths.iloc[0].as_posix()!r}; wanted "
            f"one of {list(names)} there."
        )
    return by, names[by]
