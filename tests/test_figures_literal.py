"""Names in pictures are the user's: what matplotlib would read as mathematics is drawn as it is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.figures.audit import draw_audit
from pipeline.figures.confusion import draw_confusion
from pipeline.figures.curves import draw_learning_curve
from pipeline.figures.lines import draw_scores
from pipeline.figures.number_timeline import draw_number_timeline
from pipeline.figures.reliability import draw_reliability
from pipeline.figures.tokens import draw_gains, draw_rates
from pipeline.figures.transport import draw_transport

BAD = "$\\frac{$"  # matplotlib cannot read it


def confusion(path: Path, name: str) -> None:
    draw_confusion(path, np.eye(2, dtype=np.int64), [name, "b"], title=name)


def curves(path: Path, name: str) -> None:
    table = pd.DataFrame({"step": [0, 1], "train_loss": [1.0, 0.5], f"dev_{name}": [0.1, 0.2]})
    draw_learning_curve(path, table.assign(phase=name), title=name)


def scores(path: Path, name: str) -> None:
    line = pd.DataFrame({"x": [0, 1], "value": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.2, 0.3]})
    draw_scores(path, {name: line}, title=name, xlabel=name, ylabel=name, reference=(name, 0.5))


def reliability(path: Path, name: str) -> None:
    draw_reliability(path, np.array([[0.7, 0.3]]), np.array([0]), title=name)


def gains(path: Path, name: str) -> None:
    bars = pd.DataFrame(
        {"name": [name], "value": [1.0], "low": [0.5], "high": [1.5], "group": [name],
         "hatched": [False], "note": [name]}
    )  # fmt: skip
    draw_gains(path, bars, title=name, xlabel=name)


def rates(path: Path, name: str) -> None:
    points = pd.DataFrame(
        {"rate": [1.0, 100.0], "value": [0.5, 0.6], "low": [0.4, 0.5], "high": [0.6, 0.7],
         "group": [name, "b"], "hollow": [False, True], "label": [name, ""]}
    )  # fmt: skip
    draw_rates(path, points, title=name, ylabel=name, xlabel=name)


def transport(path: Path, name: str) -> None:
    draw_transport(
        path,
        times=np.linspace(1, 0, 6),
        states=np.ones((6, 4)),
        code=np.ones(4),
        cosines=np.zeros((6, 2)),
        classes=[name, "b"],
        label=0,
        title=name,
    )


def audit(path: Path, name: str) -> None:
    table = pd.DataFrame(
        {"fold": [name], "part": ["train"], "clips": [3], "hours": [1.0], "speakers": [2], name: 3}
    )
    draw_audit(path, table, [name], title=name, verdict=name)


def numbers(path: Path, name: str) -> None:
    settings = {"ends": (1.0, 7.0), "task": name, "duration": 4.0, "title": name}
    draw_number_timeline(path, np.array([[0.0, 2.0]]), np.array([3.0]), **settings)


@pytest.mark.parametrize(
    "draw", [confusion, curves, scores, reliability, gains, rates, transport, audit, numbers]
)
def test_a_name_that_is_no_mathematics_is_drawn_as_it_is(tmp_path: Path, draw) -> None:
    draw(tmp_path / "p.png", BAD)
    assert (tmp_path / "p.png").stat().st_size
