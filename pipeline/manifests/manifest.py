"""A manifest: one row per utterance, read from CSV, JSONL or Parquet and checked whole.

EmoBox's JSONL is read as it is (`key`, `wav`, `emo`, `num_frame`, ...). Columns that are not named
in `data_manifests/README.md` are raw labels, one task each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.faults import Problems
from pipeline.manifests.tables import read_table, require_distinct_columns, write_table
from pipeline.names import require_names

SPLITS = ("train", "dev", "test")
REQUIRED = ("utterance_id", "path")
TEXTS = (
    "utterance_id",
    "store_id",
    "path",
    "corpus",
    "session",
    "speaker",
    "dialogue",
    "split",
    "official",
    "overlap",
)
NUMBERS = ("start", "end")
COUNTS = ("channel", "num_samples", "sample_rate")
FREE_TEXTS = (
    "text",
    "text_source",
    "text_given",
    "language",
    "descriptors",
    "descriptors_source",
    "word_times",
)
VOTES = "votes."
MEASURED = "measured."
FOLD = "split."
TRAINED_ON = "is_trained_on"  # of `requests`: whether the row has augmented copies
DESCRIPTORS_OF_FOLD = "descriptors."
DECLARED = "official"  # in `overlap`: the owners' own split shares speakers, their importer says
LARGEST_COUNT = 2**31 - 1  # 12 hours at 48 kHz
COLUMN_ORDER = (*TEXTS, *NUMBERS, *COUNTS)

EMOBOX_NAMES = {
    "key": "utterance_id",
    "wav": "path",
    "emo": "emotion",
    "dataset": "corpus",
    "num_frame": "num_samples",
    "start_time": "start",
    "end_time": "end",
}
EMOBOX_DROPPED = ("type", "task", "length")


@dataclass(frozen=True)
class Manifest:
    """A checked manifest.

    Attributes:
        path: Where it was read from, for messages.
        table: One row per utterance in file order; texts are `str` with "" for none, `start` and
            `end` float64 with NaN, `channel`, `num_samples` and `sample_rate` int64 with -1.
        first_row: The number a person would give the first row of the file.
    """

    path: Path
    table: pd.DataFrame
    first_row: int

    @property
    def tasks(self) -> list[str]:
        """The label columns."""
        known = {*COLUMN_ORDER, *FREE_TEXTS}
        families = (VOTES, MEASURED, FOLD, DESCRIPTORS_OF_FOLD)
        return [c for c in self.table.columns if c not in known and not c.startswith(families)]

    @property
    def told(self) -> list[str]:
        """The columns that say something of a row."""
        return [c for c in self.table.columns if c not in COLUMN_ORDER or _says(self.table[c])]

    @property
    def folds(self) -> list[str]:
        """The names of the folds that the manifest has a split for, in column order."""
        return [c.removeprefix(FOLD) for c in self.table.columns if c.startswith(FOLD)]

    @property
    def is_trained_on(self) -> np.ndarray:
        """Whether each row is of split `train`, here or in one of the folds, shape (N,)."""
        splits = ["split", *(f"{FOLD}{fold}" for fold in self.folds)]
        return np.asarray((self.table[splits] == "train").any(axis=1))

    @property
    def store_ids(self) -> list[str]:
        """The id of each row in its feature store."""
        ids = self.table["store_id"].where(self.table["store_id"] != "", self.table["utterance_id"])
        return ids.tolist()

    def row_number(self, position: int) -> int:
        """Return the file's row number of the table's row `position`."""
        return self.first_row + position

    def of_fold(self, fold: str | None) -> "Manifest":
        """Return the manifest with a fold's split, and descriptors if it has any; itself for None.

        Raises:
            ManifestError: If it has no such fold.
        """
        if fold is None:
            return self
        if fold not in self.folds:
            raise ManifestError(
                f"{self.path}: has no fold {fold!r}, only {self.folds}; make folds with "
                "'genser split'."
            )
        columns = {"split": self.table[f"{FOLD}{fold}"]}
        described = f"{DESCRIPTORS_OF_FOLD}{fold}"
        if described in self.table.columns:
            columns["descriptors"] = self.table[described]
        return replace(self, table=self.table.assign(**columns))


def read_manifest(path: Path, fold: str | None = None) -> Manifest:
    """Read and check a manifest; with `fold`, its column `split.<fold>` is the split.

    Raises:
        ManifestError: With every bad row (the first ten and how many more), the value found and
            the value wanted.
    """
    raw, first_row = read_table(path)
    return check_table(raw, path, first_row).of_fold(fold)


def check_table(raw: pd.DataFrame, path: Path, first_row: int) -> Manifest:
    """Check a table of texts as a manifest; `path` and `first_row` are for messages.

    Raises:
        ManifestError: As `read_manifest`.
    """
    if {"key", "wav"} <= set(raw.columns):
        raw = raw.rename(columns=EMOBOX_NAMES).drop(columns=list(EMOBOX_DROPPED), errors="ignore")
        require_distinct_columns(path, raw)
    if raw.empty:
        raise ManifestError(f"{path}: has no rows; add one row per utterance.")
    absent = [c for c in REQUIRED if c not in raw.columns]
    if absent:
        raise ManifestError(
            f"{path}: has no column {absent[0]!r}, only {list(raw.columns)}; "
            "see data_manifests/README.md for the columns."
        )
    if folds := [c.removeprefix(FOLD) for c in raw.columns if c.startswith(FOLD)]:
        require_names(f"{path}: columns {FOLD}FOLD", folds, error=ManifestError)
    problems = Problems(path, first_row)
    table = _typed(raw, problems)
    _check_values(table, problems)
    problems.raise_if_any("mend the manifest")
    return Manifest(path, table, first_row)


def write_manifest(path: Path, table: pd.DataFrame) -> None:
    """Write a manifest in the format of its suffix, columns in their documented order.

    Documented columns that say nothing of any row are left out.

    Raises:
        ManifestError: If the suffix is unknown.
        OutputError: If it cannot be written.
    """
    first = [c for c in COLUMN_ORDER if c in table.columns and (c in REQUIRED or _says(table[c]))]
    rest = [c for c in table.columns if c not in COLUMN_ORDER]
    table = table[[*first, *rest]]
    counts = {
        c: table[c].astype("Int64").where(table[c] >= 0) for c in COUNTS if c in table.columns
    }
    write_table(path, table.assign(**counts))


def _says(column: pd.Series) -> bool:
    """Return whether a documented column holds anything."""
    if column.name in COUNTS:
        return bool((column >= 0).any())
    return bool((column.notna() & (column != "")).any())


def speaker_names(table: pd.DataFrame) -> pd.Series:
    """Return each row's speaker with its corpus: a speaker is the pair of both."""
    return table["corpus"] + "/" + table["speaker"]


def requests(manifest: Manifest, audio_roots: Mapping[str, Path]) -> pd.DataFrame:
    """Return what extraction needs of each row, with paths under their audio roots.

    Which rows are trained on is known beside that, as `TRAINED_ON`.

    Args:
        manifest: The manifest.
        audio_roots: Folder of each corpus; the key "" serves every other corpus.

    Raises:
        ManifestError: If a corpus has no audio root.
    """
    table = manifest.table
    roots = {c: audio_roots.get(c, audio_roots.get("")) for c in table["corpus"].unique()}
    homeless = sorted(c for c, root in roots.items() if root is None)
    if homeless:
        raise ManifestError(
            f"{manifest.path}: corpus {homeless[0]!r} has no audio root; "
            f"give --audio-root {homeless[0]}=DIR."
        )
    paths = table["corpus"].map({c: f"{root}/" for c, root in roots.items()}) + table["path"]
    columns = table[["start", "end", "channel", "num_samples", "sample_rate"]]
    found = pd.DataFrame({"utterance_id": manifest.store_ids, "source": paths}).join(columns)
    return found.assign(**{TRAINED_ON: manifest.is_trained_on})


def _typed(raw: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {}
    for name in COLUMN_ORDER:
        given = raw[name] if name in raw.columns else pd.Series("", index=raw.index, dtype="str")
        read = _numbers if name in NUMBERS else _counts
        columns[name] = given if name in TEXTS else read(name, given, problems)
    for name in raw.columns:
        if name.startswith(VOTES):
            columns[name] = _votes(name, raw[name], problems)
        elif name.startswith(MEASURED):
            columns[name] = _numbers(name, raw[name], problems)
        elif name not in columns:
            columns[name] = raw[name]
    return pd.DataFrame(columns)


def _votes(name: str, given: pd.Series, problems: Problems) -> pd.Series:
    values = _numbers(name, given, problems)
    problems.add(values < 0, lambda i: f"{name} {given[i]!r} is below 0")
    return values


def _numbers(name: str, given: pd.Series, problems: Problems) -> pd.Series:
    if (given == "").all():
        return pd.Series(np.nan, index=given.index)
    values = pd.to_numeric(given.where(given != ""), errors="coerce").astype("float64")
    bad = (given != "") & ~np.isfinite(values)
    problems.add(bad, lambda i: f"{name} {given[i]!r} is not a number")
    return values


def _counts(name: str, given: pd.Series, problems: Problems) -> pd.Series:
    values = _numbers(name, given, problems)
    whole = values.round()
    # EmoBox writes 32706.000000000004 for a number of samples.
    bad = ((values - whole).abs() > 1e-6) | (whole < 1) | (whole > LARGEST_COUNT)
    problems.add(bad, lambda i: f"{name} {given[i]!r} is not a whole number above 0")
    return whole.where(np.isfinite(whole) & ~bad, -1).astype("int64")


def _check_values(table: pd.DataFrame, problems: Problems) -> None:
    ids, paths = table["utterance_id"], table["path"]
    problems.add(ids == "", lambda i: "utterance_id is empty")
    unprintable = ~ids.map(str.isprintable)
    problems.add(unprintable, lambda i: f"utterance_id {ids[i]!r} is not printable text")
    problems.add(
        (ids != "") & ids.duplicated(),
        lambda i: f"utterance_id {ids[i]!r} is used in an earlier row too",
    )
    problems.add(paths == "", lambda i: "path is empty")
    null = paths.str.contains("\0", regex=False)
    problems.add(null, lambda i: f"path {paths[i]!r} holds a null character")
    outside = paths.str.contains(r"^/|(?:^|/)\.\.(?:/|$)")
    problems.add(
        outside, lambda i: f"path {paths[i]!r} is not inside the audio root, wanted a relative one"
    )
    for name in table.columns:
        if name in ("split", "official") or name.startswith(FOLD):
            _check_choice(name, table[name], SPLITS, problems)
    _check_choice("overlap", table["overlap"], (DECLARED,), problems)
    begin, end = table["start"].fillna(0), table["end"]
    problems.add(begin < 0, lambda i: f"start {begin[i]:g} is below 0 s")
    problems.add(end <= begin, lambda i: f"end {end[i]:g} s is not after start {begin[i]:g} s")


def _check_choice(
    name: str, column: pd.Series, choices: tuple[str, ...], problems: Problems
) -> None:
    problems.add(
        ~column.isin(["", *choices]),
        lambda i: f"{name} {column[i]!r} is not one of {list(choices)}",
    )
