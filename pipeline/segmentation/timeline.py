"""What was said of stretches, as one timeline.

The recording is cut wherever a stretch begins or ends. Between two cuts each class has the mean of
its probabilities in all stretches that lie there, and the likeliest class is the one said. Then
neighbours of one class, at most a gap apart, become one: its probabilities are the means of theirs,
each counted as long as it lasts. A number is the mean of those of all stretches that lie there, and
neighbours stay apart: what they say differs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.segmentation.cutting import Span


class Said(NamedTuple):
    """A part of the timeline: where it is, its class, and the probability of every class (C,)."""

    span: Span
    predicted: int
    probabilities: np.ndarray


def cells(spans: Sequence[Span], probabilities: np.ndarray) -> list[Said]:
    """Return the parts between cuts that lie in a stretch, first to last.

    Args:
        spans: Of the N stretches, each longer than nothing.
        probabilities: Of each, shape (N, C).
    """
    return [Said(span, int(mean.argmax()), mean) for span, mean in means(spans, probabilities)]


def means(spans: Sequence[Span], values: np.ndarray) -> list[tuple[Span, np.ndarray]]:
    """Return the parts between cuts that lie in a stretch, with the mean of what lies there.

    Args:
        spans: Of the N stretches, each longer than nothing.
        values: Of each, shape (N, K).

    Returns:
        First to last, each with values of shape (K,).
    """
    cuts = sorted({time for span in spans for time in span})
    places = {time: i for i, time in enumerate(cuts)}
    total = np.zeros((len(cuts), values.shape[1]))
    count = np.zeros(len(cuts), np.int64)
    for span, mine in zip(spans, values, strict=True):
        inside = slice(places[span.start], places[span.end])
        total[inside] += mine
        count[inside] += 1
    return [(Span(cuts[i], cuts[i + 1]), total[i] / count[i]) for i in np.flatnonzero(count)]


def merged(parts: Sequence[Said], gap: float) -> list[Said]:
    """Return the timeline with neighbours of one class, at most `gap` seconds apart, as one."""
    groups: list[list[Said]] = []
    for part in parts:
        before = groups[-1][-1] if groups else None
        # Times are told to a microsecond; what subtracting them adds is no gap.
        if (
            before is not None
            and before.predicted == part.predicted
            and part.span.start - before.span.end <= gap + 1e-6
        ):
            groups[-1].append(part)
        else:
            groups.append([part])
    return [_one(group) for group in groups]


def _one(group: Sequence[Said]) -> Said:
    lengths = [part.span.end - part.span.start for part in group]
    mean = np.average([part.probabilities for part in group], axis=0, weights=lengths)
    span = Span(group[0].span.start, group[-1].span.end)
    return Said(span, group[0].predicted, mean)
