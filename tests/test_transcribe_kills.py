"""A transcribe that is killed or stopped goes on where it was and ends with the same bytes."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from helpers.commands import genser
from helpers.extraction import KILLED, forked, kill_at, outcome
from helpers.recognisers import save_whisper
from helpers.transcribing import PlainRecogniser, run, write_clips, written

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

MakeWav = Callable[..., Path]
PIECE = 8


def test_killed_at_every_touch_of_the_disk_it_ends_with_the_same_bytes(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    """Texts that name the clips beside them too: the batches are those of an undisturbed run."""
    whole = write_clips(tmp_path / "whole", make_wav, 20)
    # What cannot be read is tried at every run, and is in nobody's way.
    (whole.parent / "audio" / "1.wav").unlink()
    (whole.parent / "audio" / "2.wav").write_bytes(b"no sound")
    shutil.copytree(whole.parent, tmp_path / "start")
    run(whole, PlainRecogniser(tells_batch=True))
    wanted = written(whole)

    def work(manifest: Path, event: int) -> None:
        kill_at(event)
        run(manifest, PlainRecogniser(tells_batch=True))

    for event in itertools.count():
        folder = shutil.copytree(tmp_path / "start", tmp_path / f"run{event}")
        manifest = folder / "manifest.csv"
        code = outcome(forked(lambda m=manifest, event=event: work(m, event)))  # type: ignore[misc]
        if code == 0:
            break
        assert code == KILLED
        num_kept = len(list(manifest.with_name("out.csv.texts").glob("[!.]*.json")))
        again = PlainRecogniser(tells_batch=True)
        run(manifest, again)
        # 18 clips have sound, one of the 19 that can be read has none; two pieces and three clips.
        assert again.num_heard == 18 - [0, PIECE - 1, 2 * PIECE - 1, 18][num_kept], event
        assert written(manifest) == wanted, event
        shutil.rmtree(folder)
    assert event > 8
    assert written(manifest) == wanted


def test_the_command_stops_with_one_line_and_goes_on_to_the_same_bytes(
    tmp_path: Path, make_wav: MakeWav, monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = save_whisper(tmp_path / "recogniser")
    manifest = write_clips(tmp_path / "corpus", make_wav, 24)
    options = ["-S", "transcribe.batch_size=1", "-S", "transcribe.max_new_tokens=20", "transcribe"]
    options += ["manifest.csv", "--audio-root", "audio", "--model", str(recogniser), "--out"]
    monkeypatch.chdir(manifest.parent)
    stopped = subprocess.Popen(
        [sys.executable, "-m", "stages.cli", *options, "out.csv"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run behind a shell's back, it has them ignore SIGINT.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    kept = manifest.with_name("out.csv.texts")
    while stopped.poll() is None and not list(kept.glob("[!.]*.json")):
        time.sleep(0.005)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, errors
    assert errors.splitlines()[-1] == (
        "Stopped; what was finished is kept. Run the same command again."
    )
    assert "Traceback" not in errors
    num_kept = 4 * len(list(kept.glob("[!.]*.json")))
    assert 4 <= num_kept < 24
    assert not Path("out.csv").exists()
    again = genser(*options, "out.csv")
    assert f"{24 - num_kept} clips to transcribe, {num_kept} kept from an" in again.stderr
    genser(*options, "whole.csv")
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()
