"""The probabilities of classes over the time of a recording."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from pipeline.figures.canvas import COLOURS, MUTED, new_figure, save_figure

WIDTH, HEIGHT_OF_CLASS, AROUND = 1600, 56, 200  # pixels
# What is unlikely is told apart from what was not scored, which is white.
SHADES = ListedColormap(colormaps["Greys"](np.linspace(0.12, 1, 256)))
MOST_TICKS = 12
TICKS_S = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def draw_timeline(
    path: Path,
    edges: np.ndarray,
    probabilities: np.ndarray,
    *,
    said: Sequence[tuple[float, float, int]],
    classes: Sequence[str],
    duration: float,
    title: str,
) -> None:
    """Draw a row for each class, the darker the likelier, with a bar where it is the one said.

    Args:
        path: The PNG to write, whole or not at all.
        edges: Where the N parts begin and end, seconds, shape (N, 2).
        probabilities: Of each part, shape (N, C).
        said: Start, end and class of each part of the merged timeline.
        classes: C names.
        duration: Of the recording, seconds.
        title: What is shown; one short line.

    Raises:
        OutputError: If the file cannot be written.
    """
    figure = new_figure((WIDTH, AROUND + HEIGHT_OF_CLASS * len(classes)), title)
    axes = figure.add_subplot()
    # One mesh with empty cells between the parts: thousands of parts are one object.
    times = np.unique(np.append(edges.ravel(), (0.0, duration)))
    cells = np.full((len(classes), len(times) - 1), np.nan)
    cells[:, np.searchsorted(times, edges[:, 0])] = probabilities.T
    rows = np.arange(len(classes) + 1) - 0.5
    shown = axes.pcolormesh(
        times, rows, np.ma.masked_invalid(cells), cmap=SHADES, vmin=0, vmax=1, rasterized=True
    )
    for start, end, number in said:
        axes.plot(
            [start, end],
            [number - 0.38] * 2,
            color=COLOURS[number % len(COLOURS)],
            linewidth=4,
            solid_capstyle="butt",
        )
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_yticks(range(len(classes)), list(classes), parse_math=False)
    axes.hlines(rows[1:-1], 0, duration, color="#ffffff", linewidth=2)
    set_times(axes, duration, "a bar: the class that is said; white: nothing was scored")
    bar = figure.colorbar(shown, ax=axes, pad=0.01, aspect=15)
    bar.set_label("probability", fontsize=10, color=MUTED)
    bar.ax.tick_params(labelsize=8)
    save_figure(path, figure)


def set_times(axes: Axes, duration: float, note: str) -> None:
    """Let the x axis be the time of a recording, and say beside it how the picture is read."""
    axes.set_xlim(0, duration)
    ticks = _ticks(duration)
    axes.set_xticks(ticks, [clock(tick) for tick in ticks])
    axes.set_xlabel(f"time; {note}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _ticks(duration: float) -> list[float]:
    """Return round times, not too many."""
    step = next((s for s in TICKS_S if duration / s <= MOST_TICKS), duration / MOST_TICKS)
    return [step * i for i in range(int(duration / step + 1e-9) + 1)]


def clock(seconds: float) -> str:
    """Return a time as h:mm:ss or m:ss, with tenths where there are any."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    told = f"{rest:04.1f}".removesuffix(".0")
    return f"{hours}:{minutes:02d}:{told}" if hours else f"{minutes}:{told}"
