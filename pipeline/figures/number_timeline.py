"""A number over the time of a recording."""

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection

from pipeline.figures.canvas import COLOURS, EMPTY, MUTED, new_figure, save_figure
from pipeline.figures.timeline import WIDTH, set_times

HEIGHT = 480  # pixels
ROOM = 0.06  # above and below, of what is shown
SHORTEST = 1 / 400  # of the whole, about four pixels: what is shorter would hardly be drawn


def draw_number_timeline(
    path: Path,
    edges: np.ndarray,
    numbers: np.ndarray,
    *,
    ends: tuple[float, float],
    task: str,
    duration: float,
    title: str,
) -> None:
    """Draw a bar for each part, as high as its number, between the marked ends of the scale.

    Args:
        path: The PNG to write, whole or not at all.
        edges: Where the N parts begin and end, seconds, first to last, shape (N, 2).
        numbers: Of each part, in the units of the labels, shape (N,).
        ends: The least and the greatest label of training.
        task: What the numbers are of.
        duration: Of the recording, seconds.
        title: What is shown; one short line.

    Raises:
        OutputError: If the file cannot be written.
    """
    figure = new_figure((WIDTH, HEIGHT), title)
    axes = figure.add_subplot()
    axes.axhspan(*ends, color=EMPTY, linewidth=0)
    for end in ends:
        axes.axhline(end, color=MUTED, linewidth=1, linestyle="--")
    starts, stops = edges[:, 0], edges[:, 1]
    touching = np.flatnonzero(starts[1:] == stops[:-1])
    steps = [[(stops[i], numbers[i]), (starts[i + 1], numbers[i + 1])] for i in touching]
    is_alone = np.ones(len(numbers), bool)
    is_alone[touching] = is_alone[touching + 1] = False
    added = np.where(is_alone, np.maximum(SHORTEST * duration - (stops - starts), 0) / 2, 0)
    shown = zip(starts - added, stops + added, numbers, strict=True)
    bars = [[(start, y), (stop, y)] for start, stop, y in shown]
    axes.add_collection(LineCollection(steps, colors=COLOURS[0], linewidths=1, alpha=0.5))
    axes.add_collection(LineCollection(bars, colors=COLOURS[0], linewidths=3, capstyle="butt"))
    low, high = np.min([*numbers, *ends]), np.max([*numbers, *ends])
    room = ROOM * (high - low)
    axes.set_ylim(low - room, high + room)
    set_times(axes, duration, "a bar: the number that is said; without one nothing was scored")
    axes.set_ylabel(task, fontsize=10)
    right = axes.secondary_yaxis("right")
    least, greatest = (f"{end:g}" for end in ends)
    right.set_yticks(ends, [f"{least}, least in training", f"{greatest}, greatest in training"])
    right.tick_params(labelsize=9, colors=MUTED)
    right.spines["right"].set_visible(False)
    save_figure(path, figure)
