"""What representations know: for each question a bar of each, with chance across them."""

from pathlib import Path

import pandas as pd

from pipeline.errors import ShapeError
from pipeline.figures.canvas import COLOURS, INK, new_figure, save_figure

HEIGHT, BAR_WIDTH, AROUND_BARS = 576, 56, 260  # pixels
ROOM = 0.6  # between questions, in bars


def draw_probes(path: Path, table: pd.DataFrame, *, title: str, ylabel: str) -> None:
    """Draw bars side by side, a group for each question, a colour for each representation.

    Args:
        path: The PNG to write, whole or not at all.
        table: Columns question, representation, value, low, high, and chance of the question.
        title: What is shown; one short line.
        ylabel: What the values are.

    Raises:
        ShapeError: If there is nothing to draw.
        OutputError: If the file cannot be written.
    """
    if table.empty:
        raise ShapeError(f"{path.name}: found no question, wanted some; probe first.")
    names = list(dict.fromkeys(table["representation"]))
    groups = list(table.groupby("question", sort=False))
    figure = new_figure((AROUND_BARS + BAR_WIDTH * len(table), HEIGHT), title)
    axes = figure.add_subplot()
    ticks, begin = [], 0.0
    for number, (_, mine) in enumerate(groups):
        for place, bar in enumerate(mine.to_dict("records")):
            x = begin + place
            colour = COLOURS[names.index(bar["representation"]) % len(COLOURS)]
            axes.bar(x, bar["value"], width=0.86, color=colour, alpha=0.6, edgecolor=colour)
            axes.plot([x, x], [bar["low"], bar["high"]], color=INK, linewidth=1.4)
            axes.plot([x, x], [bar["low"], bar["high"]], "_", color=INK, markersize=7)
        ends = [begin - 0.5, begin + len(mine) - 0.5]
        chance = float(mine["chance"].iloc[0])
        axes.plot(
            ends,
            [chance] * 2,
            color=INK,
            linestyle="--",
            linewidth=1.4,
            label="_" * (number > 0) + "chance",
        )
        ticks.append(sum(ends) / 2)
        begin = ends[1] + 0.5 + ROOM
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        axes.bar(0, 0, color=colour, alpha=0.6, edgecolor=colour, label=name)
    axes.set_xticks(ticks, [str(name) for name, _ in groups], parse_math=False)
    axes.set_ylim(0, 1)
    axes.set_ylabel(ylabel, fontsize=10)
    axes.grid(visible=True, axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    figure.legend(loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    save_figure(path, figure)
