"""The named points of every publish sequence: where a process touches the disk so that it counts.

A file is written (its beginning, its half), flushed, renamed, removed; a folder is flushed. Each is
a point before which, or after which, a kill finds another state on the disk.
"""

import itertools
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TOKEN = re.compile(r"\.[0-9a-f]{8}\.tmp")


def watch(*, kill_at: int | None, trace: str | None) -> None:
    """Let this process die at its n-th point, or write the names of all points to a file."""
    if kill_at is None and trace is None:
        return
    numbers = itertools.count()

    def reach(what: str, where: object) -> None:
        number = next(numbers)
        if trace is not None:
            with open(trace, "a") as file:  # noqa: PTH123 (Path is watched)
                file.write(f"{what} {_TOKEN.sub('.tmp', os.path.relpath(str(where)))}\n")
        if number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def after(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def touch(path: Path, *args: Any, **options: Any) -> Any:
            found = original(path, *args, **options)
            reach(name, path)
            return found

        return touch

    write_bytes, fsync = Path.write_bytes, os.fsync

    def write_in_two(path: Path, data: Any) -> int:
        write_bytes(path, memoryview(data)[: len(data) // 2])
        reach("half-written", path)
        return write_bytes(path, data)

    def flush(descriptor: int) -> None:
        fsync(descriptor)
        place = Path(f"/proc/self/fd/{descriptor}")
        reach("flushed", place.readlink() if place.exists() else "a file")

    Path.write_bytes = write_in_two  # type: ignore[assignment,method-assign]
    Path.replace = after("renamed", Path.replace)  # type: ignore[method-assign]
    Path.unlink = after("removed", Path.unlink)  # type: ignore[method-assign]
    os.fsync = flush
