"""The picture of what each part of a manifest holds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps

from pipeline.errors import ShapeError
from pipeline.figures.canvas import INK, MUTED, PAPER, new_figure, save_figure

_BAR_PIXELS = 46
_MARGIN_PIXELS = 300
_WIDTH_PIXELS = 1280
_HATCHES = ("", "//", "xx", "..")  # beyond the first few classes, colour alone is not enough


def draw_audit(
    path: Path,
    table: pd.DataFrame,
    classes: Sequence[str],
    *,
    title: str,
    verdict: str,
) -> None:
    """Draw a bar for each part of each fold, in stretches for the classes.

    Args:
        path: The PNG to write, whole or not at all.
        table: Columns fold, part, clips, hours (NaN unknown), speakers and each of `classes`.
        classes: What the stretches are, in their order.
        title: What is shown; one short line.
        verdict: What the parts share; one line.

    Raises:
        ShapeError: If the table has no row.
        OutputError: If the file cannot be written.
    """
    if table.empty:
        raise ShapeError("audit: found no rows, wanted one for each part; audit a manifest first.")
    figure = new_figure((_WIDTH_PIXELS, _BAR_PIXELS * len(table) + _MARGIN_PIXELS), title)
    axes = figure.add_subplot()
    places = np.arange(len(table))
    left = np.zeros(len(table))
    for index, name in enumerate(classes):
        counts = table[name].to_numpy(dtype=float)
        axes.barh(
            places,
            counts,
            left=left,
            height=0.78,
            label=name,
            # Even steps through cividis, which readers with any colour vision see as steps.
            color=colormaps["cividis"](index / max(len(classes) - 1, 1)),
            hatch=_HATCHES[index % len(_HATCHES)],
            edgecolor=PAPER,
            linewidth=0.6,
        )
        left += counts
    unlabelled = table["clips"].to_numpy(dtype=float) - left
    if unlabelled.any():
        axes.barh(
            places,
            unlabelled,
            left=left,
            height=0.78,
            label="no label",
            color=PAPER,
            edgecolor=MUTED,
            linewidth=0.8,
        )
    for place, row in zip(places, table.to_dict("records"), strict=True):
        hours = "" if np.isnan(row["hours"]) else f", {row['hours']:.2f} h"
        axes.annotate(
            f"{row['clips']} clips{hours}, {row['speakers']} speakers",
            (row["clips"], place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    names = [f"fold {fold}: {part}" if fold else part for fold, part in _names(table)]
    axes.set_yticks(places, names, fontsize=10)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.32 * float(table["clips"].max()))
    axes.set_xlabel("clips", fontsize=10)
    axes.set_title(verdict, fontsize=10, color=INK, pad=10)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=9)
    figure.legend(loc="outside lower center", ncols=7, fontsize=9, frameon=False)
    save_figure(path, figure)


def _names(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["fold"], table["part"], strict=True))
