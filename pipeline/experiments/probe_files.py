"""The probes of a cross-validation's runs: beside each run's predictions, and as one table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.manifests.tables import read_csv, write_csv

PROBES = "probes.csv"


def write_probes(path: Path, table: pd.DataFrame) -> None:
    """Write the probes of a run beside its predictions.

    Raises:
        OutputError: If they cannot be written.
    """
    write_csv(_beside(path), table)


def read_probes(path: Path) -> pd.DataFrame:
    """Return the probes of the run of a predictions file; empty where nobody asked."""
    try:
        return read_csv(_beside(path))
    except (OSError, ValueError):
        return pd.DataFrame()


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
    return path.with_suffix(".probes.csv")
