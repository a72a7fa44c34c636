"""What became of a trial: one function says it of all kinds, and one table counts it."""

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from faults.launcher import GIGABYTE, Ended

MOST_BYTES = GIGABYTE  # of memory, beyond the imports, for inputs of a few megabytes
FINDERS = {"audit", "validate", "verify"}  # what they find is their result, and no error
SCALE = "FAULTS"  # in the environment: "short" or "long"
SEED = "FAULTS_SEED"  # in the environment: a number, for other faults than those of every run
OUT = "FAULTS_OUT"  # in the environment: the file that every trial's verdict is added to


class Verdict(StrEnum):
    """What became of a trial; the first two are what is promised."""

    SURVIVED = "survived"  # the right result, and nobody had to be told
    DETECTED = "detected"  # one clear line, and the right result where there is a cure
    LOST = "lost"  # what was there, or what the same command makes, is not to be had any more
    WRONG = "wrong"  # another result, and nobody was told
    TRACEBACK = "traceback"  # or ended by a signal of its own, or without a clear line
    HANG = "hang"
    OVER_MEMORY = "over memory"


PROMISED = (Verdict.SURVIVED, Verdict.DETECTED)


def is_refused(run: Ended) -> bool:
    """Say whether a run ended with a line that says why."""
    return run.code in (1, 3) and _is_told(run)


def judge(
    runs: Sequence[Ended], *, is_right: bool | None, most_bytes: float = MOST_BYTES
) -> Verdict:
    """Return what became of a trial.

    Args:
        runs: All that ran under the fault or after it, in order; the last one is what counts.
        is_right: Whether what is there at the end is what an undisturbed run makes. None: there is
            nothing to compare, and to be refused is the right outcome too.
        most_bytes: Of memory that a run may take.
    """
    if any(run.code is None for run in runs):
        return Verdict.HANG
    if any(run.peak_bytes > most_bytes for run in runs):
        return Verdict.OVER_MEMORY
    if any(_is_crash(run) for run in runs):
        return Verdict.TRACEBACK
    refused = [run for run in runs if is_refused(run)]
    if runs[-1].code != 0:
        return Verdict.DETECTED if is_right is None else Verdict.LOST
    if is_right is False:
        return Verdict.WRONG
    return Verdict.DETECTED if refused else Verdict.SURVIVED


def _is_told(run: Ended) -> bool:
    lines = [line for line in run.stderr.splitlines() if line.startswith("Error: ")]
    if not lines and run.code == 1:
        return bool(FINDERS.intersection(run.words) and (run.stdout + run.stderr).strip())
    return len(lines) == 1 or (run.code == 3 and run.stderr.strip() != "")


def _is_crash(run: Ended) -> bool:
    if "Traceback (most recent call last)" in run.stderr or "Fatal Python error" in run.stderr:
        return True
    if run.sent is not None and run.code in (-run.sent, 128 + run.sent, 0):
        return False
    return run.code != 0 and not is_refused(run)


def latest(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the trials of a file that `Trials` wrote; of one that was repeated, the last."""
    trials = [json.loads(line) for line in lines]
    return list({(one["kind"], one["what"], one["name"]): one for one in trials}.values())


def _more_seed() -> list[int]:
    """Return what another seed than the one of every machine adds to it."""
    return [int(seed)] if (seed := os.environ.get(SEED)) else []


class Trials:
    """The trials of one test: how many there are, and what became of each.

    As a context it fails at its end with the trials that became something not promised. A run that
    goes on where another was stopped tries again what was not promised then, and the rest not.
    """

    def __init__(self, kind: str, what: str) -> None:
        self.kind = kind
        self.what = what
        self.bad: list[str] = []
        self._number = 0
        self._done = self._promised_before()

    def numbers(self, *, short: int, long: int) -> Iterator[tuple[int, np.random.Generator]]:
        """Yield the trial's numbers, each with its generator: the same ones on every machine."""
        seed = zlib.crc32(f"{self.kind} {self.what}".encode())
        for number in self._left(range(long if self.is_long else short)):
            yield number, np.random.default_rng([seed, number, *_more_seed()])

    def some_of(self, many: int, *, short: int) -> Iterator[int]:
        """Yield so many of the numbers below `many`, spread evenly; all of them in a long run."""
        if self.is_long or many <= short:
            return self._left(range(many))
        return self._left([round((i + 0.5) * many / short) for i in range(short)])

    @property
    def is_long(self) -> bool:
        """Whether the session is a long one."""
        return os.environ.get(SCALE) == "long"

    def add(self, name: str, verdict: Verdict, runs: Sequence[Ended]) -> None:
        """Take down a trial."""
        peak = max((run.peak_bytes for run in runs), default=0)
        told = {"kind": self.kind, "what": self.what, "number": self._number, "name": name}
        if out := os.environ.get(OUT):
            line = json.dumps({**told, "verdict": verdict, "peak_bytes": peak}) + "\n"
            with Path(out).open("a") as file:
                file.write(line)
        if verdict not in PROMISED:
            ends = " | ".join(f"{run.code}: {run.stderr[-600:]}" for run in runs)
            self.bad.append(
                f"{verdict}: {self.kind}, {self.what}, {name} ({peak >> 20} MB): {ends}"
            )

    def _left(self, numbers: Iterable[int]) -> Iterator[int]:
        for number in numbers:
            if number not in self._done:
                self._number = number
                yield number

    def _promised_before(self) -> set[int]:
        path = Path(os.environ.get(OUT) or os.devnull)
        lines = path.read_text().splitlines() if path.exists() else []
        mine = [
            trial
            for trial in latest(lines)
            if (trial["kind"], trial["what"]) == (self.kind, self.what)
        ]
        bad = {trial["number"] for trial in mine if trial["verdict"] not in PROMISED}
        return {trial["number"] for trial in mine} - bad

    def __enter__(self) -> "Trials":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            assert not self.bad, f"{len(self.bad)} trials:\n" + "\n".join(self.bad[:20])
