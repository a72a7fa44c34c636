"""Pictures of the study of discrete tokens: what wins the loss back, and accuracy over bit rate."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipeline.errors import ShapeError
from pipeline.figures.canvas import COLOURS, INK, MUTED, new_figure, save_figure

WIDTH = 960
BAR_HEIGHT, AROUND_BARS = 30, 180  # pixels
RATE_PIXELS = (1152, 640)
_MARKERS = "osD^vP"
_HATCH = "////"


def draw_gains(
    path: Path, bars: pd.DataFrame, *, title: str, xlabel: str, gap: float | None = None
) -> None:
    """Draw one bar for each system, from 0, with its interval, and the gap as a dashed line.

    Args:
        path: The PNG to write, whole or not at all.
        bars: Columns name, value, low, high, group (bars of one have a colour), hatched (a bool:
            with something beside), and note (a text behind the bar, maybe "").
        title: What is shown; one short line.
        xlabel: What the values are.
        gap: Where the whole gap is closed.

    Raises:
        ShapeError: If there is nothing to draw.
        OutputError: If the file cannot be written.
    """
    _require_some(path, bars)
    figure = new_figure((WIDTH, AROUND_BARS + BAR_HEIGHT * len(bars)), title)
    axes = figure.add_subplot()
    groups = {
        group: COLOURS[i % len(COLOURS)] for i, group in enumerate(dict.fromkeys(bars["group"]))
    }
    seen: set[tuple[str, bool]] = set()
    ends = [0.0, *bars["low"], *bars["high"], *([] if gap is None else [gap])]
    right = float(np.nanmax(ends))
    room = right - float(np.nanmin(ends))
    for place, bar in enumerate(bars.to_dict("records")):
        kind = (bar["group"], bool(bar["hatched"]))
        label = f"{kind[0]}, with acoustics" if kind[1] else kind[0]
        axes.barh(
            place,
            bar["value"],
            height=0.62,
            color=groups[bar["group"]],
            alpha=0.55,
            edgecolor=groups[bar["group"]],
            hatch=_HATCH * kind[1],
            label="_" * (kind in seen) + label,
        )
        seen.add(kind)
        axes.plot([bar["low"], bar["high"]], [place, place], color=INK, linewidth=1.4)
        axes.plot([bar["low"], bar["high"]], [place, place], "|", color=INK, markersize=7)
        axes.text(right + 0.02 * room, place, bar["note"], va="center", fontsize=9, color=INK)
    axes.axvline(0, color=INK, linewidth=1)
    if gap is not None:
        axes.axvline(gap, color=MUTED, linewidth=1.2, linestyle="--", label="the whole gap")
    axes.set_xlim(right=right + 0.2 * room)
    axes.set_yticks(range(len(bars)), bars["name"].tolist())
    axes.invert_yaxis()
    axes.set_xlabel(xlabel, fontsize=10)
    axes.grid(visible=True, axis="x", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    _tidy(axes)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    save_figure(path, figure)


def draw_rates(
    path: Path, points: pd.DataFrame, *, title: str, ylabel: str, xlabel: str = "bits per second"
) -> None:
    """Draw scores over bit rates on a logarithmic axis, with intervals and labels.

    Args:
        path: The PNG to write, whole or not at all.
        points: Columns rate (above 0), value, low, high, group (points of one have a colour and a
            marker), hollow (a bool), and label (a text beside the point, maybe "").
        title: What is shown; one short line.
        ylabel: What the values are.
        xlabel: What the rates are.

    Raises:
        ShapeError: If there is nothing to draw, or a rate is not above 0.
        OutputError: If the file cannot be written.
    """
    _require_some(path, points)
    if not (points["rate"] > 0).all():
        raise ShapeError(
            f"{path.name}: found a rate of 0 or none, wanted all above 0; leave it out."
        )
    figure = new_figure(RATE_PIXELS, title)
    axes = figure.add_subplot()
    colours: dict[object, str] = {}
    for index, (group, mine) in enumerate(points.groupby("group", sort=False)):
        colour, marker = COLOURS[index % len(COLOURS)], _MARKERS[index % len(_MARKERS)]
        colours[group] = colour
        ends = np.abs(mine[["low", "high"]].to_numpy(dtype=float).T - mine["value"].to_numpy())
        axes.errorbar(
            mine["rate"], mine["value"], ends, fmt="none", ecolor=colour, alpha=0.35, capsize=2
        )
        for is_hollow, part in mine.groupby("hollow", sort=False):
            axes.plot(
                part["rate"],
                part["value"],
                linestyle="",
                marker=marker,
                markersize=7,
                color=colour,
                markerfacecolor="white" if is_hollow else colour,
            )
        axes.plot(
            [],
            [],
            linestyle="",
            marker=marker,
            color=colour,
            markerfacecolor="white" if mine["hollow"].all() else colour,
            label=str(group),
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")  # matplotlib's own are mathematics
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.08, y=0.1)
    _label(axes, points, colours)
    axes.set_xlabel(xlabel, fontsize=10)
    axes.set_ylabel(ylabel, fontsize=10)
    axes.grid(visible=True, color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    _tidy(axes)
    figure.legend(loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    save_figure(path, figure)


def _label(axes: Axes, points: pd.DataFrame, colours: Mapping[object, str]) -> None:
    """Write each label above all intervals that it would cover, and above other labels."""
    low, high = axes.get_ylim()
    line = (high - low) / 24
    left, right = np.log10(axes.get_xlim())
    places, tops = np.log10(points["rate"].to_numpy(dtype=float)), points["high"].to_numpy()
    taken: list[tuple[float, float, float]] = []
    labelled = points["label"] != ""
    for point in points[labelled].sort_values("high").to_dict("records"):
        place = float(np.log10(point["rate"]))
        half = (right - left) * 0.0042 * len(point["label"])
        height = float(tops[np.abs(places - place) < half].max()) + 0.3 * line
        while any(
            abs(place - other) < half + theirs and abs(height - at) < line
            for other, theirs, at in taken
        ):
            height += 0.25 * line
        taken.append((place, half, height))
        axes.text(
            point["rate"],
            height,
            point["label"],
            ha="center",
            va="bottom",
            fontsize=8,
            color=colours[point["group"]],
        )
    axes.set_ylim(low, max([high, *(height + 1.2 * line for _, _, height in taken)]))


def _require_some(path: Path, table: pd.DataFrame) -> None:
    if table.empty:
        raise ShapeError(f"{path.name}: found nothing to draw, wanted some rows; measure first.")


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
