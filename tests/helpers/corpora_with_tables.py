"""Corpora with tables: what their owners ship beside the recordings, in small."""

import json
from pathlib import Path

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

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 3.5000]
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
    ("KD0_happiness_79", "happiness", "Gdzie są moje okulary?", "KD0        ", "female", "24"),
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
