"""Sealed files that stand beside a run's predictions, and are made again with them."""

from pathlib import Path
from typing import TypeVar

from pipeline.errors import PredictionsError
from pipeline.files import read_bytes
from pipeline.typed import unsealed

Kind = TypeVar("Kind")


def read_beside(kind: type[Kind], path: Path) -> Kind | None:
    """Return what `sealed_json` wrote of a dataclass; None where there is no such file.

    Raises:
        PredictionsError: If it is damaged.
    """
    if not path.exists():
        return None
    found = unsealed(kind, read_bytes(path))
    if found is None:
        raise PredictionsError(f"{path}: is damaged; remove it with its predictions.")
    return found
