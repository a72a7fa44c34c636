"""Corpora whose names of files tell all: a path as shipped, and the row that it becomes."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pipeline.corpora.importer import Corpus
from pipeline.manifests.manifest import read_manifest, write_manifest

MakeWav = Callable[..., Path]


Row = dict[str, object]


SECONDS, HEADER = 0.05, {"num_samples": 800, "sample_rate": 16000}


# Importer, path as its owners ship it, and the row without path and header.
NAMED: list[tuple[str, str, Row]] = [
    (
        "ravdess",
        "Audio_Speech_Actors_01-24/Actor_12/03-01-06-01-02-01-12.wav",
        {
            "utterance_id": "03-01-06-01-02-01-12",
            "corpus": "ravdess",
            "speaker": "actor_12",
            "emotion": "fearful",
            "gender": "female",
            "intensity": "normal",
            "language": "en",
            "text": "Dogs are sitting by the door",
        },
    ),
    (
        "ravdess-song",
        "Audio_Song_Actors_01-24/Actor_01/03-02-03-02-01-02-01.wav",
        {
            "utterance_id": "03-02-03-02-01-02-01",
            "corpus": "ravdess",
            "speaker": "actor_01",
            "emotion": "happy",
            "gender": "male",
            "intensity": "strong",
            "language": "en",
            "text": "Kids are talking by the door",
        },
    ),
    (
        "emodb",
        "wav/03a01Wa.wav",
        {
            "utterance_id": "03a01Wa",
            "corpus": "emodb",
            "speaker": "03",
            "emotion": "angry",
            "gender": "male",
            "language": "de",
            "text": "Der Lappen liegt auf dem Eisschrank.",
        },
    ),
    (
        "tess",
        "TESS Toronto emotional speech set data/YAF_pleasant_surprised/YAF_back_ps.wav",
        {
            "utterance_id": "YAF_back_ps",
            "corpus": "tess",
            "speaker": "YAF",
            "emotion": "surprised",
            "gender": "female",
            "language": "en",
            "text": "Say the word back",
        },
    ),
    (
        "savee",
        "ALL/JE_su08.wav",
        {
            "utterance_id": "JE_su08",
            "corpus": "savee",
            "speaker": "JE",
            "emotion": "surprised",
            "gender": "male",
            "language": "en",
        },
    ),
    (
        "emovo",
        "EMOVO/f2/gio-f2-b2.wav",
        {
            "utterance_id": "gio-f2-b2",
            "corpus": "emovo",
            "speaker": "f2",
            "emotion": "happy",
            "gender": "female",
            "language": "it",
        },
    ),
    (
        "urdu",
        "Angry/SM1_F10_A010.wav",
        {
            "utterance_id": "SM1_F10_A010",
            "corpus": "urdu",
            "speaker": "SM1",
            "emotion": "angry",
            "gender": "male",
            "language": "ur",
        },
    ),
    (
        "turev-db",
        "Sound Source/Happy/1234_mt_cekirge.wav",
        {
            "utterance_id": "1234_mt_cekirge",
            "corpus": "turev-db",
            "speaker": "1234",
            "emotion": "happy",
            "language": "tr",
            "text": "cekirge",
        },
    ),
    (
        "baved",
        "0/10-f-20-0-2-0.wav",
        {
            "utterance_id": "10-f-20-0-2-0",
            "corpus": "baved",
            "speaker": "10",
            "intensity": "high",
            "gender": "female",
            "age": "20",
            "language": "ar",
            "text": "اعجبني",
        },
    ),
    (
        "jl-corpus",
        "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_angry_10a_1.wav",
        {
            "utterance_id": "female1_angry_10a_1",
            "corpus": "jl-corpus",
            "speaker": "female1",
            "emotion": "angry",
            "gender": "female",
            "language": "en",
        },
    ),
    (
        "shemo",
        "male/M02A01.wav",
        {
            "utterance_id": "M02A01",
            "corpus": "shemo",
            "speaker": "M02",
            "emotion": "angry",
            "gender": "male",
            "language": "fa",
        },
    ),
    (
        "subesco",
        "SUBESCO/F_02_MONIKA_S_1_NEUTRAL_5.wav",
        {
            "utterance_id": "F_02_MONIKA_S_1_NEUTRAL_5",
            "corpus": "subesco",
            "speaker": "F_02",
            "emotion": "neutral",
            "gender": "female",
            "language": "bn",
        },
    ),
    (
        "mesd",
        "Mexican Emotional Speech Database (MESD)/Disgust_C_A_basta_ya.wav",
        {
            "utterance_id": "Disgust_C_A_basta_ya",
            "corpus": "mesd",
            "speaker": "child",
            "emotion": "disgust",
            "gender": "",
            "language": "es",
            "text": "basta ya",
        },
    ),
    (
        "aesdd",
        "Acted Emotional Speech Dynamic Database/anger/a06 (5)b.wav",
        {
            "utterance_id": "a06 (5)b",
            "corpus": "aesdd",
            "speaker": "5",
            "emotion": "angry",
            "language": "el",
        },
    ),
    (
        "esd",
        "Emotion Speech Dataset/0011/Angry/0011_000351.wav",
        {
            "utterance_id": "0011_000351",
            "corpus": "esd",
            "speaker": "0011",
            "emotion": "angry",
            "language": "en",
            "official": "",
            "text": "",
        },
    ),
]


def make_clips(folder: Path, make_wav: MakeWav, names: list[str]) -> None:
    for name in names:
        make_wav(folder / name, SECONDS)


def touch_all(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def of_manifest(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it is read again."""
    write_manifest(path, table)
    return read_manifest(path).table


def rows_of(corpus: Corpus) -> dict[object, Row]:
    return {row["utterance_id"]: row for row in corpus.table.to_dict("records")}


def all_of_ravdess(channel: str) -> list[str]:
    """Every name: neutral only at normal intensity, two emotions and actor 18 not sung."""
    return [
        f"03-{channel}-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{actor:02d}"
        for actor in range(1, 25)
        for emotion in range(1, 9 if channel == "01" else 7)
        for intensity in ((1,) if emotion == 1 else (1, 2))
        for statement in (1, 2)
        for repetition in (1, 2)
        if (channel, actor) != ("02", 18)
    ]
