"""Workers are processes of this machine: a new one takes the place of one that dies."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from pipeline.engines.base import MAX_RETRIES, Crew, Done, SideBySide, Start, Worker, gone


class Processes(SideBySide):
    """Processes side by side, of one thread each unless `OMP_NUM_THREADS` says otherwise."""

    @contextmanager
    def crew(self, start: Start, num_workers: int) -> Iterator[Crew]:
        """Return processes that end with the block, and with this process however it ends."""
        crew = _Crew(start)
        try:
            yield crew
        finally:
            crew.end()


class _Process:
    """A process and what it has in hand."""

    def __init__(self, start: Start) -> None:
        # Not forked: threads of torch in this process would leave their locks held in a copy.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _of_one_thread():
            self._process.start()
        theirs.close()  # else its death would not be heard
        self.place, self.item = -1, None
        self.send(start)

    def send(self, value: Any) -> None:
        """Send something; that the process is gone is heard when its answer is waited for."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(value)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


class _Crew:
    def __init__(self, start: Start) -> None:
        self._start = start
        self._idle: list[_Process] = []
        self._busy: dict[Any, _Process] = {}  # by their connections
        self._deaths: Counter[int] = Counter()

    def give(self, place: int, item: Any) -> None:
        process = self._idle.pop() if self._idle else _Process(self._start)
        process.place, process.item = place, item
        self._busy[process.connection] = process
        process.send(item)

    def take(self) -> tuple[int, Done]:
        while True:
            connection = wait(list(self._busy))[0]
            process = self._busy.pop(connection)
            try:
                done: Done = process.connection.recv()
            except (EOFError, ConnectionResetError):
                process.end()
                self._deaths[process.place] += 1
                if self._deaths[process.place] > MAX_RETRIES:
                    raise gone(f"worker process {process.place}") from None
                self.give(process.place, process.item)
            else:
                self._idle.append(process)
                return process.place, done

    def end(self) -> None:
        for process in [*self._idle, *self._busy.values()]:
            process.end()


def _serve(connection: Connection) -> None:
    """Work on what comes, until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, which ends its workers
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    with suppress(EOFError):
        worker = Worker(connection.recv())
        while True:
            connection.send(worker.do(connection.recv()))


@contextmanager
def _of_one_thread() -> Iterator[None]:
    """Have processes begin with one thread, unless the environment says otherwise.

    It is read when numpy and torch are imported, which may be before the first line of ours runs:
    a process imports the driver's main module.
    """
    given = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = given or "1"
    try:
        yield
    finally:
        if given is None:
            del os.environ["OMP_NUM_THREADS"]


def _end_with_the_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver is not None
    wait([driver.sentinel])
    os._exit(1)
