from collections import Counter
from pathlib import Path
from shutil import copyfile

import pandas as pd
import pytest

from helpers.corpora_with_tables import make_tables
from helpers.named_corpora import HEADER, MakeWav, make_clips, rows_of, touch_all
from pipeline.corpora.catalogue import IMPORTERS

SHARED = Path(__file__).parents[2] / "shared"


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
        "2 speakers found, CREMA-D has 91",
        "1 clips have no votes: 1001_IEO_HAP_LO",
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
