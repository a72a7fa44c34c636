"""The most memory that a process, or a part of its work, has taken (Linux alone)."""

import threading
from pathlib import Path
from types import TracebackType

from bench.rounds import Work

EVERY = 0.005  # seconds between two looks at what there is


def peak_mb() -> float:
    """Return the most memory that this process has had.

    Not by `getrusage`: there a process begins with the peak of the one that it was started by.
    """
    return _told("VmHWM") / 1e3


def peak_of(work: Work) -> float:
    """Return how much memory a work needs beside what there is, at most, in MB."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    before = _told("VmRSS")
    work()
    return (_told("VmHWM") - before) / 1e3


class OwnPeak:
    """The most memory of a process's own while it is entered, `mb`.

    Pages of a file that is mapped, as a checkpoint's are while it is read, are not its own: the
    system takes them back when it needs them. The kernel keeps no peak of the rest, so it is
    looked at every few milliseconds.
    """

    def __init__(self) -> None:
        self.mb = 0.0
        self._is_over = threading.Event()
        self._watching = threading.Thread(target=self._watch)

    def __enter__(self) -> "OwnPeak":
        self._watching.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._is_over.wait(EVERY):
            self.mb = max(self.mb, _told("RssAnon") / 1e3)


def _told(name: str) -> float:
    """Return one of the kernel's numbers, kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1.024
