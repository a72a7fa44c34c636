"""MSP-Podcast (Lotfian & Busso 2019): podcasts in English, 8 emotions, several raters a clip.

`Labels/labels_consensus.csv` has a row for each clip of `Audios/` with its class, speaker, gender
and split, and the raters' mean of its arousal, valence and dominance, 1 to 7;
`Labels/labels_detailed.csv` has a row for each rating; `Transcripts/` a text per clip.
"""

from pathlib import Path, PurePath

import pandas as pd

from pipeline.corpora.folders import find_file, read_labels
from pipeline.corpora.importer import (
    Corpus,
    Importer,
    describe_by_table,
    read_names,
    with_labels,
)

EMOTIONS = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "U": "surprised",
    "F": "fearful",
    "D": "disgust",
    "C": "contempt",
    "N": "neutral",
    "O": "other",
    "X": "no agreement",
}
RATED = {
    "angry": "angry",
    "sad": "sad",
    "happy": "happy",
    "surprise": "surprised",
    "fear": "fearful",
    "disgust": "disgust",
    "contempt": "contempt",
    "neutral": "neutral",
}
SPLITS = {"train": "train", "development": "dev"}  # Test1, Test2 and Test3 are test
UNKNOWN = "unknown"
DIMENSIONS = {"EmoAct": "arousal", "EmoVal": "valence", "EmoDom": "dominance"}
COLUMNS = ("FileName", "EmoClass", "SpkrID", "Gender", "Split_Set")


def read_msp_podcast(folder: Path) -> Corpus:
    """Return the clips with labels, votes, speakers and the official split.

    Raises:
        ManifestError: If recordings or the table of labels are missing.
    """
    consensus = find_file(folder, "labels_consensus.csv", "which tells classes and splits")
    table = read_labels(consensus, COLUMNS)
    known = ~table["SpkrID"].str.lower().isin(["", UNKNOWN])
    gender = table["Gender"].str.lower()
    labels = pd.DataFrame(
        {
            # Test3 comes without classes.
            "emotion": table["EmoClass"].map(EMOTIONS).fillna(""),
            "speaker": table["SpkrID"].where(known, ""),
            "gender": gender.where(gender != UNKNOWN, ""),
            "official": table["Split_Set"].str.lower().map(SPLITS).fillna("test"),
            "part": table["Split_Set"],
            **{name: table[column] for column, name in DIMENSIONS.items() if column in table},
        }
    ).set_index(table["FileName"].map(_stem))
    labels = labels.join(_votes(folder)).fillna("")
    corpus = with_labels(
        read_names(folder, describe_by_table), labels, what="clips in labels_consensus.csv"
    )
    texts = {path.stem: path for path in sorted(folder.rglob("Transcripts/**/*.txt"))}
    text = [
        texts[name].read_text("utf-8", errors="replace").strip() if name in texts else ""
        for name in corpus.table["utterance_id"]
    ]
    return Corpus(table=corpus.table.assign(text=text), notes=corpus.notes)


def _votes(folder: Path) -> pd.DataFrame:
    """Count the raters' first choices, one column `votes.<class>` each; none without the table."""
    if not any(folder.rglob("labels_detailed.csv")):
        return pd.DataFrame()
    detailed = find_file(folder, "labels_detailed.csv", "which has the ratings")
    table = read_labels(detailed, ["FileName"])
    if "EmoClass_Major" in table.columns:
        first = table["EmoClass_Major"]
    else:
        # Release 1.11: `WORKER00000001; Happy; Happy,Amused; A:4.0; V:5.0; D:4.0;`.
        first = read_labels(detailed, ["EmoDetail"])["EmoDetail"].str.split(";").str[1].fillna("")
    chosen = first.str.strip().str.lower().map(RATED).fillna("other")
    counts = pd.crosstab(table["FileName"].map(_stem), chosen)
    return counts.add_prefix("votes.").astype("str")


def _stem(name: str) -> str:
    return PurePath(name).stem


MSP_PODCAST = Importer(
    name="msp-podcast",
    title="MSP-Podcast 1.11",
    language="en",
    classes=tuple(EMOTIONS.values()),
    num_clips=151654,
    num_speakers=None,
    hours=237.9,
    licence="on request, academic or commercial",
    citation="Lotfian & Busso 2019, doi 10.1109/TAFFC.2017.2736999",
    source="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
    wants="the folder with Audios, Labels and Transcripts",
    tabulate=read_msp_podcast,
    uses_official=True,
)
