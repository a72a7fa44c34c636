"""Kaldi's data folders: `wav.scp`, and beside it `segments`, `text`, `utt2spk`, `utt2<task>`.

Every file is lines of a name and a value. A folder of such folders called train, dev and test is
read as one corpus with that split.
"""

from pathlib import Path

import pandas as pd

from pipeline.corpora.folders import relative_paths
from pipeline.corpora.importer import Corpus
from pipeline.errors import ManifestError
from pipeline.manifests.manifest import SPLITS, check_table

RECORDINGS, SEGMENTS, SPEAKERS = "wav.scp", "segments", "utt2spk"
COLUMNS = {"spk": "speaker", "emo": "emotion", "lang": "language"}  # others keep their name
ABOUT_SOUND = ("dur", "num_frames", "num_samples", "uniq", "warp")  # nobody's labels
GENDERS = {"f": "female", "m": "male"}


def read_kaldi(folder: Path) -> Corpus:
    """Return the utterances of a Kaldi data folder, or of its folders train, dev and test.

    Absolute paths are made relative to the one folder that all are in, which a note names.

    Raises:
        ManifestError: If a file is missing or a line is none of its kind.
    """
    if (folder / RECORDINGS).is_file():
        parts = [_read_folder(folder)]
    else:
        parts = [
            _read_folder(folder / name).assign(split=name)
            for name in SPLITS
            if (folder / name / RECORDINGS).is_file()
        ]
    if not parts:
        raise ManifestError(
            f"{folder}: holds no {RECORDINGS}, nor folders {', '.join(SPLITS)} with one; name a "
            "Kaldi data folder."
        )
    table = pd.concat(parts, ignore_index=True).fillna("")
    paths, notes = relative_paths(table["path"].tolist(), folder / RECORDINGS)
    table = check_table(table.assign(path=paths), folder / RECORDINGS, 1).table
    return Corpus(table=table.assign(corpus=folder.resolve().name), notes=notes)


def _read_folder(folder: Path) -> pd.DataFrame:
    files = _pairs(folder / RECORDINGS)
    for name, value in files.items():
        if value.endswith("|"):
            raise ManifestError(
                f"{folder / RECORDINGS}: {name} is the command {value!r}, wanted a file: commands "
                "are not run; write its output to a file and name that."
            )
    rows = {name: {"path": path} for name, path in files.items()}
    if (folder / SEGMENTS).is_file():
        rows = {
            name: _segment(folder / SEGMENTS, name, value, files)
            for name, value in _pairs(folder / SEGMENTS).items()
        }
    table = pd.DataFrame.from_dict(rows, orient="index", dtype="str")
    for path in sorted(folder.glob("utt2*")):
        kind = path.name.removeprefix("utt2")
        if path.suffix or kind in ABOUT_SOUND:
            continue
        table[COLUMNS.get(kind, kind)] = table.index.map(_pairs(path)).fillna("")
    if (folder / "text").is_file():
        table["text"] = table.index.map(_pairs(folder / "text")).fillna("")
    if (folder / "spk2gender").is_file() and "speaker" in table:
        genders = table["speaker"].map(_pairs(folder / "spk2gender")).fillna("")
        table["gender"] = genders.replace(GENDERS)
    return table.reset_index(names="utterance_id")


def _segment(path: Path, name: str, value: str, files: dict[str, str]) -> dict[str, str]:
    recording, *times = value.split()
    if recording not in files or len(times) < 2:
        raise ManifestError(
            f"{path}: {name} is {value!r}, wanted a recording of {RECORDINGS}, start and end; mend "
            "the line."
        )
    start, end = times[:2]
    # Kaldi writes -1 for the end of the recording.
    return {"path": files[recording], "start": start, "end": "" if end.startswith("-1") else end}


def _pairs(path: Path) -> dict[str, str]:
    """Return the lines of a file as names and what follows them."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: not readable ({error}); mend the file.") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, *value = line.split(maxsplit=1) or [""]
        if name in found:
            raise ManifestError(f"{path}:{number}: names {name} a second time; keep one line.")
        if name:
            found[name] = value[0].strip() if value else ""
    return found
