"""Progress for a person: a live line on a terminal, plain lines elsewhere; on standard error."""

import sys
import time
from types import TracebackType

import click

PLAIN_EVERY_S = 10.0


class Progress:
    """Shows items, hours of audio, real-time factor and the time left.

    Attributes:
        label: What the items are, e.g. `"clips"`.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._live = sys.stderr.isatty()
        self._total = self._done = 0
        self._audio_s = 0.0
        self._begun = self._shown = time.monotonic()
        self._open = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_line()

    def begin(self, total: int) -> None:
        """Work on `total` items begins."""
        self._total, self._done, self._audio_s = total, 0, 0.0
        self._begun = self._shown = time.monotonic()

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        """Count items done and show them."""
        self._done += items
        self._audio_s += audio_s
        now = time.monotonic()
        is_last = self._done >= self._total
        if self._live:
            click.echo(f"\r\x1b[2K{self._line(now)}", err=True, nl=False)
            self._open = True
            if is_last:
                self._end_line()
        elif is_last or now - self._shown >= PLAIN_EVERY_S:
            click.echo(self._line(now), err=True)
            self._shown = now

    def say(self, line: str) -> None:
        """Show a line of its own."""
        self._end_line()
        click.echo(line, err=True)

    def _line(self, now: float) -> str:
        spent = max(now - self._begun, 1e-9)
        parts = [f"{self._done}/{self._total} {self.label}"]
        if self._audio_s:
            parts.append(f"{self._audio_s / 3600:.2f} h audio")
            parts.append(f"{self._audio_s / spent:.1f} x real time")
        left = spent / max(self._done, 1) * (self._total - self._done)
        parts.append(f"{_clock(spent)} spent, {_clock(left)} left")
        return ", ".join(parts)

    def _end_line(self) -> None:
        if self._open:
            click.echo(err=True)
            self._open = False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
