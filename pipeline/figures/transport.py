"""Gen-SER's Fig. 1 for one clip: the state on its way, and its cosine to each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import ShapeError
from pipeline.figures.canvas import COLOURS, INK, MUTED, new_figure, save_figure

PIXELS = (1024, 896)
PANELS = 6
OTHERS = "#b5b5b5"


def draw_transport(
    path: Path,
    *,
    times: np.ndarray,
    states: np.ndarray,
    code: np.ndarray,
    cosines: np.ndarray,
    classes: Sequence[str],
    label: int,
    title: str,
) -> None:
    """Draw six states from t = 1 to 0 against the class's code, and all cosines over t.

    Args:
        path: The PNG to write, whole or not at all.
        times: Of the states, falling, shape (N + 1,); N a multiple of 5 gives even panels.
        states: Shape (N + 1, D).
        code: Of the clip's class, shape (D,).
        cosines: To each class code, shape (N + 1, C).
        classes: Class names.
        label: The clip's class.
        title: What is shown; one short line.

    Raises:
        ShapeError: If the arrays do not agree.
        OutputError: If the file cannot be written.
    """
    if not len(times) == len(states) == len(cosines) or len(times) < PANELS:
        raise ShapeError(
            f"transport: found {len(times)} times, {len(states)} states and {len(cosines)} rows of "
            f"cosines, wanted as many of each and at least {PANELS}."
        )
    figure = new_figure(PIXELS, title)
    grid = figure.add_gridspec(3, 3, height_ratios=(1, 1, 1.3))
    chosen = np.linspace(0, len(times) - 1, PANELS).round().astype(int)
    span = 1.1 * max(float(np.abs(code).max()), float(np.abs(states[chosen[-1]]).max()))
    for panel, index in enumerate(chosen):
        axes = figure.add_subplot(grid[panel // 3, panel % 3])
        axes.plot(states[index], color=COLOURS[5], linewidth=0.7, label="state")
        axes.plot(code, color=INK, linewidth=1.2, linestyle="--", label="code of its class")
        axes.set_title(
            f"t = {times[index]:.2f}, cosine {cosines[index, label]:+.2f}", fontsize=10, color=INK
        )
        axes.set_ylim(-max(span, 1.0), max(span, 1.0))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        if panel == 0:
            axes.legend(fontsize=8, framealpha=0.9, edgecolor="none", loc="lower left")
            axes.set_ylabel("value", fontsize=9)
        if panel >= 3:
            axes.set_xlabel("dimension", fontsize=9)
    axes = figure.add_subplot(grid[2, :])
    # Near 0 the others hide each other: only the one that comes nearest is told apart.
    others = sorted(set(range(len(classes))) - {label}, key=lambda i: float(cosines[:, i].max()))
    for place, index in enumerate(others, start=1):
        nearest = place == len(others)
        axes.plot(
            times,
            cosines[:, index],
            color=COLOURS[1] if nearest else OTHERS,
            linestyle="--" if nearest else "-",
            linewidth=1.6 if nearest else 1.0,
            label=f"{classes[index]} (comes nearest of the others)"
            if nearest
            else "the other classes" * (place == 1),
        )
    axes.plot(times, cosines[:, label], color=INK, linewidth=2.4, label=classes[label])
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.set_xlim(float(times[0]), float(times[-1]))
    axes.set_xlabel("t, from the embedding (left) to the code (right)", fontsize=10)
    axes.set_ylabel("cosine to the class's code", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    save_figure(path, figure)
