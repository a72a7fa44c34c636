"""The picture of a confusion matrix."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pipeline.errors import ShapeError
from pipeline.figures.canvas import EMPTY, INK, MUTED, PAPER, new_figure, save_figure

_CELL_PIXELS = 78
_MARGIN_PIXELS = (340, 300)
# From here on white is read more easily than black on matplotlib's Blues.
_DARK_FROM = 0.65


def confusion_pixels(num_classes: int) -> tuple[int, int]:
    """Return width and height in pixels of the picture of a confusion matrix with C classes."""
    side = _CELL_PIXELS * max(num_classes, 4)
    return side + _MARGIN_PIXELS[0], side + _MARGIN_PIXELS[1]


def draw_confusion(path: Path, matrix: np.ndarray, classes: Sequence[str], *, title: str) -> None:
    """Draw a confusion matrix: each row's shares in percent, the clips in small figures below.

    The diagonal is each class's recall; it is framed, and repeated at the right of its row.

    Args:
        path: The PNG to write, whole or not at all.
        matrix: Counts, shape (C, C), integers >= 0; rows are actual, columns predicted.
        classes: Class names in index order, C of them; 2 to 12 are readable.
        title: What is shown, e.g. the head and the split; one short line.

    Raises:
        ShapeError: If the matrix is not one of counts of C classes.
        OutputError: If the file cannot be written.
    """
    _check_matrix(matrix, classes)
    num_classes = len(classes)
    totals = matrix.sum(axis=1)
    shares = matrix / np.maximum(totals, 1)[:, None]
    figure = new_figure(confusion_pixels(num_classes), title)
    axes = figure.add_subplot(facecolor=EMPTY)
    rows_with_clips = np.ma.masked_array(shares, np.repeat(totals == 0, num_classes))
    axes.imshow(rows_with_clips, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
    _write_cells(axes, matrix, shares)
    _label_confusion(axes, classes, totals, shares.diagonal())
    axes.set_title(_scores_line(matrix), fontsize=10, color=INK, pad=10)
    figure.supxlabel(
        "Large figures: percent of the row. Small figures: clips.", fontsize=8, color=MUTED
    )
    save_figure(path, figure)


def _write_cells(axes: Axes, matrix: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(matrix):
        if not matrix[row].any():
            continue
        share = float(shares[row, column])
        on_dark = share > _DARK_FROM
        weight = "bold" if row == column else "normal"
        for text, size, offset in ((f"{100 * share:.0f}", 13, 6), (f"{count}", 8, -12)):
            axes.annotate(
                text,
                (column, row),
                xytext=(0, offset),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=size,
                fontweight=weight,
                color=PAPER if on_dark else INK if count else MUTED,
            )
    # White lines between the cells, a frame around each class's recall.
    edges = np.arange(len(matrix) + 1) - 0.5
    axes.hlines(edges, edges[0], edges[-1], color=PAPER, linewidth=2)
    axes.vlines(edges, edges[0], edges[-1], color=PAPER, linewidth=2)
    for index in np.flatnonzero(matrix.any(axis=1)):
        corner = (index - 0.5, index - 0.5)
        axes.add_patch(
            Rectangle(
                corner, 1, 1, fill=False, edgecolor=INK, linewidth=1.4, zorder=3, clip_on=False
            )
        )


def _label_confusion(
    axes: Axes, classes: Sequence[str], totals: np.ndarray, recall: np.ndarray
) -> None:
    ticks = np.arange(len(classes))
    steep = max(map(len, classes)) > 8
    axes.set_xticks(
        ticks,
        classes,
        fontsize=10,
        rotation=40 if steep else 0,
        ha="right" if steep else "center",
        rotation_mode="anchor" if steep else "default",
    )
    rows = [f"{name}\nn = {total}" for name, total in zip(classes, totals, strict=True)]
    axes.set_yticks(ticks, rows, fontsize=10)
    axes.set_xlabel("predicted", fontsize=12, color=INK)
    axes.set_ylabel("actual", fontsize=12, color=INK)
    right = axes.secondary_yaxis("right")
    shown = [
        f"{100 * value:.0f} %" if total else "no clip"
        for value, total in zip(recall, totals, strict=True)
    ]
    right.set_yticks(ticks, shown, fontsize=10)
    right.set_ylabel("recall", fontsize=12, color=INK)
    for part in (axes, right):
        part.tick_params(length=0)
        part.spines[:].set_visible(False)


def _scores_line(matrix: np.ndarray) -> str:
    totals = matrix.sum(axis=1)
    if not totals.any():
        return "no clips"
    occurs = totals > 0
    accuracy = matrix.trace() / totals.sum()
    recall = np.mean(matrix.diagonal()[occurs] / totals[occurs])
    return f"WA {100 * accuracy:.1f} %   UA {100 * recall:.1f} %   n = {totals.sum()}"


def _check_matrix(matrix: np.ndarray, classes: Sequence[str]) -> None:
    num_classes = len(classes)
    if matrix.shape != (num_classes, num_classes) or num_classes == 0:
        raise ShapeError(
            f"confusion matrix: found shape {matrix.shape!r}, wanted "
            f"{(num_classes, num_classes)!r} for the classes {list(classes)!r}; "
            "count with metrics.confusion_matrix."
        )
    if matrix.dtype.kind not in "iu" or matrix.min() < 0:
        raise ShapeError(
            f"confusion matrix: found dtype {str(matrix.dtype)!r} with lowest value "
            f"{matrix.min()!r}, wanted integer counts from 0; pass counts, not shares."
        )
