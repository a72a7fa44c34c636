"""The picture of a training run."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from pipeline.errors import ShapeError
from pipeline.figures.canvas import COLOURS, INK, MUTED, new_figure, save_figure

CURVES_PIXELS = (768, 576)
_NAMES = {"dev_wa": "WA", "dev_ua": "UA", "dev_wf1": "WF1", "dev_macro_f1": "macro F1"}
# Scores that agree lie on each other: each is drawn thinner than the one below it.
_WIDEST, _THINNEST = 6.0, 1.2


def draw_learning_curve(path: Path, curves: pd.DataFrame, *, title: str) -> None:
    """Draw a training run: the loss above, every score on dev below, phases apart and named.

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
    begin = 0
    for name, part in curves.groupby(phases, sort=False):
        _draw_line(loss_axes, part, "train_loss", colour=INK)
        end = part["step"].iloc[-1]  # a phase ends with a look
        if begin:
            for axes in (loss_axes, score_axes):
                axes.axvline(begin, color=MUTED, linewidth=0.8, linestyle="--")
        if name:
            loss_axes.text(
                (begin + end) / 2,
                1.0,
                str(name),
                transform=loss_axes.get_xaxis_transform(),
                ha="center",
                fontsize=9,
                color=MUTED,
            )
        begin = end
    for index, name in enumerate(scores):
        width = _WIDEST - (_WIDEST - _THINNEST) * index / max(len(scores) - 1, 1)
        _draw_line(
            score_axes,
            curves,
            name,
            colour=COLOURS[index % len(COLOURS)],
            width=width if len(scores) > 1 else _THINNEST,
        )
    score_axes.margins(y=0.08)
    if "phase" in curves.columns:
        score_axes.set_xlim(left=0)  # where the first phase begins
    loss_axes.set_ylabel("training loss", fontsize=10)
    score_axes.set_ylabel("score on dev", fontsize=10)
    score_axes.set_xlabel("step", fontsize=10)
    figure.legend(
        *score_axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        fontsize=9,
        frameon=False,
    )
    save_figure(path, figure)


def _draw_line(
    axes: Axes, curves: pd.DataFrame, column: str, *, colour: str, width: float = 1.6
) -> None:
    measured = curves[["step", column]].dropna()
    axes.plot(
        measured["step"].to_numpy(),
        measured[column].to_numpy(),
        color=colour,
        linewidth=width,
        marker="o" if len(measured) == 1 else "",
        markersize=4,
        label=_NAMES.get(column, column.removeprefix("dev_")),
    )
    axes.grid(visible=True, color="#e5e5e5", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
