"""Finding a corpus's recordings as people really keep them, and reading their headers."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import pandas as pd
import soundfile

from pipeline.audio import containers
from pipeline.audio.complaints import Complaints
from pipeline.audio.decoders import decoders
from pipeline.errors import AudioError, ManifestError
from pipeline.files import read_bytes

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
SHOWN = 3


def find_recordings(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Return all recordings below a folder, sorted by their path; hidden ones are passed over.

    Raises:
        ManifestError: If the folder is not there or holds none.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; name the folder of the corpus.")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not found:
        raise ManifestError(
            f"{folder}: holds no recordings ({some(suffixes)}); name a folder that has some."
        )
    return found


def find_file(folder: Path, name: str, what: str) -> Path:
    """Return the one file of this name at the top of a folder or below it.

    Raises:
        ManifestError: If there is none, or several below that differ.
    """
    found = sorted(path for path in folder.rglob(name) if path.is_file())
    contents = {read_bytes(path) for path in found}
    if len(contents) == 1:
        return found[0]
    if not found:
        raise ManifestError(f"{folder}: holds no {name}, {what}; put it there.")
    raise ManifestError(
        f"{folder}: holds {name} {len(found)} times, e.g. {found[0]} and {found[1]}, and they "
        "differ; keep one."
    )


def relative_paths(paths: Sequence[str], where: Path) -> tuple[list[str], list[str]]:
    """Return absolute paths relative to the one folder that all are in, and a note that names it.

    Relative ones stay, without a note.

    Args:
        paths: Of recordings.
        where: What names them, for messages.

    Raises:
        ManifestError: If some are absolute and some are not.
    """
    absolute = [PurePath(path).is_absolute() for path in paths]
    if not any(absolute):
        return list(paths), []
    if not all(absolute):
        known = paths[absolute.index(False)]
        raise ManifestError(
            f"{where}: has absolute paths, and {known!r}, which is none; write all alike."
        )
    root = os.path.commonpath([str(PurePath(path).parent) for path in paths])
    note = f"paths are relative to {root}: give --audio-root {root}"
    return [PurePath(path).relative_to(root).as_posix() for path in paths], [note]


def read_labels(path: Path, columns: Sequence[str], *, separator: str = ",") -> pd.DataFrame:
    """Return a corpus's own table of labels, every cell as text.

    Raises:
        ManifestError: If it is not readable or lacks a column.
    """
    try:
        table = pd.read_csv(path, sep=separator, dtype="str", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: not readable ({error}); fetch the corpus again.") from error
    lacking = [c for c in columns if c not in table.columns]
    if lacking:
        raise ManifestError(
            f"{path}: has no column {lacking[0]!r}, only {list(table.columns)}; fetch the corpus "
            "again."
        )
    return table


def natural_order(text: str) -> list[tuple[int, str]]:
    """Return a sorting key that puts `F2` before `F10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def read_headers(paths: Sequence[Path]) -> pd.DataFrame:
    """Return num_samples, sample_rate and channels of each file; -1 where they are not told.

    Containers tell no exact number of samples.
    """

    def header(path: Path) -> tuple[int, int, int]:
        try:
            if path.suffix.lower() in containers.SUFFIXES:
                return -1, *containers.read_header(path)
            with Complaints().heard():  # whoever reads the samples will say it again
                info = soundfile.info(path)
        except (soundfile.LibsndfileError, AudioError):
            return -1, -1, -1
        return info.frames, info.samplerate, info.channels

    with decoders(None) as pool:
        found = list(pool.map(header, paths))
    return pd.DataFrame(found, columns=["num_samples", "sample_rate", "channels"], dtype="int64")


def some(items: Iterable[object]) -> str:
    """Return the first few of some items, and a sign that there are more."""
    listed = [str(item) for item in items]
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")


def count_note(what: str, found: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Say which of a corpus's expected items are missing and which are extra."""
    have, want = set(found), set(expected)
    return [
        f"{len(items)} of {len(want)} {what} {kind}: {some(sorted(items))}"
        for kind, items in (("missing", want - have), ("extra", have - want))
        if items
    ]
