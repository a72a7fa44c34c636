from itertools import product
from pathlib import Path, PurePath

import pytest

from helpers.corpora_with_tables import make_tables
from helpers.named_corpora import HEADER, MakeWav, make_clips, rows_of
from pipeline.corpora.catalogue import IMPORTERS
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus


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
        "valence": "2.5000",
        "arousal": "2.0000",
        "dominance": "3.5000",
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
        "4 speakers found, IEMOCAP has 10",
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
