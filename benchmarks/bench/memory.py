"""The most memory that a process, or a part of its work, has taken (Linux alone)."""

from pathlib import Path

from bench.rounds import Work


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


def _told(name: str) -> float:
    """Return one of the kernel's numbers, kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1.024
