"""The probes of a cross-validation's runs: beside each run's predictions, and as one table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.experiments.beside import read_beside
from pipeline.files import publish_bytes, sealed_json

PROBES = "probes.csv"


@dataclass(frozen=True)
class _Kept:
    table: str  # as CSV


def write_probes(path: Path, table: pd.DataFrame) -> None:
    """Write the probes of a run beside its predictions.

    Raises:
        OutputError: If they cannot be written.
    """
    publish_bytes(_beside(path), sealed_json(asdict(_Kept(table.to_csv(index=False)))))


def read_probes(path: Path) -> pd.DataFrame:
    """Return the probes of the run of a predictions file, empty where nobody asked.

    Raises:
        PredictionsError: If they are not there, or damaged.
    """
    beside = _beside(path)
    found = read_beside(_Kept, beside)
    if found is None:
        raise PredictionsError(f"{beside}: is not there; remove its predictions.")
    if not found.table.strip():
        return pd.DataFrame()
    # A text such as "NA" stays one.
    return pd.read_csv(StringIO(found.table), keep_default_na=False, na_values=[""])


def forget_probes(path: Path) -> None:
    """Remove what stands beside a predictions file."""
    _beside(path).unlink(missing_ok=True)


def probes_table(probes: Sequence[tuple[str, str, int, pd.DataFrame]]) -> pd.DataFrame:
    """Return the probes of runs below each other: system, fold, seed, and those of `probe_head`."""
    parts = [
        table.assign(system=system, fold=fold, seed=seed)
        for system, fold, seed, table in probes
        if len(table)
    ]
    if not parts:
        return pd.DataFrame()
    whole = pd.concat(parts, ignore_index=True)
    first = ["system", "fold", "seed"]
    return whole[[*first, *(name for name in whole if name not in first)]]


def _beside(path: Path) -> Path:
    return path.with_suffix(".probes.json")
