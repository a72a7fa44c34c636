"""What a head says of many files, as a table that grows."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.audio import containers
from pipeline.audio.decoders import decoders
from pipeline.audio.segments import Segment
from pipeline.corpora.folders import SUFFIXES, find_recordings
from pipeline.evaluation.columns import PROBABILITY
from pipeline.extraction.encoding import file_digest
from pipeline.progress import Reporter
from pipeline.scoring.growing_table import DIGEST, GrowingTable
from pipeline.scoring.loose_clips import LooseClip, LoosePrediction
from pipeline.scoring.predictor import Predictor, made_by

ANY_SUFFIX = (*SUFFIXES, ".opus", ".aif", ".aiff", ".au", *containers.SUFFIXES)
PATH, ERROR = "path", "error"


def recordings_of(paths: Sequence[Path]) -> list[Path]:
    """Return files as they are named, and of folders the recordings in them, sorted by path.

    Each once; hidden ones, and what is no file by its suffix or its kind, are passed over in
    folders.

    Raises:
        ManifestError: If a folder holds none.
    """
    found = (find_recordings(path, ANY_SUFFIX) if path.is_dir() else [path] for path in paths)
    return list(dict.fromkeys(path for each in found for path in each))


def predict_files(
    paths: Sequence[Path], predictor: Predictor, *, workers: int
) -> Iterator[list[LoosePrediction]]:
    """Yield what a head says of files, piece after piece; a bad file has its error instead.

    Args:
        paths: The files.
        predictor: The head.
        workers: Threads that decode.
    """
    with decoders(workers) as pool:
        clips = (LooseClip(place=Segment(path=path)) for path in paths)
        yield from predictor.pieces(clips, pool)


def predict_into(
    out: Path,
    paths: Sequence[Path],
    predictor: Predictor,
    *,
    workers: int,
    reporter: Reporter,
) -> int:
    """Write a row for each file as it is done, and return how many have an error.

    What an earlier run has finished stays, unless the file has changed since, or could not be read.

    Args:
        out: A CSV file; who calls this alone writes it.
        paths: The files, each once.
        predictor: The head.
        workers: Threads that decode.
        reporter: Hears of progress.

    Raises:
        OutputError: If it cannot be written, or holds rows of another head.
    """
    columns = [PATH, "seconds", *answer_columns(predictor)]
    table = GrowingTable(out, columns, made_by(predictor.identity))
    there = {row[PATH] for row in table.rows}
    again = [path for path in paths if str(path) in there]
    with decoders(workers) as pool:
        digests = dict(zip(map(str, again), pool.map(file_digest, again), strict=True))
    known = [
        row
        for row in table.rows
        if row[PATH] not in digests or digests[row[PATH]] == row[DIGEST] != ""
    ]
    if len(known) < len(table.rows):
        reporter.say(f"{len(table.rows) - len(known)} files have changed, or could not be read")
    table.keep(known)
    done = {row[PATH] for row in known}
    todo = [path for path in paths if str(path) not in done]
    reporter.say(f"{len(todo)} files to predict, {len(paths) - len(todo)} kept from an earlier run")
    reporter.begin(len(todo))
    for piece in predict_files(todo, predictor, workers=workers):
        table.append(
            [
                {PATH: str(one.path), "seconds": f"{one.duration:.3f}", **answer_cells(one)}
                for one in piece
            ]
        )
        reporter.advance(len(piece), sum(one.duration for one in piece))
    wanted = {str(path) for path in paths}
    return sum(row[ERROR] != "" for row in table.rows if row[PATH] in wanted)


def answer_columns(predictor: Predictor) -> list[str]:
    """Return the columns of what a head says of a clip; of numbers there are no probabilities."""
    trained = predictor.trained
    named = trained.classes if trained.record.scale is None else ()
    classes = [f"{PROBABILITY}{name}" for name in named]
    return ["predicted", *classes, "text", "extras", ERROR]


def answer_cells(said: LoosePrediction) -> dict[str, str]:
    """Return the cells of what a head says of a clip."""
    return {
        "predicted": f"{said.number:.6f}" if said.number is not None else str(said.predicted or ""),
        **{f"{PROBABILITY}{name}": f"{p:.6f}" for name, p in said.probabilities.items()},
        "text": said.text or "",
        "extras": json.dumps(said.extras, ensure_ascii=False) if said.extras else "",
        ERROR: said.error,
        DIGEST: said.file_digest,
    }
