"""A describe that is killed or stopped goes on where it was and ends with the same bytes."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from helpers.commands import genser
from helpers.describing import write_voices
from helpers.extraction import KILLED, forked, kill_at, outcome, tree
from pipeline.descriptions import measuring

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

DESCRIBE = ("describe", "manifest.csv", "--audio-root", "audio", "--out", "out.csv")
PIECE = 8


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CLIPS_PER_PIECE", PIECE)


@pytest.mark.usefixtures("pieces")
def test_killed_at_every_touch_of_the_disk_it_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = write_voices(tmp_path / "start").parent
    # What cannot be read is tried at every run, and is in nobody's way.
    (start / "audio" / "a" / "1.wav").unlink()
    (start / "audio" / "b" / "2.wav").write_bytes(b"no sound")
    whole = shutil.copytree(start, tmp_path / "whole")
    monkeypatch.chdir(whole)
    assert genser(*DESCRIBE).exit_code == 0
    wanted = tree(whole)

    def work(event: int) -> None:
        kill_at(event)
        genser(*DESCRIBE)

    for event in itertools.count():
        folder = shutil.copytree(start, tmp_path / f"run{event}")
        monkeypatch.chdir(folder)
        code = outcome(forked(lambda event=event: work(event)))  # type: ignore[misc]
        if code == 0:
            break
        assert code == KILLED
        kept = len(list(Path("out.csv.measured").glob("[!.]*.json")))
        # 29 of the 30 can be read; the one that cannot is asked for every time.
        num_kept = min(kept * PIECE, 29)
        again = genser(*DESCRIBE)
        assert f"{30 - num_kept} clips to measure, {num_kept} kept" in again.stderr, event
        assert tree(folder) == wanted, event
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)
    assert event > 10
    assert tree(folder) == wanted


@pytest.mark.usefixtures("pieces")
def test_only_new_and_changed_clips_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_voices(tmp_path).parent)
    genser(*DESCRIBE)
    first = Path("out.csv").read_bytes()
    assert "0 clips to measure, 30 kept from an earlier run" in genser(*DESCRIBE).stderr
    assert Path("out.csv").read_bytes() == first
    other = ("-S", "describe.least_clips=9", "-S", "describe.against=gender")
    assert "0 clips to measure, 30 kept" in genser(*other, *DESCRIBE).stderr
    shutil.copy("audio/a/0.wav", "audio/b/9.wav")
    assert "0 clips to measure, 29 kept" in genser(*DESCRIBE).stderr
    (tmp_path / "audio/b/9.wav").write_bytes((tmp_path / "audio/a/0.wav").read_bytes() + b"LIST")
    assert "1 clips to measure, 29 kept" in genser(*DESCRIBE).stderr
    longest = ("-S", "describe.max_duration_s=0.1")
    result = genser(*longest, *DESCRIBE)
    assert "30 clips to measure, 0 kept" in result.stderr
    Path("out.csv.measured").rename("elsewhere")
    Path("out.csv.measured").write_text("in the way")
    blocked = genser(*DESCRIBE)
    assert blocked.exit_code == 1
    assert "out.csv.measured: is a file, wanted a folder for measured clips" in blocked.stderr


def test_the_command_stops_with_one_line_and_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_voices(tmp_path).parent)
    code = (
        "import sys, time\n"
        "from pipeline.descriptions import measuring\n"
        "from stages.cli import run\n"
        "measuring.CLIPS_PER_PIECE, plain = 1, measuring.track\n"
        "measuring.track = lambda sound: time.sleep(0.02) or plain(sound)\n"
        f"sys.argv[1:] = {list(DESCRIBE)!r}\n"
        "run()\n"
    )
    stopped = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run behind a shell's back, it has them ignore SIGINT.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    kept = Path("out.csv.measured")
    while stopped.poll() is None and not list(kept.glob("[!.]*.json")):
        time.sleep(0.005)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, errors
    assert errors.splitlines()[-1] == (
        "Stopped; what was finished is kept. Run the same command again."
    )
    num_kept = len(list(kept.glob("[!.]*.json")))
    assert 1 <= num_kept < 30
    assert not Path("out.csv").exists()
    again = genser(*DESCRIBE)
    assert f"{30 - num_kept} clips to measure, {num_kept} kept" in again.stderr
    genser(*DESCRIBE[:-1], "whole.csv")
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()
