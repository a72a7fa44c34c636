import json
import sys
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path, PurePath
from shutil import copyfile

import pandas as pd
import pytest

from pipeline.corpora import air_bench, meld
from pipeline.corpora.catalogue import IMPORTERS
from pipeline.corpora.importer import Corpus
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ManifestError
from pipeline.manifests.leaks import find_leaks
from pipeline.manifests.manifest import read_manifest, write_manifest
from stages.label_maps import read_label_map

MakeWav = Callable[..., Path]
Row = dict[str, object]

SHARED = Path(__file__).parents[2] / "shared"
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

WITH_TABLES = ("crema-d", "meld", "iemocap", "msp-podcast", "nemo", "air-bench-gender")

CREMA_HEADER = (
    '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote","meanEmoResp",'
    '"meanAngerResp","meanDisgustResp","meanFearResp","meanHappyResp","meanNeutralResp",'
    '"meanSadResp","medianEmoResp","meanEmoRespNorm","meanAngerRespNorm","meanDisgustRespNorm",'
    '"meanFearRespNorm","meanHappyRespNorm","meanNeutralRespNorm","meanSadRespNorm",'
    '"medianEmoRespNorm"'
)
CREMA_TAIL = ',11,0.5,"N",71.7' + ",-1" * 15
CREMA_VOTES = [
    '"100001",0,0,0,1,10,0,"1001_IEO_NEU_XX"',
    '"105000",0,1,0,0,4,5,"1040_ITH_SAD_XX"',
    '"200001",9,0,0,0,0,0,"1001_IEO_NEU_XX"',
    '"300001",0,9,0,0,0,0,"1001_IEO_NEU_XX"',
]
CREMA_ACTORS = """"ActorID","Age","Sex","Race","Ethnicity"
1001,51,"Male","Caucasian","Not Hispanic"
1040,42,"Female","Asian","Not Hispanic"
"""

MELD_HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,"
    "EndTime\n"
)
MELD_ROWS = {
    "train": [
        '1,"Oh my God, he\u2019s lost it.",Phoebe,sadness,negative,0,0',
        "2,What?,Monica,surprise,negative,0,1",
        "1227,Oh no-no-no.,Ross,neutral,neutral,125,3",
    ],
    "dev": ["1,Why?,Phoebe,neutral,neutral,0,0"],
    "test": ["1,Y'know what?,Rachel,neutral,neutral,0,0", "99,Hey!,Joey,joy,positive,38,4"],
}
MELD_CLIPS = {
    "train/train_splits/dia0_utt0": 6,
    "train/train_splits/dia0_utt1": 2,
    "train/train_splits/dia125_utt3": 6,
    "dev/dev_splits_complete/dia0_utt0": 6,
    "test/output_repeated_splits_test/dia0_utt0": 1,
    "test/output_repeated_splits_test/dia38_utt4": 6,
}

EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral;\t()
C-E4:\tNeutral;\t()
C-F1:\tNeutral; Surprise;\t(curious)
A-E3:\tval 3; act 2; dom  2;\t()
A-F1:\tval 3; act 2; dom  1;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\txxx\t[2.5000, 2.5000, 2.5000]
C-E2:\tFrustration;\t()
C-E3:\tNeutral;\t()

[12.0000 - 13.5000]\tSes01F_impro01_M001\tneu\t[2.5000, 2.5000, 2.5000]

"""
TRANSCRIPTION = """Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
M: Hm.
Ses01F_impro01_MXX0 [009.0000-009.5000]: Yeah.
Ses01F_impro01_M000 [010.0100-011.3925]: Do you have your forms?
"""

CONSENSUS = """FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,2.6,3.2,4.6,127,Male,Train
MSP-PODCAST_0001_0019.wav,X,3.6,4.8,4.4,128,Female,Development
MSP-PODCAST_0002_0033.wav,H,3.2,5.2,3.4,Unknown,Unknown,Test1
MSP-PODCAST_0003_0001.wav,,,,,129,Female,Test3
"""
DETAILED = {
    "EmoClass_Major": """FileName,WorkerID,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom
MSP-PODCAST_0001_0008.wav,WORKER00000001,Neutral,"Neutral,Happy",3,4,4
MSP-PODCAST_0001_0008.wav,WORKER00000002,Neutral,Neutral,3,4,4
MSP-PODCAST_0001_0008.wav,WORKER00000003,Surprise,Surprise,3,4,4
MSP-PODCAST_0001_0008.wav,WORKER00000004,Other-annoyed,Other-annoyed,3,4,4
MSP-PODCAST_0002_0033.wav,WORKER00000001,Happy,Happy,3,4,4
""",
    "EmoDetail": """FileName,EmoDetail
MSP-PODCAST_0001_0008.wav,"WORKER00000001; Neutral; Neutral,Happy; A:3.0; V:4.0; D:4.0;"
MSP-PODCAST_0001_0008.wav,WORKER00000002; Neutral; Neutral; A:3.0; V:4.0; D:4.0;
MSP-PODCAST_0001_0008.wav,WORKER00000003; Surprise; Surprise; A:3.0; V:4.0; D:4.0;
MSP-PODCAST_0001_0008.wav,WORKER00000004; Other-annoyed; Other; A:3.0; V:4.0; D:4.0;
MSP-PODCAST_0002_0033.wav,WORKER00000001; Happy; Happy; A:3.0; V:4.0; D:4.0;
""",
}

NEMO_HEADER = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
NEMO_ROWS = [
    ("WR0_surprised_64", "surprised", 'Powiedział: "Ucho".', "WR0", "male", "23"),
    ("EB0_neutral_13", "neutral", "Interesuje mnie historia Polski.", "EB0", "female", "27"),
    ("KD0_happiness_79", "happiness", "Gdzie są moje okulary?", "KD0", "female", "24"),
]

QUESTIONS = [
    {
        "path": "common_voice_en_1.mp3",
        "question": "Which gender is the speaker?",
        "choice_a": "male",
        "choice_b": "female",
        "answer_gt": "female",
        "task_name": "Speaker_Gender_Recognition",
        "dataset_name": "common_voice_13_en",
        "uniq_id": 1,
    },
    {
        "path": "dia0_utt0.wav",
        "answer_gt": "male",
        "task_name": "Speaker_Gender_Recognition",
        "dataset_name": "meld",
        "uniq_id": 2,
    },
    {
        "path": "dia0_utt0.wav",
        "answer_gt": "neutral",
        "task_name": "Speaker_Emotion_Recontion",
        "dataset_name": "meld",
        "uniq_id": 3,
    },
]


def make_tables(name: str, folder: Path) -> None:
    """Write the tables of a corpus that has some, where its owners put them."""
    texts: dict[str, str] = {}
    if name == "crema-d":
        votes = [f"{row}{CREMA_TAIL}\n" for row in CREMA_VOTES]
        texts = {
            "VideoDemographics.csv": CREMA_ACTORS,
            "processedResults/tabulatedVotes.csv": "".join([f"{CREMA_HEADER}\n", *votes]),
        }
    if name == "meld":
        for split, rows in MELD_ROWS.items():
            lines = [f'{row},4,7,"00:20:57,256","00:21:00,049"\n' for row in rows]
            texts[f"{split}/{split}_sent_emo.csv"] = "".join([MELD_HEADER, *lines])
    if name == "iemocap":
        for session in ("1", "2"):
            dialogue, session = f"Ses0{session}F_impro01", f"Session{session}/dialog"
            for kind, text in (("EmoEvaluation", EVALUATION), ("transcriptions", TRANSCRIPTION)):
                texts[f"{session}/{kind}/{dialogue}.txt"] = text.replace("Ses01F_impro01", dialogue)
            texts[f"{session}/EmoEvaluation/Categorical/{dialogue}_e2_cat.txt"] = (
                f"{dialogue}_F000 :Anger; ()\n"
            )
            texts[f"{session}/EmoEvaluation/._{dialogue}.txt"] = "left by a Mac"
    if name == "msp-podcast":
        texts = {
            "Labels/labels_consensus.csv": CONSENSUS,
            "Transcripts/MSP-PODCAST_0001_0008.txt": "Well, yes.\n",
        }
    if name == "nemo":
        lines = [
            f"{clip}.wav\t{emotion}\t{text}\t{text.lower()}\t{speaker}\t{gender}\t{age}\n"
            for clip, emotion, text, speaker, gender, age in NEMO_ROWS
        ]
        texts = {"data.tsv": "".join([NEMO_HEADER, *lines])}
    if name == "air-bench-gender":
        texts = {"Foundation/Foundation_meta.json": json.dumps(QUESTIONS)}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


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


def all_of_savee() -> list[str]:
    numbers = {"a": 15, "d": 15, "f": 15, "h": 15, "n": 30, "sa": 15, "su": 15}
    return [
        f"AudioData/{speaker}/{emotion}{number:02d}"
        for speaker in ("DC", "JE", "JK", "KL")
        for emotion, most in numbers.items()
        for number in range(1, most + 1)
    ]


def all_of_emovo() -> list[str]:
    emotions = ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
    speakers = ("f1", "f2", "f3", "m1", "m2", "m3")
    kinds = {"b": 3, "d": 2, "l": 4, "n": 5}
    sentences = [f"{kind}{i + 1}" for kind, most in kinds.items() for i in range(most)]
    return [f"{s}/{e}-{s}-{text}" for e, s, text in product(emotions, speakers, sentences)]


def test_every_importer_has_a_row_or_tables_here() -> None:
    assert sorted({name for name, *_ in NAMED} | set(WITH_TABLES)) == sorted(IMPORTERS)


@pytest.mark.parametrize(("name", "path", "row"), NAMED)
def test_a_name_becomes_a_whole_row(
    tmp_path: Path, make_wav: MakeWav, name: str, path: str, row: Row
) -> None:
    make_clips(tmp_path, make_wav, [path])
    assert IMPORTERS[name].read(tmp_path).table.to_dict("records") == [
        {**row, "path": path, **HEADER}
    ]


@pytest.mark.parametrize(("name", "path", "row"), NAMED)
def test_however_a_corpus_is_kept_its_clips_are_the_same(
    tmp_path: Path, make_wav: MakeWav, name: str, path: str, row: Row
) -> None:
    stem = PurePath(path).with_suffix("")
    layouts = [f"{stem.name}.wav", f"de/ep/{stem}.WAV", f"{stem}.flac", f"{stem}.Ogg"]
    for number, layout in enumerate(layouts):
        folder = tmp_path / str(number)
        make_clips(folder, make_wav, [layout])
        (found,) = IMPORTERS[name].read(folder).table.to_dict("records")
        assert found["path"] == layout
        for column in ("utterance_id", "speaker", "emotion" if "emotion" in row else "intensity"):
            assert found[column] == row[column]


@pytest.mark.parametrize(("name", "path", "row"), NAMED)
def test_strange_recordings_and_clips_that_lack_are_told(
    tmp_path: Path, make_wav: MakeWav, name: str, path: str, row: Row
) -> None:
    strange = "none" if name != "emodb" else "17a01Wa"
    make_clips(tmp_path, make_wav, [path, f"b/{strange}.wav", "a/notes.wav"])
    touch_all(tmp_path, [f"._{PurePath(path).name}", "readme.txt"])
    importer = IMPORTERS[name]
    corpus = importer.read(tmp_path)
    assert corpus.table["utterance_id"].tolist() == [row["utterance_id"]]
    counted, passed = corpus.notes
    assert passed == (
        "2 other recordings are passed over: "
        f"{tmp_path / 'a/notes.wav'}, {tmp_path / f'b/{strange}.wav'}"
    )
    if importer.expected is None:
        assert counted == f"1 clips found, {importer.title} has {importer.num_clips}"
    else:
        lacking = sorted(set(importer.expected()) - {row["utterance_id"]})
        assert counted == (
            f"{len(lacking)} of {importer.num_clips} clips missing: {', '.join(lacking[:3])}, ..."
        )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ravdess", "03-02-02-01-01-01-01.wav"),  # a song
        ("ravdess", "01-01-02-01-01-01-01.wav"),  # sound of a video
        ("ravdess", "03-01-09-01-01-01-01.wav"),
        ("ravdess", "03-01-02-01-01-01-25.wav"),
        ("ravdess-song", "03-01-02-01-01-01-01.wav"),
        ("emodb", "01a01Wa.wav"),
        ("emodb", "03a03Wa.wav"),
        ("emodb", "03a01wa.wav"),
        ("tess", "OAF_back_surprise.wav"),
        ("savee", "DC/b01.wav"),
        ("savee", "XX/a01.wav"),
        ("savee", "a01.wav"),
        ("emovo", "gio-f4-b2.wav"),
        ("emovo", "gio-f2-n6.wav"),
        ("urdu", "SM1_F10_X010.wav"),
        ("turev-db", "Sound Source/Angry/1157_xx_acik.wav"),
        ("baved", "0-M-21-7-1-93.wav"),
        ("baved", "0-M-21-0-3-93.wav"),
        ("jl-corpus", "female3_angry_10a_1.wav"),
        ("jl-corpus", "female1_bored_10a_1.wav"),
        ("shemo", "M02X01.wav"),
        ("subesco", "F_02_MONIKA_S_1_BORED_5.wav"),
        ("mesd", "Anger_X_A_abajo.wav"),
        ("aesdd", "b03 (3).wav"),
        ("esd", "0021_000351.wav"),
        ("esd", "0011_000000.wav"),
        ("esd", "0011_001751.wav"),
        ("crema-d", "1001_IEO_CAL_XX.wav"),
        ("crema-d", "1001_XYZ_ANG_XX.wav"),
        ("meld", "train_splits/dia0.wav"),
        ("meld", "somewhere/dia0_utt0.wav"),
        ("iemocap", "Session1/dialog/wav/Ses01F_impro01.wav"),
        ("iemocap", "Ses06F_impro01_F000.wav"),
        ("air-bench-gender", "Speaker_Age_Prediction_common_voice_13.0_en/1.mp3"),
    ],
)
def test_what_is_named_otherwise_is_none_of_the_corpus(name: str, path: str) -> None:
    describe = {"meld": meld.describe, "air-bench-gender": air_bench.describe}.get(name)
    assert (describe or IMPORTERS[name].describe)(PurePath(path)) is None


@pytest.mark.parametrize("name", sorted(set(IMPORTERS) - {"air-bench-gender"}))
def test_every_class_is_known_to_a_label_map(name: str) -> None:
    folder = Path(__file__).parents[1] / "data_manifests" / "label_maps"
    maps = {"baved": "intensity", "meld": "meld"}
    known = read_label_map(folder / f"{maps.get(name, 'emotion')}.yaml")
    assert known is not None
    assert set(IMPORTERS[name].classes) <= {*known.classes, *known.mapping, *known.drop}


@pytest.mark.parametrize(
    ("name", "names", "size"),
    [
        ("ravdess", all_of_ravdess("01"), 1440),
        ("ravdess-song", all_of_ravdess("02"), 1012),
        ("savee", all_of_savee(), 480),
        ("emovo", all_of_emovo(), 588),
    ],
)
def test_a_whole_corpus_needs_no_note(
    tmp_path: Path, name: str, names: list[str], size: int
) -> None:
    touch_all(tmp_path, [f"{path}.wav" for path in names])
    corpus = IMPORTERS[name].read(tmp_path)
    assert len(corpus.table) == size == IMPORTERS[name].num_clips
    assert corpus.table["speaker"].nunique() == IMPORTERS[name].num_speakers
    assert set(corpus.table["emotion"]) == set(IMPORTERS[name].classes)
    assert corpus.notes == []


def test_all_names_of_subesco_and_esd_are_known() -> None:
    emotions = ("ANGRY", "DISGUST", "FEAR", "HAPPY", "NEUTRAL", "SAD", "SURPRISE")
    found = [
        IMPORTERS["subesco"].describe(PurePath(f"{sex}_{speaker:02d}_OISHI_S_{s}_{e}_{take}.wav"))
        for sex, speaker in product("FM", range(1, 11))
        for s, e, take in product(range(1, 11), emotions, range(1, 6))
    ]
    assert Counter(row["emotion"] for row in found if row) == dict.fromkeys(
        IMPORTERS["subesco"].classes, 1000
    )
    assert len({row["speaker"] for row in found if row}) == 20
    found = [
        IMPORTERS["esd"].describe(PurePath(f"{speaker:04d}_{number:06d}.wav"))
        for speaker, number in product(range(1, 21), range(1, 1751))
    ]
    assert Counter(row["emotion"] for row in found if row) == dict.fromkeys(
        IMPORTERS["esd"].classes, 7000
    )
    assert Counter(row["language"] for row in found if row) == {"zh": 17500, "en": 17500}


def test_missing_and_extra_clips_of_a_known_list_are_told(tmp_path: Path) -> None:
    names = all_of_ravdess("01")
    touch_all(tmp_path, [f"{name}.wav" for name in [*names[5:], "03-01-01-02-01-01-01"]])
    missing, extra = IMPORTERS["ravdess"].read(tmp_path).notes
    assert missing == f"5 of 1440 clips missing: {', '.join(names[:3])}, ..."
    assert extra == "1 of 1440 clips extra: 03-01-01-02-01-01-01"


def test_a_corpus_that_was_unpacked_twice_counts_once(tmp_path: Path) -> None:
    name = "03-01-02-01-01-01-01.wav"
    touch_all(tmp_path, [f"Actor_01/{name}", f"audio/Actor_01/{name}"])
    corpus = IMPORTERS["ravdess"].read(tmp_path)
    assert corpus.table["path"].tolist() == [f"Actor_01/{name}"]
    assert corpus.notes[-1] == (
        f"1 recordings are there again and passed over: {tmp_path / 'audio/Actor_01' / name} "
        f"repeats {tmp_path / 'Actor_01' / name}"
    )


def test_of_a_wav_and_its_mp3_the_wav_is_taken(tmp_path: Path) -> None:
    touch_all(tmp_path, ["AudioMP3/03a01Wa.mp3", "AudioWAV/03a01Wa.wav", "A/03a01Wa.flac"])
    corpus = IMPORTERS["emodb"].read(tmp_path)
    assert corpus.table["path"].tolist() == ["AudioWAV/03a01Wa.wav"]
    assert corpus.notes[-1] == (
        f"2 recordings are there again and passed over: {tmp_path / 'A/03a01Wa.flac'} repeats "
        f"{tmp_path / 'AudioWAV/03a01Wa.wav'}, ..."
    )


def test_a_clip_of_savee_has_its_speaker_in_the_name_or_in_the_folder(tmp_path: Path) -> None:
    touch_all(tmp_path, ["AudioData/DC/a01.wav", "AudioData/JE/a01.wav", "ALL/KL_sa02.wav"])
    table = IMPORTERS["savee"].read(tmp_path).table
    assert table["utterance_id"].tolist() == ["DC_a01", "JE_a01", "KL_sa02"]
    assert table["speaker"].tolist() == ["DC", "JE", "KL"]


def test_odd_names_as_published_are_known(tmp_path: Path) -> None:
    touch_all(tmp_path / "tess", ["OAF_neutral/OA_bite_neutral.wav"])
    assert IMPORTERS["tess"].read(tmp_path / "tess").table["speaker"].tolist() == ["OAF"]
    touch_all(tmp_path / "aesdd", ["fear/f10 (01).wav", "fear/f11 (1).wav"])
    assert IMPORTERS["aesdd"].read(tmp_path / "aesdd").table["speaker"].tolist() == ["1", "1"]
    touch_all(tmp_path / "baved", ["0/0-m-21-0-1-105.wav", "remake/0/0-M-21-0-1-105.wav"])
    assert len(IMPORTERS["baved"].read(tmp_path / "baved").table) == 1


def test_speech_and_song_of_ravdess_have_the_same_speakers(tmp_path: Path) -> None:
    touch_all(tmp_path, ["03-01-03-02-01-02-01.wav", "03-02-03-02-01-02-01.wav"])
    speech, song = (IMPORTERS[name].read(tmp_path).table for name in ("ravdess", "ravdess-song"))
    columns = ["corpus", "speaker", "emotion"]
    assert speech[columns].equals(song[columns])
    assert speech["utterance_id"].tolist() != song["utterance_id"].tolist()


def test_texts_of_esd_are_read_in_the_encodings_that_it_has(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    texts = {
        "0011": ("utf-8-sig", "0011_000351\tThe nine the eggs, I keep.\tAngry\n"),
        "0001": ("gb18030", "0001_000001\t打远一看它们的确很是美丽。\t中立\n"),
        "0002": ("utf-16", "0002_001750\t打远一看。\t惊喜\r\n\r\n"),
        "0003": ("utf-8", "no tab here\n"),
    }
    for speaker, (encoding, text) in texts.items():
        (tmp_path / speaker).mkdir()
        (tmp_path / speaker / f"{speaker}.txt").write_bytes(text.encode(encoding))
    names = ["0011/Angry/evaluation/0011_000351", "0001/Neutral/train/0001_000001"]
    names += ["0002/Surprise/test/0002_001750", "0003/Sad/0003_001051"]
    make_clips(tmp_path, make_wav, [f"{name}.wav" for name in names])
    corpus = IMPORTERS["esd"].read(tmp_path)
    rows = rows_of(corpus)
    assert rows["0011_000351"] == {
        "utterance_id": "0011_000351",
        "path": "0011/Angry/evaluation/0011_000351.wav",
        "corpus": "esd",
        "speaker": "0011",
        "emotion": "angry",
        "language": "en",
        "official": "dev",
        "text": "The nine the eggs, I keep.",
        **HEADER,
    }
    found = [(row["text"], row["official"], row["language"]) for row in rows.values()]
    assert found[:3] == [
        ("打远一看它们的确很是美丽。", "train", "zh"),
        ("打远一看。", "test", "zh"),
        ("", "", "zh"),
    ]
    assert corpus.notes == ["4 clips found, ESD has 35000"]


def test_crema_d_has_genders_and_the_votes_of_those_who_heard(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    make_tables("crema-d", tmp_path)
    names = ["1001_IEO_NEU_XX", "1040_ITH_SAD_X", "1001_IEO_HAP_LO"]
    make_clips(tmp_path, make_wav, [f"AudioWAV/{name}.wav" for name in names])
    corpus = IMPORTERS["crema-d"].read(tmp_path)
    rows = rows_of(corpus)
    assert rows["1001_IEO_NEU_XX"] == {
        "utterance_id": "1001_IEO_NEU_XX",
        "path": "AudioWAV/1001_IEO_NEU_XX.wav",
        "corpus": "crema-d",
        "speaker": "1001",
        "emotion": "neutral",
        "intensity": "",
        "gender": "male",
        "language": "en",
        "text": "It's eleven o'clock",
        "votes.angry": "0",
        "votes.disgust": "0",
        "votes.fearful": "0",
        "votes.happy": "1",
        "votes.neutral": "10",
        "votes.sad": "0",
        **HEADER,
    }
    short = rows["1040_ITH_SAD_XX"]
    assert (short["path"], short["gender"]) == ("AudioWAV/1040_ITH_SAD_X.wav", "female")
    assert (short["votes.sad"], short["votes.neutral"]) == ("5", "4")
    unrated = rows["1001_IEO_HAP_LO"]
    assert (unrated["intensity"], unrated["votes.happy"]) == ("low", "")
    assert corpus.notes == [
        "3 clips found, CREMA-D has 7442",
        "1 clips have no votes: 1001_IEO_HAP_LO",
    ]


def test_meld_is_read_by_split_with_the_channel_of_the_voices(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    make_tables("meld", tmp_path)
    for name, channels in MELD_CLIPS.items():
        make_wav(tmp_path / f"{name}.flac", SECONDS, channels=channels)
    strange = "test/output_repeated_splits_test/final_videos_testdia0_utt0.wav"
    touch_all(tmp_path, [strange, "train/train_splits/dia9_utt9.wav"])
    corpus = IMPORTERS["meld"].read(tmp_path)
    rows = rows_of(corpus)
    assert rows["train_dia0_utt0"] == {
        "utterance_id": "train_dia0_utt0",
        "path": "train/train_splits/dia0_utt0.flac",
        "corpus": "meld",
        "speaker": "Phoebe",
        "emotion": "sadness",
        "sentiment": "negative",
        "language": "en",
        "text": "Oh my God, he\u2019s lost it.",
        "dialogue": "train_0",
        "official": "train",
        "overlap": "official",
        "channel": 3,
        **HEADER,
    }
    assert {name: (row["official"], row["channel"]) for name, row in rows.items()} == {
        "train_dia0_utt0": ("train", 3),
        "train_dia0_utt1": ("train", 1),
        "dev_dia0_utt0": ("dev", 3),
        "test_dia0_utt0": ("test", 1),
        "test_dia38_utt4": ("test", 3),
    }
    assert corpus.notes == [
        "5 clips found, MELD has 13706",
        "1 of 6 labelled clips extra: train_dia9_utt9",
        f"1 other recordings are passed over: {tmp_path / strange}",
        "1 clips are left out, unreadable as published: train_dia125_utt3",
        "1 clips are cut wrongly as published and are kept: test_dia38_utt4 (305 s)",
    ]


def test_meld_as_video_is_refused_without_what_tells_its_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tables("meld", tmp_path)
    touch_all(tmp_path, [f"{name}.MP4" for name in MELD_CLIPS])
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    with pytest.raises(ManifestError) as error:
        IMPORTERS["meld"].read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: MP4 needs torchcodec and FFmpeg (")


def test_meld_keeps_its_owners_split_and_declares_its_shared_speakers(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    make_tables("meld", tmp_path)
    make_clips(tmp_path, make_wav, [f"{name}.wav" for name in MELD_CLIPS])
    corpus = prepare_corpus(Source(name="meld", path=tmp_path), PrepareConfig())
    assert corpus.table["split"].equals(corpus.table["official"].rename("split"))
    leaks = find_leaks(of_manifest(tmp_path / "manifest.csv", corpus.table))
    assert leaks.speakers == leaks.declared == ("meld/Phoebe",)
    assert not leaks


def test_iemocap_has_labels_texts_sessions_and_a_fold_for_each_session(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    make_tables("iemocap", tmp_path)
    names = [
        f"Session{s}/sentences/wav/Ses0{s}F_impro01/Ses0{s}F_impro01_{turn}.wav"
        for s, turn in product("12", ("F000", "M000", "M001"))
    ]
    strange = "Session1/dialog/wav/Ses01F_impro01.wav"
    make_clips(tmp_path, make_wav, [*names[:5], strange])
    corpus = IMPORTERS["iemocap"].read(tmp_path)
    rows = rows_of(corpus)
    assert rows["Ses01F_impro01_F000"] == {
        "utterance_id": "Ses01F_impro01_F000",
        "path": names[0],
        "corpus": "iemocap",
        "speaker": "Ses01F",
        "emotion": "neutral",
        "gender": "female",
        "session": "Session1",
        "dialogue": "Ses01F_impro01",
        "language": "en",
        "text": "Excuse me.",
        **HEADER,
    }
    man = rows["Ses01F_impro01_M000"]
    assert [man[c] for c in ("speaker", "gender", "emotion", "text")] == [
        "Ses01M",
        "male",
        "no agreement",
        "Do you have your forms?",
    ]
    assert corpus.notes == [
        "5 clips found, IEMOCAP has 10039",
        "1 of 6 labelled utterances missing: Ses02F_impro01_M001",
        f"1 other recordings are passed over: {tmp_path / strange}",
    ]
    make_clips(tmp_path, make_wav, names)
    folded = prepare_corpus(Source(name="iemocap", path=tmp_path), PrepareConfig()).table
    assert folded.loc[folded["split.1"] == "test", "session"].unique().tolist() == ["Session1"]
    assert folded.loc[folded["split.2"] == "test", "session"].unique().tolist() == ["Session2"]
    assert set(folded["split.1"]) == set(folded["split.2"]) == {"train", "dev", "test"}


@pytest.mark.parametrize(
    ("stem", "speaker", "dialogue"),
    [
        ("Ses05M_script01_1b_M007", "Ses05M", "Ses05M_script01_1b"),
        ("Ses03F_impro05a_M000", "Ses03M", "Ses03F_impro05a"),
        ("Ses02F_script03_2_FXX0", "Ses02F", "Ses02F_script03_2"),
    ],
)
def test_dialogues_of_iemocap_have_names_of_several_forms(
    stem: str, speaker: str, dialogue: str
) -> None:
    row = IMPORTERS["iemocap"].describe(PurePath(f"{stem}.wav"))
    assert row is not None
    assert (row["speaker"], row["dialogue"]) == (speaker, dialogue)


@pytest.mark.parametrize("column", DETAILED)
def test_msp_podcast_has_the_official_split_and_votes_where_they_are_told(
    tmp_path: Path, make_wav: MakeWav, column: str
) -> None:
    make_tables("msp-podcast", tmp_path)
    clips = ["0001_0008", "0001_0019", "0002_0033", "0003_0001"]
    make_clips(tmp_path, make_wav, [f"Audios/MSP-PODCAST_{clip}.wav" for clip in clips])
    (tmp_path / "Labels" / "labels_detailed.csv").write_text(DETAILED[column])
    corpus = prepare_corpus(Source(name="msp-podcast", path=tmp_path), PrepareConfig())
    rows = rows_of(corpus)
    assert rows["MSP-PODCAST_0001_0008"] == {
        "utterance_id": "MSP-PODCAST_0001_0008",
        "path": "Audios/MSP-PODCAST_0001_0008.wav",
        "corpus": "msp-podcast",
        "speaker": "127",
        "emotion": "neutral",
        "gender": "male",
        "language": "en",
        "text": "Well, yes.",
        "official": "train",
        "part": "Train",
        "split": "train",
        "votes.happy": "0",
        "votes.neutral": "2",
        "votes.other": "1",
        "votes.surprised": "1",
        **HEADER,
    }
    columns = ("speaker", "gender", "emotion", "official", "part", "votes.happy")
    assert [tuple(row[c] for c in columns) for row in rows.values()][1:] == [
        ("128", "female", "no agreement", "dev", "Development", ""),
        ("", "", "happy", "test", "Test1", "1"),
        ("129", "female", "", "test", "Test3", ""),
    ]
    assert corpus.notes == ["4 clips found, MSP-Podcast 1.11 has 151654"]
    (tmp_path / "Labels" / "labels_detailed.csv").unlink()
    plain = IMPORTERS["msp-podcast"].read(tmp_path).table
    assert [c for c in plain.columns if c.startswith("votes.")] == []
    assert plain["speaker"].tolist() == ["127", "128", "", "129"]


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_nemo_is_read_whichever_suffix_the_table_says(
    tmp_path: Path, make_wav: MakeWav, suffix: str
) -> None:
    make_tables("nemo", tmp_path)
    make_clips(tmp_path, make_wav, [f"samples/{name}{suffix}" for name, *_ in NEMO_ROWS])
    corpus = IMPORTERS["nemo"].read(tmp_path)
    rows = rows_of(corpus)
    assert rows["WR0_surprised_64"] == {
        "utterance_id": "WR0_surprised_64",
        "path": f"samples/WR0_surprised_64{suffix}",
        "corpus": "nemo",
        "speaker": "WR0",
        "emotion": "surprised",
        "gender": "male",
        "age": "23",
        "language": "pl",
        "text": 'Powiedział: "Ucho".',
        **HEADER,
    }
    assert list(rows) == sorted(name for name, *_ in NEMO_ROWS)
    assert corpus.notes == ["3 clips found, nEMO has 4481"]


def test_missing_and_extra_clips_of_a_table_are_told(tmp_path: Path, make_wav: MakeWav) -> None:
    make_tables("nemo", tmp_path)
    names = ["WR0_surprised_64", "EB0_neutral_13", "XX0_sad_1"]
    make_clips(tmp_path, make_wav, [f"samples/{name}.flac" for name in names])
    corpus = IMPORTERS["nemo"].read(tmp_path)
    assert len(corpus.table) == 2
    assert corpus.notes == [
        "2 clips found, nEMO has 4481",
        "1 of 3 clips in data.tsv missing: KD0_happiness_79",
        "1 of 3 clips in data.tsv extra: XX0_sad_1",
    ]


@pytest.mark.parametrize("suffix", [".mp3", ".FLAC"])
def test_air_bench_has_the_answers_on_gender(tmp_path: Path, suffix: str) -> None:
    make_tables("air-bench-gender", tmp_path)
    folder = "Foundation/Speaker_Gender_Recognition"
    names = [
        f"{folder}_common_voice_13_en/common_voice_en_1{suffix}",
        f"{folder}_meld/dia0_utt0.wav",
        "Foundation/Speaker_Emotion_Recontion_meld/dia0_utt0.wav",
    ]
    touch_all(tmp_path, names)
    corpus = prepare_corpus(Source(name="air-bench-gender", path=tmp_path), PrepareConfig())
    assert corpus.table.to_dict("records") == [
        {
            "utterance_id": name,
            "path": path,
            "corpus": "air-bench-gender",
            "speaker": "",
            "gender": gender,
            "language": "und",
            "official": "test",
            "split": "test",
            "num_samples": -1,
            "sample_rate": -1,
        }
        for name, path, gender in (
            ("common_voice_13_en/common_voice_en_1", names[0], "female"),
            ("meld/dia0_utt0", names[1], "male"),
        )
    ]
    assert corpus.notes == [f"1 other recordings are passed over: {tmp_path / names[2]}"]


def test_a_damaged_list_of_questions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Foundation_meta.json"
    path.write_text('[{"task": 1}]')
    with pytest.raises(ManifestError) as error:
        IMPORTERS["air-bench-gender"].read(tmp_path)
    assert str(error.value) == (
        f"{path}: is no list of questions (KeyError('task_name')); fetch AIR-Bench again."
    )


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (None, "{folder}: holds no data.tsv, which tells emotions and speakers; put it there."),
        (
            b"file_id\temotion\n",
            "{folder}/data.tsv: has no column 'raw_text', only ['file_id', 'emotion']; fetch the "
            "corpus again.",
        ),
        (
            b"",
            "{folder}/data.tsv: not readable (No columns to parse from file); fetch the corpus "
            "again.",
        ),
        (
            "file_id\nł\n".encode("latin2"),
            "{folder}/data.tsv: not readable ('utf-8' codec can't decode byte 0xb3 in position 0: "
            "invalid start byte); fetch the corpus again.",
        ),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, contents: bytes | None, message: str) -> None:
    if contents is not None:
        (tmp_path / "data.tsv").write_bytes(contents)
    with pytest.raises(ManifestError) as error:
        IMPORTERS["nemo"].read(tmp_path)
    assert str(error.value) == message.format(folder=tmp_path)


@pytest.mark.parametrize("name", IMPORTERS)
def test_recordings_of_another_corpus_are_refused(
    tmp_path: Path, make_wav: MakeWav, name: str
) -> None:
    make_tables(name, tmp_path)
    make_clips(tmp_path, make_wav, ["of another corpus.wav"])
    with pytest.raises(ManifestError) as error:
        prepare_corpus(Source(name=name, path=tmp_path), PrepareConfig())
    assert str(error.value) == (
        f"{tmp_path}: none of its recordings is named as {name} names them."
    )


@pytest.mark.parametrize("name", WITH_TABLES)
def test_recordings_without_their_table_are_refused(
    tmp_path: Path, make_wav: MakeWav, name: str
) -> None:
    make_clips(tmp_path, make_wav, ["a.wav"])
    with pytest.raises(ManifestError, match=r": (holds no \S+, .*; put it there|found no labels)"):
        IMPORTERS[name].read(tmp_path)


@pytest.mark.parametrize(("name", "path", "row"), NAMED)
def test_what_is_prepared_can_be_written_and_read(
    tmp_path: Path, make_wav: MakeWav, name: str, path: str, row: Row
) -> None:
    make_clips(tmp_path / "corpus", make_wav, [path])
    corpus = prepare_corpus(Source(name=name, path=tmp_path / "corpus"), PrepareConfig())
    assert corpus.notes[-1] == (
        "1 speakers are known, too few for train, dev and test without a shared one; the split is "
        "left empty: merge corpora, or use 'genser split'"
    )
    write_manifest(tmp_path / "manifest.csv", corpus.table)
    read = read_manifest(tmp_path / "manifest.csv")
    assert read.table.loc[0, ["utterance_id", "speaker"]].tolist() == [
        row["utterance_id"],
        row["speaker"],
    ]
    assert set(read.tasks) == {"emotion", "gender", "intensity", "age"} & set(row)


@pytest.mark.skipif(not (SHARED / "meld").is_dir(), reason="has no tables of MELD")
def test_the_real_tables_of_meld(tmp_path: Path) -> None:
    names = []
    for folder, split in meld.FOLDERS.items():
        if folder in ("train", "dev", "test"):
            table = f"{split}_sent_emo.csv"
            copyfile(SHARED / "meld" / table, tmp_path / table)
            rows = pd.read_csv(tmp_path / table)
            ids = zip(rows["Dialogue_ID"], rows["Utterance_ID"], strict=True)
            names += [f"{folder}/dia{d}_utt{u}.flac" for d, u in ids]
    touch_all(tmp_path, names)
    corpus = prepare_corpus(Source(name="meld", path=tmp_path), PrepareConfig())
    table = of_manifest(tmp_path / "manifest.csv", corpus.table)
    assert Counter(table["split"]) == {"train": 9988, "dev": 1108, "test": 2610}
    assert Counter(table.loc[table["split"] == "test", "emotion"]) == {
        "neutral": 1256,
        "joy": 402,
        "anger": 345,
        "surprise": 281,
        "sadness": 208,
        "disgust": 68,
        "fear": 50,
    }
    assert table["dialogue"].nunique() == 1432
    assert table["speaker"].nunique() == IMPORTERS["meld"].num_speakers == 304
    leaks = find_leaks(table)
    assert not leaks
    assert len(leaks.speakers) == len(leaks.declared) == 82
    assert len(find_leaks(table[table["split"] != "dev"]).speakers) == 69
    assert corpus.notes == [
        "2 clips are left out, unreadable as published: dev_dia110_utt7, train_dia125_utt3",
        "2 clips are cut wrongly as published and are kept: test_dia38_utt4 (305 s), "
        "test_dia220_utt0 (235 s)",
    ]


@pytest.mark.skipif(not (SHARED / "crema-d").is_dir(), reason="has no tables of CREMA-D")
def test_the_real_tables_of_crema_d(tmp_path: Path) -> None:
    for name in ("VideoDemographics.csv", "tabulatedVotes.csv"):
        copyfile(SHARED / "crema-d" / name, tmp_path / name)
    clips = pd.read_csv(SHARED / "crema-d" / "SentenceFilenames.csv")["Filename"]
    touch_all(tmp_path, [f"AudioWAV/{clip}.wav" for clip in clips])
    corpus = IMPORTERS["crema-d"].read(tmp_path)
    table = corpus.table
    assert (len(table), corpus.notes) == (7442, [])
    speakers = table.drop_duplicates("speaker")["gender"]
    assert Counter(speakers) == {"male": 48, "female": 43}
    assert set(table["emotion"]) == set(IMPORTERS["crema-d"].classes)
    told = pd.read_csv(tmp_path / "tabulatedVotes.csv").set_index("fileName")
    heard = told[told.iloc[:, 0] < 200000]["numResponses"]
    votes = table.filter(like="votes.").astype(int).sum(axis=1)
    assert votes.tolist() == heard[table["utterance_id"]].tolist()


@pytest.mark.skipif(not (SHARED / "corpora/nemo").is_dir(), reason="has no nEMO")
def test_the_quarter_of_nemo_that_is_there() -> None:
    corpus = IMPORTERS["nemo"].read(SHARED / "corpora" / "nemo")
    assert set(corpus.table["emotion"]) == set(IMPORTERS["nemo"].classes)
    assert corpus.table["speaker"].nunique() == 9
    assert (corpus.table["sample_rate"] == 16000).all()
    assert corpus.notes == [f"{len(corpus.table)} clips found, nEMO has 4481"]


@pytest.mark.skipif(not (SHARED / "corpora/ravdess").is_dir(), reason="has no RAVDESS")
def test_the_whole_speech_of_ravdess(tmp_path: Path) -> None:
    corpus = prepare_corpus(
        Source(name="ravdess", path=SHARED / "corpora" / "ravdess"), PrepareConfig()
    )
    assert (len(corpus.table), corpus.notes) == (1440, [])
    assert corpus.table["num_samples"].sum() / 16000 / 3600 == pytest.approx(1.48, abs=0.005)
    assert not find_leaks(of_manifest(tmp_path / "manifest.csv", corpus.table))
