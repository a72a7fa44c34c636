"""Folders of recordings with a table of metadata, as `datasets` reads them with `audiofolder`.

`metadata.csv`, `.jsonl` or `.parquet` has a column `file_name`, relative to where it lies: at the
top, or in a folder for each part, train, validation (or dev) and test.
"""

from pathlib import Path, PurePath

import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.tables import read_table

FILE = "file_name"
NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
PARTS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "eval": "test",
    "test": "test",
    "testing": "test",
}


def read_audiofolder(folder: Path) -> pd.DataFrame:
    """Return the rows of every table of metadata below a folder, as texts.

    A row's part is that of the first folder on its path which is called so. What the table says
    itself, of `split` and `utterance_id` too, comes first.

    Raises:
        ManifestError: If there is no table, or one without file names.
    """
    found = sorted(path for name in NAMES for path in folder.rglob(name) if path.is_file())
    if not found:
        raise ManifestError(
            f"{folder}: holds no {', '.join(NAMES)}; name a folder with one, or use 'genser "
            "prepare folders' where folders are the classes."
        )
    table = pd.concat([_rows(path, folder) for path in found], ignore_index=True).fillna("")
    if "split" not in table:
        table["split"] = table["path"].map(_part)
    if "utterance_id" not in table:
        table["utterance_id"] = [
            PurePath(path).with_suffix("").as_posix() for path in table["path"]
        ]
    return table


def _rows(path: Path, folder: Path) -> pd.DataFrame:
    table, _ = read_table(path)
    if FILE not in table.columns:
        raise ManifestError(
            f"{path}: has no column {FILE!r}, only {list(table.columns)}; name the recordings "
            "there, relative to this file."
        )
    beside = path.parent.relative_to(folder)
    return table.assign(path=[(beside / name).as_posix() for name in table[FILE]]).drop(
        columns=FILE
    )


def _part(path: str) -> str:
    parts = (PARTS[name.lower()] for name in PurePath(path).parent.parts if name.lower() in PARTS)
    return next(parts, "")
