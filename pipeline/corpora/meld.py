"""MELD (Poria et al. 2019): 1,433 dialogues of the series Friends, 7 emotions, with text.

Videos `dia0_utt0.mp4` lie in a folder for each split, whose labels are `train_sent_emo.csv`,
`dev_sent_emo.csv` and `test_sent_emo.csv`. Nine clips of ten have six channels, where the voices
are in the third. Copies as WAV or FLAC are read as well; MP4 needs the extra `video`.

Of some 130 test clips, whose length is not that of their label, the owners also ship another cut,
`final_videos_testdia0_utt0.mp4`; EmoBox, and so this importer, passes it over.
"""

import re
from pathlib import Path, PurePath

import pandas as pd

from pipeline.audio import containers
from pipeline.corpora.folders import SUFFIXES, find_file, read_labels
from pipeline.corpora.importer import Corpus, Importer, Row, read_names, with_labels
from pipeline.errors import AudioError, ManifestError
from pipeline.manifests.manifest import DECLARED, SPLITS

NAME = re.compile(r"dia(\d+)_utt(\d+)")
FOLDERS = {
    "train_splits": "train",
    "train": "train",
    "dev_splits_complete": "dev",
    "dev": "dev",
    "output_repeated_splits_test": "test",
    "test": "test",
}
COLUMNS = {
    "Utterance": "text",
    "Speaker": "speaker",
    "Emotion": "emotion",
    "Sentiment": "sentiment",
}
CENTRE = 3  # channel of the voices, of six
# As published: the videos of these cannot be read, those of the others run on for minutes.
UNREADABLE = ("train_dia125_utt3", "dev_dia110_utt7")
MISCUT = {"test_dia38_utt4": 305, "test_dia220_utt0": 235}  # seconds


def describe(path: PurePath) -> Row | None:
    """Return the row of a recording: which utterance of which split it is."""
    match = NAME.fullmatch(path.stem)
    split = next((FOLDERS[name] for name in reversed(path.parts[:-1]) if name in FOLDERS), None)
    if not match or split is None:
        return None
    return {
        "utterance_id": f"{split}_{path.stem}",
        "dialogue": f"{split}_{match[1]}",
        "official": split,
        # 82 of 304 speakers are in several splits, 69 of them in train and test: the six friends
        # throughout, and names such as Waiter that stand for several people.
        "overlap": DECLARED,
    }


def read_meld(folder: Path) -> Corpus:
    """Return the clips of all splits, with text, speaker, emotion and sentiment.

    The tables alone, without any recording, give the rows with the paths of the videos.

    Raises:
        ManifestError: If a table is missing, or videos are there and cannot be read.
    """
    labels = pd.concat([_labels(folder, split) for split in SPLITS])
    suffixes = (*SUFFIXES, *containers.SUFFIXES)
    if any(path.suffix.lower() in suffixes for path in folder.rglob("*")):
        names = read_names(folder, describe, suffixes)
        corpus = with_labels(names, labels, what="labelled clips")
        if corpus.table["path"].str.lower().str.endswith(containers.SUFFIXES).any():
            _require_torchcodec(folder)
    else:
        corpus = _without_recordings(labels)
    table = corpus.table
    bad = table["utterance_id"].isin(UNREADABLE)
    notes = list(corpus.notes)
    if bad.any():
        notes.append(
            f"{bad.sum()} clips are left out, unreadable as published: "
            f"{', '.join(table['utterance_id'][bad])}"
        )
    table = table[~bad].reset_index(drop=True)
    miscut = [name for name in MISCUT if name in set(table["utterance_id"])]
    if miscut:
        found = ", ".join(f"{name} ({MISCUT[name]} s)" for name in miscut)
        notes.append(f"{len(miscut)} clips are cut wrongly as published and are kept: {found}")
    table["channel"] = table["channels"].map(_channel)
    return Corpus(table=table, notes=notes)


def _require_torchcodec(folder: Path) -> None:
    try:
        containers.require_torchcodec("MP4")
    except AudioError as error:
        raise ManifestError(f"{folder}: {error}") from error


def _without_recordings(labels: pd.DataFrame) -> Corpus:
    """Return every labelled clip under the path of its video as the owners ship it."""
    folders = {split: name for name, split in reversed(FOLDERS.items())}
    paths = []
    for name in labels.index:
        split, _, stem = name.partition("_")
        paths.append(PurePath(folders[split], f"{stem}.mp4"))
    rows = [{"path": path.as_posix(), **(describe(path) or {})} for path in paths]
    table = pd.DataFrame(rows).join(labels, on="utterance_id")
    table = table.sort_values("utterance_id", ignore_index=True)
    counts = {"num_samples": -1, "sample_rate": -1, "channels": -1}
    note = "no recordings are there; the rows have text and labels, and the paths of the videos"
    return Corpus(table=table.assign(**counts), notes=[note])


def _labels(folder: Path, split: str) -> pd.DataFrame:
    path = find_file(folder, f"{split}_sent_emo.csv", f"the labels of {split}")
    table = read_labels(path, ["Dialogue_ID", "Utterance_ID", *COLUMNS])
    table.index = pd.Index(
        f"{split}_dia" + table["Dialogue_ID"] + "_utt" + table["Utterance_ID"], name="utterance_id"
    )
    return table[list(COLUMNS)].rename(columns=COLUMNS)


def _channel(channels: int) -> int:
    """Return the channel to read, -1 where the file does not tell how many it has."""
    return -1 if channels < 1 else CENTRE if channels >= CENTRE else 1


MELD = Importer(
    name="meld",
    title="MELD",
    language="en",
    classes=("neutral", "joy", "sadness", "anger", "surprise", "fear", "disgust"),
    num_clips=13706,  # of 13708 labelled
    num_speakers=304,
    hours=12.14,
    licence="GPL-3.0 for the annotations; the series belongs to its owners",
    citation="Poria et al. 2019, doi 10.18653/v1/P19-1050",
    source="https://affective-meld.github.io",
    wants="MELD.Raw unpacked, with the three *_sent_emo.csv",
    emobox="meld",
    tabulate=read_meld,
    uses_official=True,
)
