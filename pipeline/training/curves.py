"""The learning curves of a training in its folder: a table and a picture."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import HeadError
from pipeline.figures.curves import draw_learning_curve
from pipeline.files import publish
from pipeline.heads.folder import read_beside

CURVES = "curves.tsv"
PICTURE = "curves.png"
MOST_LOOKS, MOST_COLUMNS = 100_000, 100
MOST_BYTES = 32_000_000
LARGEST = 2**53  # whole numbers are exact below
_COLUMN = re.compile(r"step|train_loss|learning_rate|phase|loss\..+|dev_.+")


def write_curves(folder: Path, curves: pd.DataFrame, *, title: str) -> None:
    """Write the looks at dev of a training.

    Args:
        folder: Where to.
        curves: Of its `Selection`.
        title: Of the picture.

    Raises:
        OutputError: If they cannot be written.
    """
    with publish(folder / CURVES) as temporary:
        curves.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
    draw_learning_curve(folder / PICTURE, curves, title=title)


def read_curves(folder: Path) -> pd.DataFrame:
    """Return the looks at dev of a head's training, as its `Selection` had them.

    Raises:
        HeadError: If the head has none, they are damaged, or are no learning curves.
    """
    data = read_beside(folder, CURVES, most_bytes=MOST_BYTES)
    try:
        told = pd.read_csv(
            io.BytesIO(data), sep="\t", dtype="str", keep_default_na=False, nrows=MOST_LOOKS + 1
        )
        fault = _fault_of_form(told)
        numbers = told.drop(columns="phase", errors="ignore").replace("", "nan").astype("float64")
        curves = told.assign(**{str(name): numbers[name] for name in numbers})
        fault = fault or _fault_of_numbers(numbers)
    except (ValueError, OverflowError) as error:  # pandas' own among them
        fault = f"found {' '.join(str(error).split())[:200]}, wanted a table of numbers"
    if fault:
        raise HeadError(f"{folder / CURVES}: {fault}; train the head again.")
    return curves.astype({"step": "int64"})


def _fault_of_form(told: pd.DataFrame) -> str:
    """Say what no learning curve has, "" of one."""
    names = [str(name) for name in told.columns]
    strange = [name for name in names if not _COLUMN.fullmatch(name)]
    if strange or not {"step", "train_loss"} <= set(names):
        return (
            f"found the columns {names[:9]}, wanted 'step', 'train_loss', 'learning_rate', "
            "'phase', 'loss.<name>' and 'dev_<name>'"
        )
    if not any(name.startswith("dev_") for name in names) or len(names) > MOST_COLUMNS:
        return f"found {len(names)} columns, wanted 'dev_<name>' and at most {MOST_COLUMNS}"
    if not isinstance(told.index, pd.RangeIndex):
        return f"found rows of more cells than the {len(names)} columns, wanted as many"
    if not 0 < len(told) <= MOST_LOOKS:
        found = "none" if told.empty else f"more than {MOST_LOOKS}"
        return f"found {found} looks at dev, wanted 1 to {MOST_LOOKS}"
    return ""


def _fault_of_numbers(numbers: pd.DataFrame) -> str:
    """Say what no look at dev is, "" of those that may be."""
    steps = numbers["step"].to_numpy()
    rises = np.append(steps[:1] >= 0, steps[1:] > steps[:-1])
    wrong = np.flatnonzero(~(rises & (steps < LARGEST) & (np.floor(steps) == steps)))
    if len(wrong):
        return f"found step {steps[wrong[0]]:g} in row {wrong[0] + 1}, wanted whole ones that rise"
    infinite = np.isinf(numbers.to_numpy()).any(0)
    if infinite.any():
        return f"found infinity in {numbers.columns[infinite][0]!r}, wanted numbers"
    return ""
