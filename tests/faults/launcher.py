"""Starts genser for a trial, can kill and starve it, and tells how it ended."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
GIGABYTE = 1 << 30
LIMIT_S = 300.0  # a trial that takes longer hangs
# No bomb takes the machine with it: what wants more than this is refused memory.
ADDRESS_SPACE = 6 * GIGABYTE
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended.

    Attributes:
        code: Exit code, or minus the signal; None: it hung and was killed.
        stdout: What it said.
        stderr: What it complained of.
        peak_bytes: The most memory that it had, beyond what its imports take.
        seconds: It took.
        sent: The signal that the trial sent it, if any.
        words: What it was told to do, if it was a command.
    """

    code: int | None
    stdout: str
    stderr: str
    peak_bytes: int
    seconds: float
    sent: int | None = None
    words: tuple[str, ...] = ()


class Launcher:
    """One zygote; runs one command at a time. Two launchers run two at once."""

    def __init__(self, told: Path, **environment: str) -> None:
        """Start it; `told` is where the streams of its runs are kept, a path without suffix."""
        self._told = told
        paths = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
        )
        self._read = b""
        self._pid = 0
        self._begin = 0.0
        self._sent: int | None = None
        self._words: tuple[str, ...] = ()
        self._base = 0
        assert self._answer(None) == {"ready": True}
        self._base = self.run_call("os:getpid", [], told.parent).peak_bytes

    def run(self, words: list[str], folder: Path, **options: Any) -> Ended:
        """Run a command of genser to its end; options as those of `start`."""
        self.start({"words": words}, folder, **options)
        return self.wait()

    def run_call(self, call: str, arguments: list[Any], folder: Path, **options: Any) -> Ended:
        """Run a function `module:name` in a process of its own."""
        self.start({"call": call, "arguments": arguments}, folder, **options)
        return self.wait()

    def start(
        self,
        what: dict[str, Any],
        folder: Path,
        *,
        limits: dict[str, int] | None = None,
        point: int | None = None,
        trace: Path | None = None,
        obeys_permissions: bool = False,
    ) -> None:
        """Start a run in a folder.

        Args:
            what: `words` of genser, or `call` and `arguments`.
            folder: The current folder of the run.
            limits: FSIZE (bytes of a file), NOFILE (open files), AS (bytes beyond the imports).
            point: Die at this point of `faults.points`.
            trace: File that gets the names of all points.
            obeys_permissions: Let root be refused what a mode forbids, as other users are.
        """
        request = {
            **what,
            "folder": str(folder),
            "told": str(self._told),
            "limits": {"AS": ADDRESS_SPACE, **(limits or {})},
            "point": point,
            "trace": None if trace is None else str(trace),
            "obeys_permissions": obeys_permissions,
        }
        for path in self._streams():
            path.write_bytes(b"")  # of the last run; this one may be killed before it opens them
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        self._sent = signal.SIGKILL if point is not None else None
        self._words = tuple(what.get("words", ()))
        self._begin = time.monotonic()
        self._pid = self._answer(None)["pid"]

    def send(self, number: int, after_s: float) -> None:
        """Send a signal after so many seconds, if the run has not ended by then."""
        if not self._is_ready(after_s):
            self._sent = number
            # It may end just now.
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def wait(self, limit_s: float = LIMIT_S) -> Ended:
        """Wait for the run; one that takes longer is killed, and has no code.

        The time in which it waited for a core does not count: a busy machine is no fault.
        """
        left = limit_s
        while (answer := self._answer(left)) is None:
            left = limit_s + self._starved_s() - (time.monotonic() - self._begin)
            if left <= 0:
                break
        hangs = answer is None
        if answer is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            answer = self._answer(None)
        seconds = time.monotonic() - self._begin
        stdout, stderr = (path.read_text(errors="replace") for path in self._streams())
        return Ended(
            code=None if hangs else answer["code"],
            stdout=stdout,
            stderr=stderr,
            peak_bytes=max(answer["peak_kb"] * 1024 - self._base, 0),
            seconds=seconds,
            sent=self._sent,
            words=self._words,
        )

    def close(self) -> None:
        """End the zygote."""
        self._process.communicate()

    def _streams(self) -> list[Path]:
        return [Path(f"{self._told}.{name}") for name in ("stdout", "stderr")]

    def _starved_s(self) -> float:
        """Return how long the run has waited for a core: of its threads, the most of any."""
        waited = [0]
        for path in Path(f"/proc/{self._pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # a thread that has just ended
                waited.append(int(path.read_text().split()[1]))
        return max(waited) / 1e9

    def _is_ready(self, seconds: float | None) -> bool:
        if b"\n" in self._read:
            return True
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _answer(self, limit_s: float | None) -> Any:
        """Return the next answer; None if there is none in time."""
        assert self._process.stdout is not None
        deadline = None if limit_s is None else time.monotonic() + limit_s
        while b"\n" not in self._read:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not self._is_ready(left):
                return None
            part = os.read(self._process.stdout.fileno(), 65536)
            assert part, "the zygote died"
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        return json.loads(line)
