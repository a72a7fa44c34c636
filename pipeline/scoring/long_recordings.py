"""What a head says along recordings of any length, in the memory of a few stretches.

Each recording is decoded once, block by block, and its stretches are scored as they end. A folder
for each holds `stretches.csv`, which grows, and when all are there the timeline in several formats.
`recordings.csv` has a row for each recording that is done, or could not be used.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

from pipeline.audio.decoders import decoders
from pipeline.errors import AudioError
from pipeline.extraction.encoding import file_digest
from pipeline.files import clear_temporaries, sha256_bytes
from pipeline.progress import Reporter
from pipeline.scoring.growing_table import DIGEST, GrowingTable, Row
from pipeline.scoring.loose_clips import LooseClip
from pipeline.scoring.loose_tables import ERROR, PATH, answer_cells, answer_columns
from pipeline.scoring.predictor import Predictor, made_by
from pipeline.scoring.timeline_files import NO_RTTM, write_timeline
from pipeline.segmentation.stretches import Segmentation, Stretches

RECORDINGS, STRETCHES = "recordings.csv", "stretches.csv"
FOLDER = "folder"
START, END = "start", "end"


def predict_recordings(
    out: Path,
    paths: Sequence[Path],
    predictor: Predictor,
    segmentation: Segmentation,
    *,
    workers: int,
    reporter: Reporter,
) -> int:
    """Write the timeline of each recording, and return how many could not be used.

    What an earlier run has finished stays, of a recording that was under way its stretches too,
    unless the file has changed since.

    Args:
        out: A folder; who calls this alone writes it.
        paths: The recordings, each once.
        predictor: The head.
        segmentation: How recordings are cut.
        workers: Threads that decode.
        reporter: Hears of progress.

    Raises:
        OutputError: If it cannot be written, or holds rows of another head or other settings.
    """
    if predictor.trained.record.scale is not None:
        reporter.say(NO_RTTM)
    key = made_by(predictor.identity, segmentation.identity)
    clear_temporaries(out, below=True)
    columns = [PATH, FOLDER, "seconds", "stretches", "without_prediction", "parts", ERROR]
    table = GrowingTable(out / RECORDINGS, columns, key)
    with decoders(workers) as pool:
        for path in paths:
            digest = file_digest(path)
            mine = [row for row in table.rows if row[PATH] == str(path)]
            if any(row[DIGEST] == digest != "" for row in mine):
                continue
            table.keep([row for row in table.rows if row not in mine])
            name = _folder_name(path, paths, table.rows)
            told = {PATH: str(path), FOLDER: name, DIGEST: digest}
            reporter.say(f"{path}:")
            try:
                told |= _predict(
                    out / name, path, digest, key, predictor, segmentation, pool, reporter
                )
            except AudioError as error:
                told[ERROR] = f"{error.outcome}: {error}"
                reporter.say(f"{path}: {told[ERROR]}")
            table.append([told])
    wanted = {str(path) for path in paths}
    return sum(row[ERROR] != "" for row in table.rows if row[PATH] in wanted)


def _predict(
    folder: Path,
    path: Path,
    digest: str,
    key: str,
    predictor: Predictor,
    segmentation: Segmentation,
    pool: Executor,
    reporter: Reporter,
) -> dict[str, str]:
    """Score the stretches of one recording that are not there yet, and write its timeline."""

    def heard(seconds: float) -> None:
        if round(seconds):  # what is less would end the progress twice
            reporter.advance(round(seconds), seconds)

    with Stretches(path, segmentation, heard) as stretches:
        table = GrowingTable(folder / STRETCHES, [START, END, *answer_columns(predictor)], key)
        table.keep([row for row in table.rows if row[DIGEST] == digest])
        reporter.begin(max(round(stretches.duration), 1))
        known = {(row[START], row[END]) for row in table.rows}
        for piece in predictor.pieces(_clips(stretches, known), pool):
            table.append(
                [
                    {START: _time(one.place.start), END: _time(one.place.end)}
                    | {**answer_cells(one), DIGEST: digest}
                    for one in piece
                ]
            )
        duration = stretches.duration
    num_parts = write_timeline(folder, path, table.rows, duration, predictor.trained, segmentation)
    return {
        "seconds": f"{duration:.3f}",
        "stretches": str(len(table.rows)),
        "without_prediction": str(sum(row[ERROR] != "" for row in table.rows)),
        "parts": str(num_parts),
    }


def _clips(stretches: Stretches, known: set[tuple[str, str]]) -> Iterator[LooseClip]:
    """Yield the stretches that are not known, each as a clip."""
    for span, samples in stretches:
        if (_time(span.start), _time(span.end)) not in known:
            place = stretches.place(span)
            yield LooseClip(place=place, samples=samples, sample_rate=stretches.sample_rate)


def _folder_name(path: Path, paths: Sequence[Path], rows: Sequence[Row]) -> str:
    """Return the name of a recording's folder: its own, with digits where others have it too."""
    others = {str(one) for one in paths} | {row[PATH] for row in rows}
    if all(Path(other).name != path.name for other in others - {str(path)}):
        return path.name
    return f"{path.name}-{sha256_bytes(os.fsencode(path))[:8]}"


def _time(seconds: float | None) -> str:
    assert seconds is not None
    return f"{seconds:.6f}"
