from pathlib import Path

import pytest

from helpers.corpora_with_tables import make_tables
from helpers.named_corpora import touch_all
from pipeline.corpora.catalogue import IMPORTERS
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ManifestError


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
        f"{path}: [0]: found no 'task_name', wanted one; fetch AIR-Bench again."
    )
