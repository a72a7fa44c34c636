"""A timeline as other programs read it: RTTM and Praat's TextGrid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.segmentation.cutting import Span


class Interval(NamedTuple):
    """A labelled stretch; its confidence is a probability."""

    span: Span
    label: str
    confidence: float = 1.0


def rttm(recording: Path, intervals: Sequence[Interval]) -> str:
    """Return the lines of an RTTM file, as NIST's rich transcription evaluation of 2009 has them.

    The label stands where a speaker's name does, as other tools put it there; the ninth field is
    its probability. A field has no spaces: they become underscores.
    """
    name = _field(recording.stem)
    lines = [
        f"SPEAKER {name} 1 {one.span.start:.6f} {one.span.end - one.span.start:.6f} <NA> <NA> "
        f"{_field(one.label)} {one.confidence:.6f} <NA>\n"
        for one in intervals
    ]
    return "".join(lines)


def textgrid(duration: float, tiers: Mapping[str, Sequence[Interval]]) -> str:
    """Return a TextGrid of interval tiers in Praat's long text format.

    Args:
        duration: Of the recording, seconds.
        tiers: Intervals that do not overlap, first to last, by the tier's name; what lies between
            them is an interval without a label, as Praat wants it.
    """
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {duration:.6f}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        whole = _without_gaps(intervals, duration)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
            "        xmin = 0",
            f"        xmax = {duration:.6f}",
            f"        intervals: size = {len(whole)}",
        ]
        for i, one in enumerate(whole, 1):
            lines += [
                f"        intervals [{i}]:",
                f"            xmin = {one.span.start:.6f}",
                f"            xmax = {one.span.end:.6f}",
                f"            text = {_quoted(one.label)}",
            ]
    return "\n".join(lines) + "\n"


def _without_gaps(intervals: Sequence[Interval], duration: float) -> list[Interval]:
    found, now = [], 0.0
    for one in [*intervals, Interval(Span(duration, duration), "")]:
        # A gap that six digits do not show would be an interval of no length.
        if f"{now:.6f}" != f"{one.span.start:.6f}":
            found.append(Interval(Span(now, one.span.start), ""))
        if one.span.end > one.span.start:
            found.append(one)
        now = one.span.end
    return found


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace('"', '""') + '"'


def _field(text: str) -> str:
    return "_".join(text.split()) or "<NA>"
