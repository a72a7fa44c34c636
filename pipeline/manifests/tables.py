"""A table of texts, read from CSV, JSONL or Parquet by suffix, and written to it."""

import csv
import json
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import ManifestError
from pipeline.files import publish, publish_bytes, require_regular
from pipeline.manifests.limits import require_size
from pipeline.parquet import table_bytes

ROWS_AT_A_TIME = 50_000  # of a JSONL file: what is held as Python objects
BYTES_AT_A_TIME = 1 << 20

# What a spreadsheet takes for a formula, a plain number apart; also under apostrophes, so that the
# one before it can be told from those of the text itself.
_FORMULA = re.compile(r"'*[=@\t\r\n]|'+[+-]|[+-](?!(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z)")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n]")


def read_table(path: Path) -> tuple[pd.DataFrame, int]:
    """Return every cell as text, "" where there is none, and the number of the first row.

    Raises:
        ManifestError: If it is absent, not readable, or names a column twice.
    """
    require_known_suffix(path)
    try:
        require_regular(path)
        if path.suffix != ".parquet":
            require_size(path, num_bytes=path.stat().st_size)
        readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
        table = readers[path.suffix](path)
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: no such manifest; make one with 'genser prepare'.") from error
    except ManifestError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = f"cannot be read as {path.suffix} in UTF-8 ({str(error).splitlines()[0]})"
        raise ManifestError(f"{path}: {reason}; mend the file.") from error
    require_distinct_columns(path, table)
    return table, 2 if path.suffix == ".csv" else 1


def require_distinct_columns(path: Path, table: pd.DataFrame) -> None:
    """Refuse a table with a nameless column or two of one name.

    Raises:
        ManifestError: Naming it.
    """
    repeated = table.columns[table.columns.duplicated() | (table.columns == "")]
    if len(repeated):
        fault = (
            f"names the column {repeated[0]!r} twice"
            if repeated[0]
            else "has a column without name"
        )
        raise ManifestError(f"{path}: {fault}; name each once.")


def _read_csv(path: Path) -> pd.DataFrame:
    # The header is read as a row: pandas would rename a column that is there twice.
    # Blank lines count, else the row numbers after one are wrong.
    with path.open("rb") as file:
        require_size(path, columns=file.readline().count(b",") + 1)
    first = pd.read_csv(path, header=None, dtype="str", nrows=1, encoding="utf-8")
    require_size(path, rows=_num_lines(path), columns=len(first.columns))
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


def _num_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(BYTES_AT_A_TIME), b""))


def _read_jsonl(path: Path) -> pd.DataFrame:
    # Not by pyarrow or pandas: they turn an id that looks like a date into another text.
    parts = []
    every: set[str] = set()
    num_rows = 0
    with path.open(encoding="utf-8", newline="\n") as file:
        numbered = enumerate(file, start=1)
        while records := [_record(path, i, line) for i, line in islice(numbered, ROWS_AT_A_TIME)]:
            names = {name: None for record in records for name in record}
            every.update(names)
            num_rows += len(records)
            require_size(path, rows=num_rows, columns=len(every))
            columns = {name: [record.get(name, "") for record in records] for name in names}
            parts.append(pd.DataFrame(columns, dtype="str"))
    return pd.concat(parts, ignore_index=True).fillna("") if parts else pd.DataFrame(dtype="str")


def _record(path: Path, number: int, line: str) -> dict[str, str]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
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
    schema = pq.read_schema(path)
    for field in schema:
        if not (_is_text(field.type) or _is_plain(field.type)):
            raise ManifestError(
                f"{path}: column {field.name!r} is of type {field.type}, wanted texts or numbers; "
                "drop it."
            )
    require_size(path, rows=pq.read_metadata(path).num_rows, columns=len(schema))
    # As numbers of texts that are each there once, until it is known how long all are together.
    table = pq.read_table(path, read_dictionary=[f.name for f in schema if _is_text(f.type)])
    require_size(path, num_bytes=sum(_num_bytes(column) for column in table.columns))
    # Durations would be cast to counts of their unit, which nothing tells then.
    texts = {
        name: table[name].to_pandas().astype("str")
        if pa.types.is_duration(table[name].type)
        else table[name].cast(pa.string()).to_pandas()
        for name in table.column_names
    }
    return pd.DataFrame({name: column.astype("str").fillna("") for name, column in texts.items()})


def _is_text(kind: pa.DataType) -> bool:
    known = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    return kind in known or (pa.types.is_dictionary(kind) and kind.value_type in known)


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind))


def _num_bytes(column: pa.ChunkedArray) -> int:
    """Return the bytes of a column of texts, were each written out."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    total = 0
    for part in column.chunks:
        lengths = pc.binary_length(part.dictionary).cast(pa.int64())
        total += pc.sum(lengths.take(part.indices)).as_py() or 0
    return total


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table in the format of its suffix.

    Raises:
        ManifestError: If the suffix is unknown.
        OutputError: If it cannot be written.
    """
    require_known_suffix(path)
    with publish(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n", quoting=_quoting(table))
        elif path.suffix == ".jsonl":
            records = table.astype(object).where(table.notna(), None).to_dict("records")
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            temporary.write_bytes("".join(lines).encode())
        else:
            temporary.write_bytes(table_bytes(table))


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table of results as CSV, numbers with six decimals.

    People open it with spreadsheets, to which a text that begins with `=`, `+`, `-` or `@` is a
    formula: an apostrophe goes before it, which `read_csv` takes away. A number stays one.

    Raises:
        OutputError: If it cannot be written.
    """
    told = _each_text(table, lambda text: f"'{text}" if _FORMULA.match(text) else text)
    text = told.to_csv(
        index=False, lineterminator="\n", float_format="%.6f", quoting=_quoting(told)
    )
    publish_bytes(path, text.encode())


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Return a table that `write_csv` wrote.

    Args:
        path: The file.
        options: Of `pandas.read_csv`.

    Raises:
        OSError, ValueError: If it cannot be read.
    """
    require_regular(path)
    table = pd.read_csv(path, **options)
    return _each_text(table, lambda text: text[1:] if _GUARDED.match(text) else text)


def _each_text(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Return a table with its texts changed, the names of its columns among them."""

    def changed(cell: Any) -> Any:
        return change(cell) if isinstance(cell, str) else cell

    result = table.copy()
    for name in table.select_dtypes(exclude="number"):
        result[name] = table[name].map(changed)
    return result.rename(columns=changed)


def require_known_suffix(path: Path) -> None:
    """Refuse a file that is no table by its name.

    Raises:
        ManifestError: If the suffix is unknown.
    """
    if path.suffix not in (".csv", ".jsonl", ".parquet"):
        raise ManifestError(f"{path}: suffix {path.suffix!r} is not .csv, .jsonl or .parquet.")


def _quoting(table: pd.DataFrame) -> Literal[0, 2]:
    """Quote all texts where one holds a carriage return, which is else taken for a row's end."""
    texts = table.select_dtypes(exclude="number").astype("str")
    named = any("\r" in str(name) for name in table.columns)
    if named or any(texts[name].str.contains("\r", regex=False).any() for name in texts):
        return csv.QUOTE_NONNUMERIC
    return csv.QUOTE_MINIMAL
