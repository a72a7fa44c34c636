"""The timeline of a recording as files, from the table of its stretches."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.columns import PROBABILITY
from pipeline.figures.timeline import draw_timeline
from pipeline.files import publish_bytes
from pipeline.heads.saved import TrainedHead
from pipeline.scoring.growing_table import ENCODING, ODD_BYTES, Row
from pipeline.segmentation.cutting import Span
from pipeline.segmentation.formats import Interval, rttm, textgrid
from pipeline.segmentation.stretches import Segmentation
from pipeline.segmentation.timeline import Said, cells, merged

NAME = "timeline"


def write_timeline(
    folder: Path,
    path: Path,
    rows: Sequence[Row],
    duration: float,
    trained: TrainedHead,
    segmentation: Segmentation,
) -> int:
    """Write timeline.json, .csv, .rttm, .TextGrid and .png; return how many parts it has.

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
    classes, task = trained.classes, trained.task
    scored = sorted((row for row in rows if row["error"] == ""), key=_span)
    spans = [_span(row) for row in scored]
    columns = [f"{PROBABILITY}{name}" for name in classes]
    probabilities = np.array([[float(row[c]) for c in columns] for row in scored])
    parts = cells(spans, probabilities.reshape(len(scored), len(classes)))
    timeline = merged(parts, segmentation.config.merge_gap_s)
    intervals = [
        Interval(part.span, classes[part.predicted], float(part.probabilities[part.predicted]))
        for part in timeline
    ]
    tiers: dict[str, Sequence[Interval]] = {task: intervals}
    if segmentation.detector is not None and any(row["text"] for row in scored):
        tiers["text"] = [Interval(_span(row), row["text"]) for row in scored]
    told = {
        "path": str(path),
        "seconds": duration,
        "task": task,
        "classes": list(classes),
        "head": trained.digest,
        "segments": segmentation.identity,
        "timeline": [_part(part, classes) for part in timeline],
    }
    texts = {
        "json": json.dumps(told, indent=1, ensure_ascii=False) + "\n",
        "csv": _csv(timeline, classes),
        "rttm": rttm(path, intervals),
        "TextGrid": textgrid(duration, tiers),
    }
    for suffix, text in texts.items():
        publish_bytes(folder / f"{NAME}.{suffix}", text.encode(ENCODING, ODD_BYTES))
    draw_timeline(
        folder / f"{NAME}.png",
        np.array([part.span for part in parts]).reshape(-1, 2),
        np.array([part.probabilities for part in parts]).reshape(-1, len(classes)),
        said=[(*part.span, part.predicted) for part in timeline],
        classes=classes,
        duration=duration,
        # A name need not be UTF-8, a letter of a picture must.
        title=f"{os.fsencode(path.name).decode(errors='replace')}: {task}",
    )
    return len(timeline)


def _span(row: Row) -> Span:
    return Span(float(row["start"]), float(row["end"]))


def _part(part: Said, classes: Sequence[str]) -> dict[str, Any]:
    probabilities = [round(float(one), 6) for one in part.probabilities]
    return {
        "start": round(part.span.start, 6),
        "end": round(part.span.end, 6),
        "predicted": classes[part.predicted],
        "probabilities": dict(zip(classes, probabilities, strict=True)),
    }


def _csv(timeline: Sequence[Said], classes: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["start", "end", "predicted", *(f"{PROBABILITY}{name}" for name in classes)])
    for part in timeline:
        times = [f"{time:.6f}" for time in part.span]
        values = [f"{one:.6f}" for one in part.probabilities]
        writer.writerow([*times, classes[part.predicted], *values])
    return text.getvalue()
