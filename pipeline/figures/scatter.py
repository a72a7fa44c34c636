"""The picture of numbers against what was predicted of them."""

from pathlib import Path

import numpy as np

from pipeline.errors import ShapeError
from pipeline.figures.canvas import COLOURS, MUTED, new_figure, save_figure

PIXELS = (640, 640)
_FADED_FROM = 200  # points; where there are more, each is fainter


def draw_scatter(
    path: Path, labels: np.ndarray, predicted: np.ndarray, *, title: str, scores: str
) -> None:
    """Draw each clip's prediction over its label, with the line on which both are the same.

    Args:
        path: The PNG to write, whole or not at all.
        labels: Shape (B,), in their units.
        predicted: In the same units, shape (B,).
        title: What is shown; one short line.
        scores: A line below it.

    Raises:
        ShapeError: If there is no clip, or they do not agree in B.
        OutputError: If the file cannot be written.
    """
    if not len(labels) or labels.shape != predicted.shape:
        raise ShapeError(
            f"scatter: found labels {labels.shape!r} and predictions {predicted.shape!r}, wanted "
            "one of each per clip, at least one."
        )
    figure = new_figure(PIXELS, title)
    axes = figure.add_subplot()
    low, high = (f([f(labels), f(predicted)]) for f in (np.min, np.max))
    room = 0.04 * (high - low) or 1.0
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle="--")
    axes.scatter(
        labels,
        predicted,
        s=14,
        color=COLOURS[0],
        alpha=max(0.05, min(0.7, 0.7 * _FADED_FROM / len(labels))),
        linewidths=0,
    )
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(low - room, high + room)
    axes.set_aspect("equal")
    axes.set_title(scores, fontsize=10)
    axes.set_xlabel("label", fontsize=10)
    axes.set_ylabel("predicted; on the dashed line it is the label", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    save_figure(path, figure)
