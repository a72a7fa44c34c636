"""A function over items: one after another here, or side by side in workers.

Whoever asks, the driver, plans, writes and commits; a worker only computes and returns.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, NamedTuple, Protocol

from pipeline.errors import EngineError, GenserError

Work = Callable[[Any], Any]
# Called once in each worker, it opens what the work needs and returns the work. It is pickled, as
# items and results are.
Start = Callable[[], Work]

MAX_RETRIES = 3  # of an item whose worker has died under it


class Engine(Protocol):
    """Runs work over items."""

    def map(self, start: Start, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield the place and the result of each item, as they are finished.

        Raises:
            GenserError: What the work raises.
            EngineError: If workers died under an item again and again, or none can be had.
        """


class Serial:
    """One item after another, in this process."""

    def map(self, start: Start, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield the place and the result of each item, in order."""
        work = start() if items else None
        for place, item in enumerate(items):
            assert work is not None
            yield place, work(item)


SERIAL = Serial()


class Done(NamedTuple):
    """What became of an item."""

    result: Any = None
    error: Exception | None = None


class Worker:
    """What a worker does with what it is given; it starts at its first item."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._work: Work | None = None

    def do(self, item: Any) -> Done:
        """Work on an item; errors are returned, so that a worker outlives them."""
        try:
            if self._work is None:
                self._work = self._start()
            return Done(result=self._work(item))
        except GenserError as error:
            return Done(error=error)
        except Exception:
            # Not every exception survives pickling; the lines of this one do.
            return Done(error=RuntimeError(f"in a worker:\n{traceback.format_exc()}"))


class Crew(Protocol):
    """Workers of one `map`; each has one item at a time."""

    def give(self, place: int, item: Any) -> None:
        """Give an item to a worker that has none."""

    def take(self) -> tuple[int, Done]:
        """Wait for an item to be finished and return its place and what became of it."""


class SideBySide:
    """An engine of several workers."""

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers

    def crew(self, start: Start, num_workers: int) -> AbstractContextManager[Crew]:
        """Return workers that are there for the length of a block, and then gone."""
        raise NotImplementedError

    def map(self, start: Start, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield the place and the result of each item, as they are finished."""
        if not items:
            return
        places = iter(range(len(items)))
        num_workers = min(self.num_workers, len(items))
        with self.crew(start, num_workers) as crew:
            for place in islice(places, num_workers):
                crew.give(place, items[place])
            for _ in items:
                place, done = crew.take()
                # Before the result is written: the worker goes on meanwhile.
                for following in islice(places, 1):
                    crew.give(following, items[following])
                if done.error is not None:
                    raise done.error
                yield place, done.result


def gone(where: str) -> EngineError:
    """Return the error of an item whose workers died."""
    return EngineError(
        f"{where}: its worker died {MAX_RETRIES + 1} times at the same item, as one does that is "
        "out of memory; take fewer workers or smaller batches, then run the same command again: "
        "what was finished is kept."
    )
