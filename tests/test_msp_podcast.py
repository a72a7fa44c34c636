from pathlib import Path

import pytest

from helpers.corpora_with_tables import DETAILED, make_tables
from helpers.named_corpora import HEADER, MakeWav, make_clips, rows_of
from pipeline.corpora.catalogue import IMPORTERS
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus


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
        "arousal": "2.6",
        "valence": "3.2",
        "dominance": "4.6",
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
