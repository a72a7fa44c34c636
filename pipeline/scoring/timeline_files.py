"""The timeline of a recording as files, from the table of its stretches."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.evaluation.columns import PROBABILITY
from pipeline.figures.number_timeline import draw_number_timeline
from pipeline.figures.timeline import draw_timeline
from pipeline.files import publish_bytes
from pipeline.heads.saved import TrainedHead
from pipeline.manifests.numbers import Scale
from pipeline.scoring.growing_table import ENCODING, ODD_BYTES, Row
from pipeline.segmentation.cutting import Span
from pipeline.segmentation.formats import Interval, rttm, textgrid
from pipeline.segmentation.stretches import Segmentation
from pipeline.segmentation.timeline import cells, means, merged

NAME = "timeline"
# Why a timeline of numbers is not written as one.
NO_RTTM = "no timeline.rttm: its lines name who speaks, and every number would be another name"

Part = dict[str, Any]


class _Timeline(NamedTuple):
    """What the files say.

    Attributes:
        about: Of the labels, for JSON.
        parts: start, end, predicted and, of classes, probabilities by class.
        intervals: The same, labelled.
        draw: Draws it, of `path`, `duration` and `title`.
    """

    about: dict[str, Any]
    parts: list[Part]
    intervals: list[Interval]
    draw: Callable[..., None]


def write_timeline(
    folder: Path,
    path: Path,
    rows: Sequence[Row],
    duration: float,
    trained: TrainedHead,
    segmentation: Segmentation,
) -> int:
    """Write timeline.json, .csv, .TextGrid, .png, of classes .rttm; return how many parts it has.

    Args:
        folder: Where to.
        path: The recording.
        rows: Its stretches, as `pipeline.scoring.long_recordings` keeps them.
        duration: Of the recording, seconds.
        trained: The head.
        segmentation: How it was cut.

    Raises:
        OutputError: If they cannot be written.
    """
    task, scale = trained.task, trained.record.scale
    scored = sorted((row for row in rows if row["error"] == ""), key=_span)
    if scale is None:
        made = _of_classes(scored, trained.classes, segmentation.config.merge_gap_s)
    else:
        made = _of_numbers(scored, scale, task)
    tiers: dict[str, Sequence[Interval]] = {task: made.intervals}
    if segmentation.detector is not None and any(row["text"] for row in scored):
        tiers["text"] = [Interval(_span(row), row["text"]) for row in scored]
    told = {
        "path": str(path),
        "seconds": duration,
        "task": task,
        **made.about,
        "head": trained.digest,
        "segments": segmentation.identity,
        "timeline": made.parts,
    }
    texts = {
        "json": json.dumps(told, indent=1, ensure_ascii=False) + "\n",
        "csv": _csv(made.parts, made.about.get("classes", ())),
        **({"rttm": rttm(path, made.intervals)} if scale is None else {}),
        "TextGrid": textgrid(duration, tiers),
    }
    for suffix, text in texts.items():
        publish_bytes(folder / f"{NAME}.{suffix}", text.encode(ENCODING, ODD_BYTES))
    made.draw(
        folder / f"{NAME}.png",
        duration=duration,
        # A name need not be UTF-8, a letter of a picture must.
        title=f"{os.fsencode(path.name).decode(errors='replace')}: {task}",
    )
    return len(made.parts)


def _of_classes(scored: Sequence[Row], classes: Sequence[str], gap: float) -> _Timeline:
    """Return the timeline of classes, of stretches in order."""
    columns = [f"{PROBABILITY}{name}" for name in classes]
    probabilities = np.array([[float(row[c]) for c in columns] for row in scored])
    found = cells([_span(row) for row in scored], probabilities.reshape(-1, len(classes)))
    said = merged(found, gap)
    parts = [
        {
            **_times(part.span),
            "predicted": classes[part.predicted],
            "probabilities": {
                name: round(float(one), 6)
                for name, one in zip(classes, part.probabilities, strict=True)
            },
        }
        for part in said
    ]
    intervals = [
        Interval(part.span, classes[part.predicted], float(part.probabilities[part.predicted]))
        for part in said
    ]
    draw = partial(
        draw_timeline,
        edges=_edges([part.span for part in found]),
        probabilities=np.array([part.probabilities for part in found]).reshape(-1, len(classes)),
        said=[(*part.span, part.predicted) for part in said],
        classes=classes,
    )
    return _Timeline({"classes": list(classes)}, parts, intervals, draw)


def _of_numbers(scored: Sequence[Row], scale: Scale, task: str) -> _Timeline:
    """Return the timeline of numbers, of stretches in order."""
    numbers = np.array([float(row["predicted"]) for row in scored])
    found = [
        (span, float(mean[0]))
        for span, mean in means([_span(row) for row in scored], numbers.reshape(-1, 1))
    ]
    parts = [{**_times(span), "predicted": round(number, 6)} for span, number in found]
    intervals = [Interval(span, f"{number:.3f}") for span, number in found]
    draw = partial(
        draw_number_timeline,
        edges=_edges([span for span, _ in found]),
        numbers=np.array([number for _, number in found]),
        ends=(scale.low, scale.high),
        task=task,
    )
    return _Timeline({"scale": asdict(scale)}, parts, intervals, draw)


def _span(row: Row) -> Span:
    return Span(float(row["start"]), float(row["end"]))


def _times(span: Span) -> Part:
    return {"start": round(span.start, 6), "end": round(span.end, 6)}


def _edges(spans: Sequence[Span]) -> np.ndarray:
    return np.array(spans, dtype=np.float64).reshape(-1, 2)


def _csv(parts: Sequence[Part], classes: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["start", "end", "predicted", *(f"{PROBABILITY}{name}" for name in classes)])
    for part in parts:
        told = [part["start"], part["end"], part["predicted"]]
        values = [*told, *part.get("probabilities", {}).values()]
        writer.writerow([one if isinstance(one, str) else f"{one:.6f}" for one in values])
    return text.getvalue()
