"""The picture of a training run."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from pipeline.errors import ShapeError
from pipeline.figures.canvas import COLOURS, INK, MUTED, new_figure, save_figure

CURVES_PIXELS = (960, 768)


def draw_learning_curve(path: Path, curves: pd.DataFrame, *, title: str) -> None:
    """Draw a training run: the loss above, every score on dev below, each phase apart.

    Args:
        path: The PNG to write, whole or not at all.
        curves: Columns `step`, `train_loss` and any number of `dev_<score>`; a row lacks (NaN)
            what was not measured at its step; `phase` where there are several.
        title: What is shown, e.g. the head; one short line.

    Raises:
        ShapeError: If there is no row, or `step`, `train_loss` or every `dev_` column is missing.
        OutputError: If the file cannot be written.
    """
    scores = [name for name in curves.columns if str(name).startswith("dev_")]
    if not {"step", "train_loss"} <= set(curves.columns) or not scores or curves.empty:
        raise ShapeError(
            f"curves: found {len(curves)} rows and columns {list(curves.columns)!r}, wanted rows "
            "with 'step', 'train_loss' and at least one 'dev_' column; train before drawing."
        )
    figure = new_figure(CURVES_PIXELS, title)
    loss_axes, score_axes = figure.subplots(2, 1, sharex=True)
    phases = curves["phase"] if "phase" in curves.columns else pd.Series("", index=curves.index)
    for name, part in curves.groupby(phases, sort=False):
        _draw_line(loss_axes, part, "train_loss", colour=INK)
        if part.index[0] != curves.index[0]:
            between = (part["step"].iloc[0] + curves["step"][part.index[0] - 1]) / 2
            for axes in (loss_axes, score_axes):
                axes.axvline(between, color=MUTED, linewidth=0.8, linestyle="--")
        if name:
            loss_axes.text(
                part["step"].mean(),
                1.0,
                f"phase {name}",
                transform=loss_axes.get_xaxis_transform(),
                ha="center",
                fontsize=9,
                color=MUTED,
            )
    for index, name in enumerate(scores):
        _draw_line(score_axes, curves, name, colour=COLOURS[index % len(COLOURS)])
    loss_axes.set_ylabel("training loss", fontsize=10)
    score_axes.set_ylabel("score on dev", fontsize=10)
    score_axes.set_xlabel("step", fontsize=10)
    score_axes.legend(loc="lower right", fontsize=9, frameon=False)
    save_figure(path, figure)


def _draw_line(axes: Axes, curves: pd.DataFrame, column: str, *, colour: str) -> None:
    measured = curves[["step", column]].dropna()
    axes.plot(
        measured["step"].to_numpy(),
        measured[column].to_numpy(),
        color=colour,
        linewidth=1.6,
        marker="o" if len(measured) < 40 else "",
        markersize=3,
        label=column.removeprefix("dev_"),
    )
    axes.grid(visible=True, color="#e5e5e5", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
