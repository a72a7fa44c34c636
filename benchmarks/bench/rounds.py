"""Several ways to do the same work, timed in turns within one process."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch

Work = Callable[[], object]
Times = dict[str, list[tuple[float, float]]]


def in_turns(ways: Mapping[str, Work], repeats: int) -> Times:
    """Return CPU and wall seconds of each way, `repeats` of them, after one that does not count.

    One after the other within a round: what else the machine does meets all of them alike. CPU time
    is that of all threads and of processes that have ended; wall time also has what others on the
    machine took.
    """
    for work in ways.values():
        work()
    found: Times = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            cpu, wall = _cpu_time(), time.perf_counter()
            work()
            found[name].append((_cpu_time() - cpu, time.perf_counter() - wall))
    return found


def _cpu_time() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def show(
    title: str,
    times: Times,
    *,
    ceiling: str | None = None,
    goals: Mapping[str, str] | None = None,
) -> None:
    """Print medians, their spread, times as fast as the first, and the part of the ceiling.

    Args:
        title: What was done.
        times: By way, the baseline first.
        ceiling: The way that does what no other can do without.
        goals: By way, what it is to reach.
    """
    cpu = {name: [one for one, _ in found] for name, found in times.items()}
    wall = {name: [one for _, one in found] for name, found in times.items()}
    width, repeats = max(map(len, times)), len(next(iter(times.values())))
    print(f"{title} ({torch.get_num_threads()} threads, medians of {repeats})")
    heads = f"{'CPU s':>8} {'least':>8} {'most':>8} {'times':>7} {'wall s':>8} {'times':>7}"
    print(f"{'':{width}} {heads}{' of ceiling' * (ceiling is not None)}")
    first = next(iter(times))
    for name in times:
        middle = statistics.median(cpu[name])
        spread = f"{middle:8.4f} {min(cpu[name]):8.4f} {max(cpu[name]):8.4f}"
        waited = statistics.median(wall[name])
        ratios = f"{_times(cpu[first], middle)} {waited:8.4f} {_times(wall[first], waited)}"
        part = "" if ceiling is None else f" {statistics.median(cpu[ceiling]) / middle:10.2f}"
        goal = f"  goal: {goals[name]}" if goals and name in goals else ""
        print(f"{name:{width}} {spread} {ratios}{part}{goal}", flush=True)


def _times(base: Sequence[float], median: float) -> str:
    return f"{statistics.median(base) / median:7.2f}"
