"""Tables of audformat, as audEERING's databases and tools write them: CSV or Parquet.

A row's index is `file`, and in segmented tables `start` and `end`, times from the file's
beginning. A database is a folder with `db.yaml` and a file `db.<table>.csv` or `.parquet` for each
table; what its tables say of one file or segment is put together.
"""

from pathlib import Path, PurePath

import pandas as pd

from pipeline.corpora.folders import relative_paths
from pipeline.errors import ManifestError
from pipeline.manifests.manifest import SPLITS
from pipeline.manifests.tables import read_table

HEADER = "db.yaml"
FILE, START, END = "file", "start", "end"
INDEX = [FILE, START, END]


def read_audformat(path: Path) -> pd.DataFrame:
    """Return the rows of a table, or of all tables of a database, as texts.

    Of a database the part is read from the names of tables (`emotion.train`). Tables without files,
    and what the header's schemes say of speakers, are passed over.

    Raises:
        ManifestError: If it is no such table or database, or two tables say two things of a row.
    """
    if not path.is_dir():
        return _identified(_rows(path), path)
    names = sorted(p for p in path.glob("db.*") if p.suffix in (".csv", ".parquet"))
    if not (path / HEADER).is_file() or not names:
        raise ManifestError(
            f"{path}: holds no {HEADER} with tables db.<name>.csv or .parquet; name the folder of "
            "a database, or a table."
        )
    tables = [_with_part(_rows(name), name) for name in names if _is_of_files(name)]
    if not tables:
        raise ManifestError(f"{path}: no table has a column {FILE!r}; name another database.")
    segments = [table for table in tables if START in table.columns]
    files = [table for table in tables if START not in table.columns]
    whole = _together(segments, INDEX, path)
    if whole.empty:
        whole = _together(files, [FILE], path)
    else:
        whole = _add(whole, _together(files, [FILE], path), [FILE], path)
    return _identified(whole, path)


def _is_of_files(path: Path) -> bool:
    return FILE in read_table(path)[0].columns


def _rows(path: Path) -> pd.DataFrame:
    table, first_row = read_table(path)
    if FILE not in table.columns:
        raise ManifestError(
            f"{path}: has no column {FILE!r}, only {list(table.columns)}; wanted a table of "
            "audformat."
        )
    for column in (START, END):
        if column in table.columns:
            table[column] = [
                _seconds(path, first_row + i, column, value)
                for i, value in enumerate(table[column])
            ]
    return table


def _seconds(path: Path, row: int, column: str, value: str) -> str:
    """Return a time as seconds; nothing where it is not a time, which is the file's end."""
    if value in ("", "NaT"):
        return ""
    try:
        # A bare number is seconds, as in audformat's own arguments.
        time = pd.Timedelta(float(value), unit="s") if _is_number(value) else pd.Timedelta(value)
    except ValueError as error:
        raise ManifestError(
            f"{path}: row {row}: {column} {value!r} is no time, wanted seconds or '0 days "
            "00:00:01.5'; mend the table."
        ) from error
    return repr(time.total_seconds())


def _is_number(value: str) -> bool:
    return value.replace(".", "", 1).isdigit()


def _with_part(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return a table with the part that its name has a word for, unless it has a column for it."""
    words = path.stem.split(".")
    found = [part for part in SPLITS if part in words]
    return table.assign(split=found[0]) if found and "split" not in table.columns else table


def _together(tables: list[pd.DataFrame], keys: list[str], path: Path) -> pd.DataFrame:
    whole = pd.DataFrame(columns=keys, dtype="str")
    for table in tables:
        rows = pd.concat([whole[keys], table[keys]]).drop_duplicates()
        whole = _add(rows.merge(whole, on=keys, how="left").fillna(""), table, keys, path)
    return whole


def _add(whole: pd.DataFrame, table: pd.DataFrame, keys: list[str], path: Path) -> pd.DataFrame:
    """Add a table's columns to rows; a cell that both fill must be alike."""
    if table.duplicated(keys).any():
        first = table[table.duplicated(keys)].iloc[0][keys].tolist()
        raise ManifestError(f"{path}: a table has {first} twice; keep one row.")
    theirs = whole[keys].merge(table, on=keys, how="left").fillna("")
    added = whole.copy()
    for column in theirs.columns.difference(keys, sort=False):
        ours = whole[column] if column in whole.columns else pd.Series("", index=whole.index)
        both = (ours != "") & (theirs[column] != "") & (ours != theirs[column])
        if both.any():
            i = both.tolist().index(True)
            raise ManifestError(
                f"{path}: {column} of {whole[keys].iloc[i].tolist()} is {ours.iloc[i]!r} in one "
                f"table and {theirs[column].iloc[i]!r} in another; give one table, not the folder."
            )
        added[column] = ours.where(ours != "", theirs[column])
    return added


def _identified(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return it with ids: the file without suffix, and of a segment where it starts."""
    files, _ = relative_paths(table[FILE].tolist(), path)
    names = [PurePath(name).with_suffix("").as_posix() for name in files]
    if START in table.columns:
        names = [
            f"{name}@{start}" if start else name
            for name, start in zip(names, table[START], strict=True)
        ]
    ids = {} if "utterance_id" in table.columns else {"utterance_id": names}
    return table.rename(columns={FILE: "path"}).assign(**ids)
