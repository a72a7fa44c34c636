"""The picture of how far probabilities can be believed."""

from pathlib import Path

import numpy as np

from pipeline.evaluation.reliability import expected_calibration_error, reliability
from pipeline.figures.canvas import COLOURS, INK, MUTED, new_figure, save_figure

PIXELS = (768, 544)


def draw_reliability(
    path: Path, probabilities: np.ndarray, labels: np.ndarray, *, title: str
) -> None:
    """Draw accuracy against confidence.

    Args:
        path: The PNG to write, whole or not at all.
        probabilities: Shape (B, C).
        labels: Class indices, shape (B,).
        title: What is shown; one short line.

    Raises:
        ShapeError: If the arrays do not agree or are empty.
        OutputError: If the file cannot be written.
    """
    found = reliability(probabilities, labels)
    figure = new_figure(PIXELS, title)
    axes = figure.add_subplot()
    filled = found.counts > 0
    centres = (found.edges[:-1] + found.edges[1:]) / 2
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="as sure as right")
    axes.bar(
        centres[filled],
        found.accuracy[filled],
        width=0.9 * (found.edges[1] - found.edges[0]),
        color=COLOURS[5],
        edgecolor=COLOURS[0],
        label="right, of the clips in a bin",
    )
    axes.plot(
        found.confidence[filled],
        found.accuracy[filled],
        color=COLOURS[1],
        marker="o",
        linestyle="",
        label="mean probability",
    )
    for centre, accuracy, count in zip(
        centres[filled], found.accuracy[filled], found.counts[filled], strict=True
    ):
        axes.annotate(
            str(count),
            (centre, accuracy),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=INK,
        )
    error = expected_calibration_error(probabilities, labels)
    axes.set_title(f"Reliability, ECE {error:.3f}; small figures: clips", fontsize=10)
    axes.set_xlabel("probability of the predicted class", fontsize=10)
    axes.set_ylabel("accuracy", fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.set_xlim(0, 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.set_ylim(0, 1.05)
    save_figure(path, figure)
