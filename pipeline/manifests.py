"""A manifest: one row per utterance, read from CSV, JSONL or Parquet and checked whole.

EmoBox's JSONL is read as it is (`key`, `wav`, `emo`, `num_frame`, ...). Columns that are not named
in `data_manifests/README.md` are raw labels, one task each.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
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
ROWS_AT_A_TIME = 50_000  # of a JSONL file: what is held as Python objects
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
    _check_header(path, raw)
    if raw.empty:
        raise ManifestError(f"{path}: has no rows; add one row per utterance.")
    absent = [c for c in REQUIRED if c not in raw.columns]
    if absent:
        raise ManifestError(
            f"{path}: has no column {absent[0]!r}, only {list(raw.columns)}; "
            "see data_manifests/README.md for the columns."
        )
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
    counts = {
        c: table[c].astype("Int64").where(table[c] >= 0) for c in COUNTS if c in table.columns
    }
    table = table.assign(**counts)
    _require_known_suffix(path)
    with publish(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n", quoting=_quoting(table))
        elif path.suffix == ".jsonl":
            records = table.astype(object).where(table.notna(), None).to_dict("records")
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            temporary.write_bytes("".join(lines).encode())
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


def _quoting(table: pd.DataFrame) -> int:
    """Quote all texts where one holds a carriage return, which is else taken for a row's end."""
    texts = table.select_dtypes(exclude="number").astype("str")
    returns = any(texts[name].str.contains("\r", regex=False).any() for name in texts)
    return csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL


def _read_raw(path: Path) -> tuple[pd.DataFrame, int]:
    """Return every cell as text, "" where there is none, and the number of the first row."""
    _require_known_suffix(path)
    try:
        if path.suffix == ".csv":
            return _read_csv(path), 2
        return (_read_jsonl(path) if path.suffix == ".jsonl" else _read_parquet(path)), 1
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: no such manifest; make one with 'genser prepare'.") from error
    except ManifestError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = f"cannot be read as {path.suffix} in UTF-8 ({str(error).splitlines()[0]})"
        raise ManifestError(f"{path}: {reason}; mend the file.") from error


def _read_csv(path: Path) -> pd.DataFrame:
    # The header is read as a row: pandas would rename a column that is there twice.
    # Blank lines count, else the row numbers after one are wrong.
    frame = pd.read_csv(
        path,
        header=None,
        dtype="str",
        keep_default_na=False,
        skip_blank_lines=False,
        encoding="utf-8",
    ).fillna("")
    filled = np.flatnonzero((frame != "").any(axis=1))
    rows = frame.iloc[1 : filled[-1] + 1 if len(filled) else 1]
    return rows.reset_index(drop=True).set_axis(frame.iloc[0].tolist(), axis=1)


def _read_jsonl(path: Path) -> pd.DataFrame:
    # Not by pyarrow or pandas: they turn an id that looks like a date into another text.
    parts = []
    with path.open(encoding="utf-8", newline="\n") as file:
        numbered = enumerate(file, start=1)
        while records := [_record(path, i, line) for i, line in islice(numbered, ROWS_AT_A_TIME)]:
            names = {name: None for record in records for name in record}
            columns = {name: [record.get(name, "") for record in records] for name in names}
            parts.append(pd.DataFrame(columns, dtype="str"))
    return pd.concat(parts, ignore_index=True).fillna("") if parts else pd.DataFrame(dtype="str")


def _record(path: Path, number: int, line: str) -> dict[str, str]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ManifestError(f"{path}:{number}: is no JSON ({error}); mend the line.") from error
    if not isinstance(record, dict):
        raise ManifestError(f"{path}:{number}: is no JSON object; write one per line.")
    for name, value in record.items():
        if isinstance(value, dict | list):
            raise ManifestError(f"{path}:{number}: {name} {value!r} is no text or number; drop it.")
        if not isinstance(value, str):
            record[name] = "" if value is None else repr(value)
    return record


def _read_parquet(path: Path) -> pd.DataFrame:
    table = pq.read_table(path)
    texts = {name: table[name].cast(pa.string()).to_pandas() for name in table.column_names}
    return pd.DataFrame({name: column.astype("str").fillna("") for name, column in texts.items()})


def _check_header(path: Path, raw: pd.DataFrame) -> None:
    repeated = raw.columns[raw.columns.duplicated() | (raw.columns == "")]
    if len(repeated):
        fault = (
            f"names the column {repeated[0]!r} twice"
            if repeated[0]
            else "has a column without name"
        )
        raise ManifestError(f"{path}: {fault}; name each once.")


def _typed(raw: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {}
    for name in COLUMN_ORDER:
        given = raw[name] if name in raw.columns else pd.Series("", index=raw.index, dtype="str")
        read = _numbers if name in NUMBERS else _counts
        columns[name] = given if name in TEXTS else read(name, given, problems)
    for name in raw.columns:
        if name.startswith(VOTES):
            columns[name] = _votes(name, raw[name], problems)
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
    split = table["split"]
    problems.add(
        ~split.isin(["", *SPLITS]), lambda i: f"split {split[i]!r} is not one of {list(SPLITS)}"
    )
    begin, end = table["start"].fillna(0), table["end"]
    problems.add(begin < 0, lambda i: f"start {begin[i]:g} is below 0 s")
    problems.add(end <= begin, lambda i: f"end {end[i]:g} s is not after start {begin[i]:g} s")
