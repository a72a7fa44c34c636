from pathlib import Path

import pytest

from helpers.corpora_with_tables import NEMO_ROWS, make_tables
from helpers.named_corpora import HEADER, MakeWav, make_clips, rows_of
from pipeline.corpora.catalogue import IMPORTERS

SHARED = Path(__file__).parents[2] / "shared"


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
    # Some are followed by eight spaces there.
    assert [row["speaker"] for row in rows.values()] == ["EB0", "KD0", "WR0"]
    assert corpus.notes == ["3 clips found, nEMO has 4481", "3 speakers found, nEMO has 9"]


def test_missing_and_extra_clips_of_a_table_are_told(tmp_path: Path, make_wav: MakeWav) -> None:
    make_tables("nemo", tmp_path)
    names = ["WR0_surprised_64", "EB0_neutral_13", "XX0_sad_1"]
    make_clips(tmp_path, make_wav, [f"samples/{name}.flac" for name in names])
    corpus = IMPORTERS["nemo"].read(tmp_path)
    assert len(corpus.table) == 2
    assert corpus.notes == [
        "2 clips found, nEMO has 4481",
        "2 speakers found, nEMO has 9",
        "1 of 3 clips in data.tsv missing: KD0_happiness_79",
        "1 of 3 clips in data.tsv extra: XX0_sad_1",
    ]


@pytest.mark.skipif(not (SHARED / "corpora/nemo").is_dir(), reason="has no nEMO")
def test_the_quarter_of_nemo_that_is_there() -> None:
    corpus = IMPORTERS["nemo"].read(SHARED / "corpora" / "nemo")
    assert set(corpus.table["emotion"]) == set(IMPORTERS["nemo"].classes)
    assert corpus.table["speaker"].nunique() == 9
    assert (corpus.table["sample_rate"] == 16000).all()
    assert corpus.notes == [f"{len(corpus.table)} clips found, nEMO has 4481"]
