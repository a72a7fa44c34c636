"""nEMO (Christop 2024): Polish, 9 actors, 6 emotions, 4481 clips, with text.

`data.tsv` names the files, with the suffix `.wav` or `.flac`; the recordings lie in `samples/`.
"""

from pathlib import Path

import pandas as pd

from pipeline.corpora.folders import (
    Corpus,
    count_note,
    find_recordings,
    first_of_each,
    read_headers,
)
from pipeline.errors import ManifestError

NUM_CLIPS = 4481
COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender", "age")


def read_nemo(folder: Path) -> Corpus:
    """Return the clips that data.tsv names and the folder holds.

    Raises:
        ManifestError: If data.tsv is absent or lacks a column, or no recordings are there.
    """
    table_path = folder / "data.tsv"
    if not table_path.is_file():
        raise ManifestError(f"{table_path}: no such file; name the folder that nEMO unpacks to.")
    try:
        labels = pd.read_csv(table_path, sep="\t", dtype="str", keep_default_na=False)
    except ValueError as error:
        raise ManifestError(f"{table_path}: not readable ({error}); fetch nEMO again.") from error
    lacking = [c for c in COLUMNS if c not in labels.columns]
    if lacking:
        raise ManifestError(f"{table_path}: has no column {lacking[0]!r}; fetch nEMO again.")
    labels["utterance_id"] = labels["file_id"].map(lambda name: Path(name).stem)
    recordings, repeats = first_of_each(find_recordings(folder))
    notes = count_note("clips in data.tsv", recordings, labels["utterance_id"]) + repeats
    if len(labels) != NUM_CLIPS:
        notes.append(f"data.tsv names {len(labels)} clips, nEMO has {NUM_CLIPS}")
    labels = labels[labels["utterance_id"].isin(set(recordings))]
    labels = labels.sort_values("utterance_id", ignore_index=True)
    paths = [recordings[name] for name in labels["utterance_id"]]
    table = pd.DataFrame(
        {
            "utterance_id": labels["utterance_id"],
            "path": [path.relative_to(folder).as_posix() for path in paths],
            "corpus": "nemo",
            "speaker": labels["speaker_id"],
            "emotion": labels["emotion"],
            "gender": labels["gender"],
            "age": labels["age"],
            "language": "pl",
            "text": labels["raw_text"],
        }
    )
    return Corpus(table=table.join(read_headers(paths)), notes=notes)
