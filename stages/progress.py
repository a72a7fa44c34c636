"""Progress for a person: a live line on a terminal, plain lines elsewhere; on standard error."""

import sys
import time
from collections import deque
from types import TracebackType

import click

PLAIN_EVERY_S, LIVE_EVERY_S = 10.0, 0.1
PACE_S = 30.0  # the pace is that of so many seconds: steps of one training may differ a hundredfold


class Progress:
    """Shows items, hours of audio, real-time factor and the time left.

    Attributes:
        label: What the items are, e.g. `"clips"`.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._live = sys.stderr.isatty()
        self._open = False
        self.begin(0)

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
        self._marks = deque([(self._begun, 0)])

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        """Count items done and show them."""
        self._done += items
        self._audio_s += audio_s
        now = time.monotonic()
        is_last = self._done >= self._total
        if not is_last and now - self._shown < (LIVE_EVERY_S if self._live else PLAIN_EVERY_S):
            return
        self._shown = now
        if self._live:
            click.echo(f"\r\x1b[2K{self._line(now)}", err=True, nl=False)
            self._open = True
            if is_last:
                self._end_line()
        else:
            click.echo(self._line(now), err=True)

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
        parts.append(f"{_clock(spent)} spent, {_clock(self._left(now))} left")
        return ", ".join(parts)

    def _left(self, now: float) -> float:
        """Return the seconds that are left at the pace of late."""
        self._marks.append((now, self._done))
        while len(self._marks) > 2 and self._marks[1][0] <= now - PACE_S:
            self._marks.popleft()
        then, done = self._marks[0]
        return (now - then) / max(self._done - done, 1) * (self._total - self._done)

    def _end_line(self) -> None:
        if self._open:
            click.echo(err=True)
            self._open = False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
