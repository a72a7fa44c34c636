"""Pictures of a score against something: layers, a parameter, steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipeline.errors import ShapeError
from pipeline.figures.canvas import COLOURS, MUTED, new_figure, save_figure

PIXELS = (768, 480)
MOST_LINES = 6  # that can be told apart where each has its intervals
LEGEND_CHARACTERS = 96  # that fit side by side, a line's sample counted as 8
_MARKERS = "osD^vP"
_DASHES = ("-", "--", "-.", ":")
SPREAD = 0.5  # of the room of one place, over which the points of all lines are spread


def draw_scores(
    path: Path,
    lines: Mapping[str, pd.DataFrame],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    reference: tuple[str, float] | None = None,
) -> None:
    """Draw one line for each system, with a band where its low and high are known.

    Args:
        path: The PNG to write, whole or not at all.
        lines: For each name a table with the columns x (numbers or texts), value, and if known low
            and high.
        title: What is shown; one short line.
        xlabel: What x is.
        ylabel: What the values are.
        reference: A name and a value that is drawn as a dashed line, e.g. chance.

    Raises:
        ShapeError: If there is nothing to draw.
        OutputError: If the file cannot be written.
    """
    if not lines or any(table.empty for table in lines.values()):
        raise ShapeError(f"{path.name}: found a line without points, wanted some; measure first.")
    figure = new_figure(PIXELS, title)
    axes = figure.add_subplot()
    ticks = list(dict.fromkeys(x for table in lines.values() for x in table["x"]))
    places = {x: i for i, x in enumerate(ticks)}
    for index, (name, table) in enumerate(lines.items()):
        # Lines that agree would hide each other: their points stand side by side.
        beside = (index - (len(lines) - 1) / 2) * min(0.12, SPREAD / len(lines))
        _draw_line(axes, table.assign(place=table["x"].map(places) + beside), name, index)
    if reference:
        axes.axhline(reference[1], color=MUTED, linewidth=1, linestyle="--", label=reference[0])
    axes.set_xticks(
        range(len(ticks)), [f"{x:g}" if isinstance(x, float) else str(x) for x in ticks]
    )
    axes.set_xlabel(xlabel, fontsize=10)
    axes.set_ylabel(ylabel, fontsize=10)
    axes.grid(visible=True, axis="y", color="#e5e5e5", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    if len(lines) > 1 or reference:
        longest = max(len(name) for name in lines)
        ncols = max(1, min(6, LEGEND_CHARACTERS // (longest + 8)))
        figure.legend(loc="outside lower center", ncols=ncols, fontsize=9, frameon=False)
    save_figure(path, figure)


def _draw_line(axes: Axes, table: pd.DataFrame, name: str, index: int) -> None:
    colour = COLOURS[index % len(COLOURS)]
    marker = _MARKERS[index % len(_MARKERS)]
    places = table["place"].to_numpy(dtype=float)
    style: dict[str, Any] = {
        "color": colour,
        "linewidth": 1.4,
        "linestyle": _DASHES[index % len(_DASHES)],
        "marker": marker,
        "markersize": 5,
        "label": name,
    }
    values = table["value"].to_numpy(dtype=float)
    if {"low", "high"} <= set(table.columns) and np.isfinite(table["low"]).all():
        ends = np.abs(table[["low", "high"]].to_numpy(dtype=float).T - values)
        axes.errorbar(places, values, ends, capsize=2, elinewidth=0.8, **style)
    else:
        axes.plot(places, values, **style)
