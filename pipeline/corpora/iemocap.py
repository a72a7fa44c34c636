"""IEMOCAP (Busso et al. 2008): ten actors in five sessions of two, improvised and scripted.

Recordings are `Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav`: session, dialogue,
and who of the two speaks. Labels lie in `Session1/dialog/EmoEvaluation/Ses01F_impro01.txt`, with
valence, activation (here arousal) and dominance from 1 to 5, the raters' mean; texts lie in
`Session1/dialog/transcriptions/Ses01F_impro01.txt`.
"""

import re
from pathlib import Path, PurePath

import pandas as pd

from pipeline.corpora.importer import Corpus, Importer, Row, read_names, with_labels
from pipeline.errors import ManifestError

NAME = re.compile(r"(Ses(0[1-5])[FM]_(?:impro|script)\w+)_([FM])(?:XX)?\d+")
LABEL = re.compile(r"^\[[\d. -]+\]\t(Ses\w+)\t([a-z]{3})\t", re.MULTILINE)
RATED = re.compile(r"^\[[\d. -]+\]\t(Ses\w+)\t[a-z]{3}\t\[([\d., ]+)\]", re.MULTILINE)
DIMENSIONS = ("valence", "arousal", "dominance")  # in the order of the files
TEXT = re.compile(r"^(Ses\w+) \[[\d. -]+\]: ?(.*)$", re.MULTILINE)
EMOTIONS = {
    "neu": "neutral",
    "hap": "happy",
    "exc": "excited",
    "ang": "angry",
    "sad": "sad",
    "fru": "frustrated",
    "sur": "surprised",
    "fea": "fearful",
    "dis": "disgust",
    "oth": "other",
    "xxx": "no agreement",
}


def describe(path: PurePath) -> Row | None:
    """Return the row of a recording of one utterance."""
    match = NAME.fullmatch(path.stem)
    if not match:
        return None
    dialogue, session, sex = match.groups()
    return {
        "session": f"Session{int(session)}",
        "speaker": f"Ses{session}{sex}",
        "dialogue": dialogue,
        "gender": "female" if sex == "F" else "male",
    }


def read_iemocap(folder: Path) -> Corpus:
    """Return the utterances with label, dimensions as far as they are told, and text.

    Raises:
        ManifestError: If recordings or labels are missing.
    """
    labels = _matches(folder, "EmoEvaluation", LABEL).map(EMOTIONS).to_frame("emotion")
    rated = _matches(folder, "EmoEvaluation", RATED, is_wanted=False).str.split(", *", expand=True)
    for place, name in enumerate(DIMENSIONS):
        if place in rated.columns:
            labels[name] = rated[place].reindex(labels.index).fillna("").astype("str")
    texts = _matches(folder, "transcriptions", TEXT)
    corpus = with_labels(read_names(folder, describe), labels, what="labelled utterances")
    table = corpus.table.assign(text=corpus.table["utterance_id"].map(texts).fillna(""))
    return Corpus(table=table, notes=corpus.notes)


def _matches(
    folder: Path, kind: str, pattern: re.Pattern[str], *, is_wanted: bool = True
) -> pd.Series:
    """Return what the files in all folders of a kind say of each utterance."""
    files = sorted(path for path in folder.rglob(f"{kind}/*.txt") if path.name[0] != ".")
    found = {
        name: value.strip()
        for path in files
        for name, value in pattern.findall(path.read_text("utf-8", errors="replace"))
    }
    if not found and is_wanted:
        raise ManifestError(
            f"{folder}: found no labels in Session*/dialog/{kind}/*.txt; name the folder that "
            "IEMOCAP unpacks to."
        )
    return pd.Series(found, dtype="str")


IEMOCAP = Importer(
    name="iemocap",
    title="IEMOCAP",
    language="en",
    classes=tuple(EMOTIONS.values()),
    num_clips=10039,
    num_speakers=10,
    hours=12.4,
    licence="research only, on request",
    citation="Busso et al. 2008, doi 10.1007/s10579-008-9076-6",
    source="https://sail.usc.edu/iemocap",
    wants="IEMOCAP_full_release, or its folders Session1 to Session5",
    emobox="iemocap",
    describe=describe,
    tabulate=read_iemocap,
    folds_by="session",
)
