"""What became of a trial is said as it was, and a run that was stopped goes on."""

import json
from pathlib import Path

import pytest

from faults.launcher import Ended
from faults.verdicts import OUT, SCALE, Trials, Verdict, judge, latest


def ended(code: int | None, stderr: str = "", words: str = "", sent: int | None = None) -> Ended:
    told = tuple(words.split())
    return Ended(
        code=code, stdout="", stderr=stderr, peak_bytes=0, seconds=0.0, sent=sent, words=told
    )


@pytest.mark.parametrize(
    ("run", "is_right", "verdict"),
    [
        (ended(0), True, "survived"),
        (ended(0), False, "wrong"),
        (ended(1, "Error: no"), None, "detected"),
        (ended(1, "Error: no"), True, "lost"),
        (ended(1, "Aborted!"), None, "traceback"),
        (ended(1, "store: damaged", "verify store"), None, "detected"),
        (ended(1, "", "verify store"), None, "traceback"),
        (ended(0, "Traceback (most recent call last)"), True, "traceback"),
        (ended(-11), None, "traceback"),
        (ended(None), None, "hang"),
    ],
)
def test_a_verdict_is_what_is_promised_of_it(run: Ended, is_right: bool | None, verdict: str):
    assert judge([run], is_right=is_right) == verdict


def test_a_run_that_was_stopped_goes_on_and_tries_again_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "trials.jsonl"
    monkeypatch.setenv(OUT, str(out))
    monkeypatch.setenv(SCALE, "long")
    first = Trials("kind", "what")
    for number, _ in first.numbers(short=0, long=2):
        first.add(f"{number}", [Verdict.LOST, Verdict.SURVIVED][number], [])
    assert len(first.bad) == 1
    with Trials("kind", "what") as again:
        tried = []
        for number, _ in again.numbers(short=0, long=4):
            tried.append(number)
            again.add(f"{number}", Verdict.SURVIVED, [])
    assert tried == [0, 2, 3]
    assert {one["verdict"] for one in latest(out.read_text().splitlines())} == {"survived"}
    assert len([json.loads(line) for line in out.read_text().splitlines()]) == 5
