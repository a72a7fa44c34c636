"""nEMO (Christop 2024): Polish, 9 actors, 6 emotions, 4481 clips, with text.

`data.tsv` names the files, with the suffix `.wav` or `.flac`; the recordings lie in `samples/`.
"""

from pathlib import Path, PurePath

from pipeline.corpora.folders import find_file, read_labels
from pipeline.corpora.importer import (
    Corpus,
    Importer,
    describe_by_table,
    read_names,
    with_labels,
)

COLUMNS = {
    "emotion": "emotion",
    "raw_text": "text",
    "speaker_id": "speaker",
    "gender": "gender",
    "age": "age",
}


def read_nemo(folder: Path) -> Corpus:
    """Return the clips that data.tsv names and the folder holds.

    Raises:
        ManifestError: If data.tsv is absent or lacks a column, or no recordings are there.
    """
    table = find_file(folder, "data.tsv", "which tells emotions and speakers")
    labels = read_labels(table, ["file_id", *COLUMNS], separator="\t")
    labels = labels.apply(lambda cells: cells.str.strip())  # speakers are followed by spaces
    labels.index = labels["file_id"].map(lambda name: PurePath(name).stem)
    labels = labels[list(COLUMNS)].rename(columns=COLUMNS)
    return with_labels(read_names(folder, describe_by_table), labels, what="clips in data.tsv")


NEMO = Importer(
    name="nemo",
    title="nEMO",
    language="pl",
    classes=("anger", "fear", "happiness", "neutral", "sadness", "surprised"),
    num_clips=4481,
    num_speakers=9,
    hours=3.1,
    licence="CC BY-NC-SA 4.0",
    citation="Christop 2024, LREC-COLING",
    source="https://github.com/amu-cai/nEMO",
    wants="the folder with data.tsv and samples",
    tabulate=read_nemo,
)
