"""Work for the engines' tests; imports nothing heavy, for each worker imports it anew."""

import os
import signal
import time
from collections.abc import Callable
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
        if name == "sleep":
            time.sleep(600)
        return number**2
