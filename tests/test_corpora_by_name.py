from collections import Counter
from itertools import product
from pathlib import Path, PurePath

import pytest

from helpers.named_corpora import (
    HEADER,
    MakeWav,
    all_of_ravdess,
    make_clips,
    of_manifest,
    rows_of,
    touch_all,
)
from pipeline.corpora.catalogue import IMPORTERS
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.manifests.leaks import find_leaks

SHARED = Path(__file__).parents[2] / "shared"


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
    assert corpus.notes == ["4 clips found, ESD has 35000", "4 speakers found, ESD has 20"]


@pytest.mark.skipif(not (SHARED / "corpora/ravdess").is_dir(), reason="has no RAVDESS")
def test_the_whole_speech_of_ravdess(tmp_path: Path) -> None:
    corpus = prepare_corpus(
        Source(name="ravdess", path=SHARED / "corpora" / "ravdess"), PrepareConfig()
    )
    assert (len(corpus.table), corpus.notes) == (1440, [])
    assert corpus.table["num_samples"].sum() / 16000 / 3600 == pytest.approx(1.48, abs=0.005)
    assert not find_leaks(of_manifest(tmp_path / "manifest.csv", corpus.table))
