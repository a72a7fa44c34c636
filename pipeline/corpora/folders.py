"""Finding a corpus's recordings as people really keep them, and reading their headers."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import soundfile

from pipeline.errors import ManifestError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The rows of a corpus and what a person should know of them.

    Attributes:
        table: Manifest rows without a split, sorted by utterance_id.
        notes: Sentences on what is missing, extra or special.
    """

    table: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def find_recordings(folder: Path) -> list[Path]:
    """Return all recordings below a folder, sorted by their path.

    Raises:
        ManifestError: If the folder is not there or holds none.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; name the folder of the corpus.")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise ManifestError(
            f"{folder}: holds no recordings ({', '.join(SUFFIXES)}); name the folder of the corpus."
        )
    return found


def first_of_each(paths: Iterable[Path]) -> tuple[dict[str, Path], list[str]]:
    """Return the first recording of each name, and a note on those that are there again.

    Some downloads hold a corpus twice, in folders of two names.
    """
    first: dict[str, Path] = {}
    repeated = [path for path in paths if first.setdefault(path.stem, path) is not path]
    if not repeated:
        return first, []
    again = repeated[0]
    return first, [
        f"{len(repeated)} recordings are there again and passed over: {again} repeats "
        f"{first[again.stem]}{', ...' if len(repeated) > 1 else ''}"
    ]


def read_headers(paths: Sequence[Path]) -> pd.DataFrame:
    """Return num_samples and sample_rate of each file from its header; -1 where unreadable."""

    def header(path: Path) -> tuple[int, int]:
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError:
            return -1, -1
        return info.frames, info.samplerate

    with ThreadPoolExecutor() as pool:
        return pd.DataFrame(
            list(pool.map(header, paths)), columns=["num_samples", "sample_rate"], dtype="int64"
        )


def count_note(what: str, found: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Say which of a corpus's expected items are missing and which are extra."""
    have, want = set(found), set(expected)
    notes = []
    for kind, items in (("missing", want - have), ("extra", have - want)):
        if items:
            some = ", ".join(sorted(items)[:SHOWN])
            more = ", ..." if len(items) > SHOWN else ""
            notes.append(f"{len(items)} of {len(want)} {what} {kind}: {some}{more}")
    return notes
