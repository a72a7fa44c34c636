"""A manifest: one row per utterance, read from CSV, JSONL or Parquet and checked whole.

EmoBox's JSONL is read as it is (`key`, `wav`, `emo`, `num_frame`, ...). Columns that are not named
in `data_manifests/README.md` are raw labels, one task each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from pipeline.errors import ManifestError
from pipeline.files import publish
from pipeline.problems import Problems

SPLITS = ("train", "dev", "test")
REQUIRED = ("utterance_id", "path")
TEXTS = ("utterance_id", "store_id", "path", "corpus", "speaker", "dialogue", "split")
NUMBERS = ("start", "end")
COUNTS = ("channel", "num_samples", "sample_rate")
FREE_TEXTS = ("text", "language")
VOTES = "votes."
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
        return [c for c in self.table.columns if c not in known and not c.startswith(VOTES)]

    @property
    def store_ids(self) -> list[str]:
        """The id of each row in its feature store."""
        ids = self.table["store_id"].where(self.table["store_id"] != "", self.table["utterance_id"])
        return ids.tolist()  # type: ignore[no-any-return]

    def row_number(self, position: int) -> int:
        """Return the file's row number of the table's row `position`."""
        return self.first_row + position


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        ManifestError: With every bad row (the first ten and how many more), the value found and
            the value wanted.
    """
    raw, first_row = _read_raw(path)
    if {"key", "wav"} <= set(raw.columns):
        raw = raw.rename(columns=EMOBOX_NAMES).drop(columns=list(EMOBOX_DROPPED), errors="ignore")
    absent = [c for c in REQUIRED if c not in raw.columns]
    if absent:
        raise ManifestError(
            f"{path}: has no column {absent[0]!r}, only {list(raw.columns)}; "
            "see data_manifests/README.md for the columns."
        )
    if raw.empty:
        raise ManifestError(f"{path}: has no rows; add one row per utterance.")
    problems = Problems(path, first_row)
    table = _typed(raw, problems)
    _check_values(table, problems)
    problems.raise_if_any("mend the manifest")
    return Manifest(path, table, first_row)


def write_manifest(path: Path, table: pd.DataFrame) -> None:
    """Write a manifest in the format of its suffix, columns in their documented order.

    Raises:
        ManifestError: If the suffix is unknown.
        OutputError: If it cannot be written.
    """
    first = [c for c in COLUMN_ORDER if c in table.columns]
    table = table[[*first, *(c for c in table.columns if c not in first)]]
    _require_known_suffix(path)
    with publish(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n")
        elif path.suffix == ".jsonl":
            table.to_json(temporary, orient="records", lines=True, force_ascii=False)
        else:
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), temporary)


def requests(manifest: Manifest, audio_roots: Mapping[str, Path]) -> pd.DataFrame:
    """Return what extraction needs of each row, with paths under their audio roots.

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
    return pd.DataFrame({"utterance_id": manifest.store_ids, "path": paths}).join(columns)


def _require_known_suffix(path: Path) -> None:
    if path.suffix not in (".csv", ".jsonl", ".parquet"):
        raise ManifestError(f"{path}: suffix {path.suffix!r} is not .csv, .jsonl or .parquet.")


def _read_raw(path: Path) -> tuple[pd.DataFrame, int]:
    """Return every cell as text, "" where there is none, and the number of the first row."""
    _require_known_suffix(path)
    try:
        if path.suffix == ".csv":
            frame = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8")
            if not isinstance(frame.index, pd.RangeIndex):
                raise ManifestError(f"{path}: rows have more cells than the header; mend them.")
            return frame.fillna(""), 2
        table = pyarrow.json.read_json(path) if path.suffix == ".jsonl" else pq.read_table(path)
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: no such manifest; make one with 'genser prepare'.") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        first_line = str(error).splitlines()[0]
        raise ManifestError(
            f"{path}: cannot be read as {path.suffix} in UTF-8 ({first_line}); mend the file."
        ) from error
    columns = {
        name: table[name].cast(pa.string()).to_pandas().astype("str").fillna("")
        for name in table.column_names
    }
    return pd.DataFrame(columns), 1


def _typed(raw: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {}
    for name in COLUMN_ORDER:
        given = raw[name] if name in raw.columns else pd.Series("", index=raw.index, dtype="str")
        if name in TEXTS:
            columns[name] = given
        elif name in NUMBERS:
            columns[name] = _numbers(name, given, problems)
        else:
            columns[name] = _counts(name, given, problems)
    for name in raw.columns:
        if name.startswith(VOTES):
            votes = _numbers(name, raw[name], problems)
            problems.add(votes < 0, _below_zero(name, raw[name]))
            columns[name] = votes
        elif name not in columns:
            columns[name] = raw[name]
    return pd.DataFrame(columns)


def _below_zero(name: str, given: pd.Series) -> Callable[[int], str]:
    return lambda i: f"{name} {given[i]!r} is below 0"


def _numbers(name: str, given: pd.Series, problems: Problems) -> pd.Series:
    if (given == "").all():
        return pd.Series(np.nan, index=given.index)
    values = pd.to_numeric(given.where(given != ""), errors="coerce").astype("float64")
    bad = (given != "") & ~np.isfinite(values)
    problems.add(bad, lambda i: f"{name} {given[i]!r} is not a number")
    return values


def _counts(name: str, given: pd.Series, problems: Problems) -> pd.Series:
    values = _numbers(name, given, problems).fillna(-1)
    whole = values.round()
    # EmoBox writes 32706.000000000004 for a number of samples.
    bad = (given != "") & (((values - whole).abs() > 1e-6) | (whole < 1))
    problems.add(bad, lambda i: f"{name} {given[i]!r} is not a whole number above 0")
    return whole.astype("int64")


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
    parts = paths.str.split("/")
    outside = paths.str.startswith("/") | (
        paths.str.contains("..", regex=False) & parts.map(lambda p: ".." in p)
    )
    problems.add(
        outside, lambda i: f"path {paths[i]!r} is not inside the audio root, wanted a relative one"
    )
    split = table["split"]
    problems.add(
        ~split.isin(["", *SPLITS]), lambda i: f"split {split[i]!r} is not one of {list(SPLITS)}"
    )
    start, end = table["start"], table["end"]
    problems.add(start < 0, lambda i: f"start {start[i]:g} is below 0 s")
    problems.add(
        end <= start.fillna(0), lambda i: f"end {end[i]:g} s is not after start {start[i]:g} s"
    )
