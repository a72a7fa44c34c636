"""How long work tells what it has done, without knowing who listens."""

from typing import Protocol


class Reporter(Protocol):
    """Hears of progress; `stages.progress` shows it to a person."""

    def begin(self, total: int) -> None:
        """Work on `total` items begins."""

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        """`items` more are done, with `audio_s` seconds of audio in them."""

    def say(self, line: str) -> None:
        """Something worth a line has happened."""


class Silence:
    """A reporter that nobody listens to."""

    def begin(self, total: int) -> None:
        """Do nothing."""

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        """Do nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""


class Within(Silence):
    """The reporter of one of many works: only what is worth a line is heard, and of which it is."""

    def __init__(self, reporter: Reporter, where: str) -> None:
        self._reporter = reporter
        self._where = where

    def say(self, line: str) -> None:
        """Say it with the name of the work."""
        self._reporter.say(f"{self._where}: {line}")
