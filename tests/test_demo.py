"""The demo corpus and its synthesiser."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.sound import autocorrelation_f0, high_share
from pipeline.corpora.demo import EMOTIONS, DemoConfig, synthesise_clip, synthesise_corpus
from pipeline.corpora.demo_texts import OF_ANY, OF_EMOTION, TOLD, emotions_of, sentence_of
from pipeline.corpora.source_filter import SAMPLE_RATE
from pipeline.errors import ParamsError


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, synthesise_corpus(folder, DemoConfig(num_speakers=6, clips_per_emotion=1))


def test_every_row_names_a_readable_clip(small: tuple[Path, list[dict[str, object]]]) -> None:
    folder, rows = small
    assert len(rows) == 6 * 5
    for row in rows:
        samples, rate = soundfile.read(folder / "audio" / str(row["path"]))
        info = soundfile.info(folder / "audio" / str(row["path"]))
        assert (info.format, info.subtype, info.channels) == ("WAV", "PCM_16", 1)
        assert (row["sample_rate"], row["num_samples"]) == (rate, len(samples))
        assert rate == 16_000
        assert len(samples) >= rate / 2
        assert np.isfinite(samples).all()
        assert 0.001 < np.max(np.abs(samples)) < 1


def test_rows_are_sorted_and_say_who_what_and_how(
    small: tuple[Path, list[dict[str, object]]],
) -> None:
    folder, rows = small
    ids = [row["utterance_id"] for row in rows]
    assert ids == sorted(set(map(str, ids)))
    assert {row["emotion"] for row in rows} == {"neutral", "happy", "sad", "angry", "fearful"}
    speakers = {row["speaker"]: row["gender"] for row in rows}
    assert speakers == {
        **{f"f0{n}": "female" for n in (1, 2, 3)},
        **{f"m0{n}": "male" for n in (1, 2, 3)},
    }
    row = rows[0]
    assert row["utterance_id"] == "f01_angry_01"
    assert row["path"] == "f01/f01_angry_01.wav"
    assert (row["corpus"], row["language"]) == ("demo", "und")
    assert row["text"] in OF_EMOTION["angry"] + OF_ANY
    assert "split" not in row
    assert len(all_bytes(folder)) == len(rows)  # no unfinished file is left


def test_the_same_seed_gives_the_same_bytes_whatever_else_is_made(
    small: tuple[Path, list[dict[str, object]]], tmp_path: Path
) -> None:
    folder, rows = small
    more = synthesise_corpus(tmp_path, DemoConfig(num_speakers=8, clips_per_emotion=2))
    kept = all_bytes(tmp_path)
    assert all(kept[name] == content for name, content in all_bytes(folder).items())
    assert all(row in more for row in rows)
    assert len(set(kept.values())) == len(kept) == 8 * 5 * 2  # no two clips are alike


def test_another_seed_gives_other_speakers_and_sentences() -> None:
    def clip(seed: int) -> tuple[bytes, str]:
        samples, plan = synthesise_clip(seed=seed, speaker=0, emotion="sad", clip=0)
        return samples.tobytes(), str(plan)

    sounds, texts = zip(*[clip(seed) for seed in range(4)], strict=True)
    assert len(set(sounds)) == len(set(texts)) == 4
    assert clip(0) == clip(0)


def test_everybody_says_the_same_few_sentences() -> None:
    plans = {
        str([(s.onset, s.vowel) for s in synthesise_clip(seed=0, speaker=i, emotion=e, clip=0)[1]])
        for i in range(3)
        for e in EMOTIONS
    }
    assert 2 <= len(plans) <= 4


def test_texts_tell_a_part_of_the_emotions() -> None:
    assert list(OF_EMOTION) == list(EMOTIONS)
    told = []
    for emotion, speaker, clip in itertools.product(EMOTIONS, range(20), range(10)):
        text = sentence_of(seed=0, speaker=speaker, emotion=emotion, clip=clip)
        assert emotion in emotions_of()[text]
        told.append(len(emotions_of()[text]) == 1)
    assert np.mean(told) == pytest.approx(TOLD, abs=4 * np.sqrt(TOLD * (1 - TOLD) / len(told)))


def test_a_failed_write_leaves_the_old_clip_and_nothing_else(
    small: tuple[Path, list[dict[str, object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = small
    before = all_bytes(folder)

    def full_disk(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(soundfile, "write", full_disk)
    with pytest.raises(OSError, match="no space left"):
        synthesise_corpus(folder, DemoConfig(seed=1, num_speakers=6, clips_per_emotion=1))
    assert all_bytes(folder) == before


def cues(emotion: str) -> np.ndarray:
    """Level in dB, brightness, pitch (men's raised to women's) and rate of 18 clips."""
    rows = []
    for speaker, clip in itertools.product(range(6), range(3)):
        samples, plan = synthesise_clip(seed=0, speaker=speaker, emotion=emotion, clip=clip)
        sound = samples / 32768
        level = 10 * np.log10(np.mean(sound**2))
        pitch = autocorrelation_f0(sound) / (0.6 if speaker % 2 else 1.0)
        rows.append([level, high_share(sound), pitch, len(plan) * SAMPLE_RATE / len(sound)])
    return np.array(rows)


def test_angry_is_louder_brighter_higher_and_faster_than_sad_on_average() -> None:
    angry, sad = cues("angry"), cues("sad")
    gap = angry.mean(axis=0) - sad.mean(axis=0)
    error = np.sqrt((angry.var(axis=0) + sad.var(axis=0)) / len(angry))
    assert np.all(gap > 2 * error), gap / error


def test_no_cue_alone_tells_angry_from_happy() -> None:
    angry, happy = cues("angry"), cues("happy")
    assert np.all(angry.min(axis=0) < happy.max(axis=0))
    assert np.all(happy.min(axis=0) < angry.max(axis=0))
    assert np.all(angry.min(axis=0) < np.median(happy, axis=0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("num_speakers", 7),
        ("num_speakers", 4),
        ("clips_per_emotion", 0),
    ],
)
def test_a_config_out_of_range_is_refused_by_name(field: str, value: int) -> None:
    with pytest.raises(ParamsError, match=rf"demo\.{field}: found {value}, wanted"):
        DemoConfig(**{field: value})
