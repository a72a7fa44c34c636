"""Corpora without an importer: a folder for each class, and tables with other column names."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePath

import pandas as pd

from pipeline.corpora.folders import relative_paths
from pipeline.corpora.importer import Corpus, Row, read_names
from pipeline.errors import ManifestError, ParamsError
from pipeline.manifests.manifest import check_table
from pipeline.manifests.tables import read_table, require_distinct_columns


def read_class_folders(folder: Path, *, corpus: str, task: str, speaker: str | None) -> Corpus:
    """Return the recordings in a folder for each class, named by their path below `folder`.

    Args:
        folder: Holds one folder for each class, each with recordings at any depth.
        corpus: What the column `corpus` says.
        task: The label column.
        speaker: Regular expression on a recording's path whose first group is its speaker.

    Raises:
        ManifestError: If there are no recordings.
        ParamsError: If `speaker` is no regular expression with a group, or finds none somewhere.
    """
    try:
        pattern = re.compile(speaker) if speaker is not None else None
    except re.error as error:
        raise ParamsError(f"--speaker {speaker}: is no regular expression ({error}).") from error
    if pattern and not pattern.groups:
        raise ParamsError(f"--speaker {speaker}: has no group; put the speaker in brackets.")
    found = read_names(folder, partial(_describe, task, pattern))
    table = found.table.drop(columns="channels").assign(corpus=corpus)
    return Corpus(table=table, notes=found.notes)


def _describe(task: str, speaker: re.Pattern[str] | None, path: PurePath) -> Row | None:
    if len(path.parts) < 2:
        return None
    row = {"utterance_id": path.with_suffix("").as_posix(), task: path.parts[0]}
    if speaker:
        match = speaker.search(path.as_posix())
        if not match or not match[1]:
            raise ParamsError(
                f"--speaker {speaker.pattern}: finds no speaker in {path}; mend the expression."
            )
        row["speaker"] = match[1]
    return row


def read_any_table(path: Path, renames: Sequence[str]) -> Corpus:
    """Return a table's rows as a manifest, its columns renamed.

    Args:
        path: CSV, JSONL or Parquet.
        renames: `theirs=ours` each.

    Raises:
        ManifestError: If it is not readable, lacks a renamed column, or is no manifest then.
        ParamsError: If a rename is not of that form.
    """
    table, first_row = read_table(path)
    return as_manifest(table, renames, path, first_row)


def as_manifest(table: pd.DataFrame, renames: Sequence[str], path: Path, first_row: int) -> Corpus:
    """Return a table of texts with its columns renamed, checked as a manifest.

    Absolute paths are made relative to the one folder that all are in, which a note names.

    Args:
        table: As `read_table` gives it.
        renames: `theirs=ours` each.
        path: For messages.
        first_row: The number of its first row, for messages.

    Raises:
        ManifestError: If it lacks a renamed column, or is no manifest then.
        ParamsError: If a rename is not of that form.
    """
    names = {}
    for rename in renames:
        theirs, equals, ours = rename.partition("=")
        if not equals or not theirs or not ours:
            raise ParamsError(f"--map {rename}: wanted THEIRS=OURS, two names of columns.")
        if theirs not in table.columns:
            raise ManifestError(
                f"{path}: has no column {theirs!r} of --map {rename}, only {list(table.columns)}."
            )
        names[theirs] = ours
    # What is renamed to a column that is there too replaces it.
    replaced = [c for c in names.values() if c in table.columns and c not in names]
    table = table.drop(columns=replaced).rename(columns=names)
    require_distinct_columns(path, table)
    notes: list[str] = []
    if "path" in table.columns:
        paths, notes = relative_paths(table["path"].tolist(), path)
        table = table.assign(path=paths)
    return Corpus(table=check_table(table, path, first_row).table, notes=notes)
