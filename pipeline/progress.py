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


class Lines(Silence):
    """A reporter that keeps what is worth a line, for who has a screen.

    Attributes:
        lines: What was said.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)
