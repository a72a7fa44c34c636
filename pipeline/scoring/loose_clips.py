"""Loose clips: whole files, or stretches of recordings; how each is decoded, and what is said."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.audio.segments import Segment
from pipeline.extraction.encoding import Decoded, Listener, decode, decode_samples


@dataclass(frozen=True, kw_only=True)
class LooseClip:
    """A file, or a stretch of a recording whose samples are there already.

    Attributes:
        place: What to read.
        samples: Mono, at the recording's own rate; None where the file is to be read.
        sample_rate: Of `samples`, hertz.
    """

    place: Segment
    samples: np.ndarray | None = None
    sample_rate: int = 0

    @property
    def name(self) -> str:
        """Its utterance id.

        That of a file is what importers name it by, so that it is scored as it was from a store.
        """
        stem = self.place.path.stem
        return stem if self.place.start is None else f"{stem}@{self.place.start:.3f}"

    def decode(self, listeners: Sequence[tuple[Listener, float]]) -> list[Decoded]:
        """Return it as each hears it, with the seconds of audio that it takes at once."""
        if self.samples is None:
            return [decode(self.place, listener, limit) for listener, limit in listeners]
        return [
            decode_samples(self.samples, self.sample_rate, listener, limit)
            for listener, limit in listeners
        ]


@dataclass(frozen=True, kw_only=True)
class LoosePrediction:
    """What a head says of one clip.

    Attributes:
        place: The file, or the stretch of it.
        probabilities: By class, in class order; empty if there is an error, or the head says a
            number.
        number: What a head of numbers says, in units of its labels; None of others.
        extras: What it says besides, by column.
        error: Why there is no prediction, "" if there is one.
        text: What the head read beside the sound; None where it reads no text.
        file_digest: SHA-256 of the file, "" where it could not be read or nobody asked.
        duration: Seconds; 0 where it could not be decoded.
    """

    place: Segment
    probabilities: dict[str, float]
    number: float | None = None
    extras: dict[str, str | float] = field(default_factory=dict)
    error: str = ""
    text: str | None = None
    file_digest: str = ""
    duration: float = 0.0

    @property
    def path(self) -> Path:
        """The file."""
        return self.place.path

    @property
    def predicted(self) -> str | float | None:
        """The likeliest class, or the number."""
        if self.number is not None:
            return self.number
        if not self.probabilities:
            return None
        return max(self.probabilities, key=lambda name: self.probabilities[name])
