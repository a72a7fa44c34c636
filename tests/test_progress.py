"""What a person sees of work under way: how often, and what is left at its pace of late."""

import sys

import pytest

from stages import progress
from stages.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_what_is_left_is_reckoned_from_the_pace_of_late(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A training whose last steps take three hundred times as long as its first."""
    told = Progress("steps")
    told.begin(400)
    for seconds in [0.01] * 300 + [3.0] * 100:
        clock[0] += seconds
        told.advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "303/400 steps, 0:12 spent, 0:04 left"  # of nothing else yet
    assert lines[-2] == "399/400 steps, 5:00 spent, 0:03 left"
    assert lines[10] == "343/400 steps, 2:12 spent, 2:51 left"  # 57 steps of 3 s


@pytest.mark.parametrize(("is_live", "per_second"), [(True, 10), (False, 0.1)])
def test_no_more_lines_than_can_be_read(
    clock: list[float],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_live: bool,
    per_second: float,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_live)
    with Progress("steps") as told:
        told.begin(64_000)
        for _ in range(64_000):
            clock[0] += 1 / 1024
            told.advance(1)
    shown = capsys.readouterr().err.replace("\r", "\n").split(" left")
    assert len(shown) - 1 == pytest.approx(62.5 * per_second, rel=0.2)
    assert "64000/64000 steps, 1:02 spent, 0:00" in shown[-2]
