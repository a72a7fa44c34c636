"""Work for the engines' tests; imports nothing heavy, for each worker imports it anew."""

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import ParamsError


class Squares(NamedTuple):
    """Squares numbers; does to itself what an item asks for, the first time that it is asked."""

    folder: Path

    def __call__(self) -> Callable[[Any], Any]:
        return self.work

    def work(self, item: Any) -> Any:
        name, number = item
        (self.folder / f"worker-{os.getpid()}").touch()
        is_first = not (self.folder / f"seen-{number}").exists()
        (self.folder / f"seen-{number}").touch()
        if name == "die" or (name == "die once" and is_first):
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "user":
            raise ParamsError(f"{number} is wrong.")
        if name == "bug":
            return {}[number]
        if name == "environment":
            return Path("/proc/self/environ").read_bytes().split(b"\0")  # as it began
        if name == "sleep":
            time.sleep(600)
        return number**2


class DiesOnce(NamedTuple):
    """Starts as another one, and is killed at the first item that any of its workers is given."""

    start: Callable[[], Callable[[Any], Any]]
    folder: Path

    def __call__(self) -> Callable[[Any], Any]:
        work = self.start()

        def dying(item: Any) -> Any:
            try:
                (self.folder / "died").touch(exist_ok=False)
            except FileExistsError:
                return work(item)
            os.kill(os.getpid(), signal.SIGKILL)

        return dying


class Pickled:
    """An engine whose work goes out and comes back as bytes, the last item first."""

    def map(self, start: Any, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        work = _sent(start)()
        for place in reversed(range(len(items))):
            yield place, _sent(work(_sent(items[place])))


def _sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))
