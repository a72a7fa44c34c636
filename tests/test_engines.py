"""Engines of one process and of several: the same results, whoever dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.work import Squares
from pipeline.engines.base import Engine, Serial
from pipeline.engines.processes import Processes
from pipeline.errors import EngineError, ParamsError

ITEMS = [("square", number) for number in range(5)]
DRIVER = """
import sys
from pathlib import Path
from helpers.work import Squares
from pipeline.engines.processes import Processes
if __name__ == "__main__":
    list(Processes(2).map(Squares(Path(sys.argv[1])), [("sleep", 0), ("sleep", 1)]))
"""


def workers(folder: Path) -> list[int]:
    return [int(path.name.split("-")[1]) for path in folder.glob("worker-*")]


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("engine", [Serial(), Processes(2), Processes(9)])
def test_every_engine_gives_the_same_results(engine: Engine, tmp_path: Path) -> None:
    assert dict(engine.map(Squares(tmp_path), ITEMS)) == {i: i**2 for i in range(5)}
    assert list(engine.map(Squares(tmp_path), [])) == []


@pytest.mark.parametrize(("given", "wanted"), [(None, b"1"), ("3", b"3")])
def test_a_process_begins_with_one_thread_unless_told_otherwise(
    monkeypatch, tmp_path: Path, given: str | None, wanted: bytes
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    ((_, found),) = Processes(1).map(Squares(tmp_path), [("environment", 0)])
    assert b"OMP_NUM_THREADS=" + wanted in found
    assert os.environ.get("OMP_NUM_THREADS") == given


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    items = [("die once", number) for number in range(3)]
    assert dict(Processes(2).map(Squares(tmp_path), items)) == {0: 0, 1: 1, 2: 4}
    assert not any(map(is_alive, workers(tmp_path)))


def test_an_item_that_every_worker_dies_of_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"its worker died 4 times at the same item.* memory"):
        list(Processes(1).map(Squares(tmp_path), [("die", 0)]))
    assert len(workers(tmp_path)) == 4


def test_errors_of_workers_are_the_driver_s(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"^7 is wrong\.$"):
        list(Processes(1).map(Squares(tmp_path), [("user", 7)]))
    with pytest.raises(RuntimeError, match=r"(?s)in a worker:.*KeyError: 7"):
        list(Processes(1).map(Squares(tmp_path), [("bug", 7)]))


def test_workers_end_where_their_results_are_not_wanted_any_more(tmp_path: Path) -> None:
    results = Processes(2).map(Squares(tmp_path), [("square", 0), ("sleep", 1)])
    assert next(results) == (0, 0)
    results.close()
    assert not any(map(is_alive, workers(tmp_path)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_driver(tmp_path: Path, number: signal.Signals) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while len(workers(tmp_path)) < 2:
        assert driver.poll() is None
        time.sleep(0.02)
    driver.send_signal(number)
    driver.wait()
    while any(map(is_alive, workers(tmp_path))):
        time.sleep(0.02)
