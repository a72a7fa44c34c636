"""The demo corpus and its synthesiser."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_toeplitz
from scipy.signal import find_peaks

from pipeline.corpora.demo import EMOTIONS, DemoConfig, synthesise_clip, synthesise_corpus
from pipeline.corpora.source_filter import HOP, SAMPLE_RATE, formant_filter, glottal_source
from pipeline.corpora.voices import CONSONANTS, VOWELS, Prosody, Syllable, Voice, synthesise
from pipeline.errors import ParamsError

STEADY = Prosody(
    f0_slope_st=0.0, f0_final_st=0.0, rate=0.2, tilt_db=0.0, jitter=0.0, shimmer=0.0, breath=0.0
)


def autocorrelation_f0(sound: np.ndarray, *, lowest: float = 70, highest: float = 450) -> float:
    """Take the first of the autocorrelation's high peaks; the others are its multiples."""
    sound = sound - sound.mean()
    power = np.abs(np.fft.rfft(sound, 2 * len(sound))) ** 2
    r = np.fft.irfft(power)[: len(sound)] / np.arange(len(sound), 0, -1)
    first, last = int(SAMPLE_RATE / highest), int(SAMPLE_RATE / lowest)
    peaks = find_peaks(r[first:last])[0] + first
    lag = peaks[r[peaks] > 0.9 * r[peaks].max()][0]
    before, here, after = r[lag - 1 : lag + 2]
    return float(SAMPLE_RATE / (lag + (before - after) / (before - 2 * here + after) / 2))


def linear_prediction_peaks(sound: np.ndarray, *, order: int = 18) -> np.ndarray:
    """Find the peaks in Hz of an all-pole fit (the autocorrelation method)."""
    sound = np.diff(sound) * np.hanning(len(sound) - 1)
    r = np.correlate(sound, sound, "full")[len(sound) - 1 :][: order + 1]
    predictor = np.concatenate([[1.0], -solve_toeplitz(r[:-1], r[1:])])
    envelope = 1 / np.abs(np.fft.rfft(predictor, 4096))
    return find_peaks(envelope)[0] * SAMPLE_RATE / 4096


def middle(sound: np.ndarray) -> np.ndarray:
    return sound[len(sound) // 4 : len(sound) // 2]


def steady_vowel(vowel: str, *, gender: str, f0_hz: float) -> np.ndarray:
    return middle(
        synthesise(
            voice=Voice(gender=gender, f0_hz=f0_hz),
            prosody=STEADY,
            plan=[Syllable("", vowel)],
            generator=np.random.default_rng(0),
        )
    )


def high_share(sound: np.ndarray) -> float:
    """The part of the power above 1 kHz."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float(power[len(power) // 8 :].sum() / power.sum())


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, synthesise_corpus(folder, DemoConfig(num_speakers=6, clips_per_emotion=1))


@pytest.mark.parametrize(("gender", "f0_hz"), [("male", 90.0), ("male", 131.0), ("female", 233.0)])
def test_a_steady_vowel_has_the_pitch_it_was_asked_for(gender: str, f0_hz: float) -> None:
    sound = steady_vowel("a", gender=gender, f0_hz=f0_hz)
    assert autocorrelation_f0(sound) == pytest.approx(f0_hz, rel=0.02)


@pytest.mark.parametrize("vowel", ["i", "e", "a"])
def test_a_steady_vowel_has_the_formants_it_was_asked_for(vowel: str) -> None:
    peaks = linear_prediction_peaks(steady_vowel(vowel, gender="male", f0_hz=80.0))
    for formant in VOWELS["male"][vowel]:
        # A fit to harmonics is drawn to the nearest one: half of F0, or a tenth, away.
        assert np.min(np.abs(peaks - formant)) < max(40.0, 0.1 * formant), (formant, peaks)


def test_an_impulse_rings_at_the_formants() -> None:
    formants = np.array([500.0, 1500.0, 2500.0])
    source = np.zeros(20 * HOP)
    source[5 * HOP + 17] = 1.0
    tracks = np.broadcast_to(formants, (21, 3))
    response = formant_filter(source, tracks, np.full((21, 3), 80.0), tilt_db=0.0)
    spectrum = np.abs(np.fft.rfft(response, 16_000))
    np.testing.assert_allclose(find_peaks(spectrum, prominence=0.5)[0], formants, atol=10)
    assert not np.any(np.abs(response[: 4 * HOP]) > 1e-3 * np.max(np.abs(response)))


@pytest.mark.parametrize("tilt_db", [0.0, 6.0, 20.0])
def test_the_tilt_is_the_attenuation_at_3_khz(tilt_db: float) -> None:
    source = np.zeros(20 * HOP)
    source[5 * HOP] = 1.0
    none = np.empty((21, 0))
    spectrum = np.abs(np.fft.rfft(formant_filter(source, none, none, tilt_db=tilt_db), 16_000))
    assert 20 * np.log10(spectrum[0] / spectrum[3000]) == pytest.approx(tilt_db, abs=0.05)


def test_jitter_and_shimmer_disturb_cycles_and_breath_adds_noise() -> None:
    def pulses(**disturbance: float) -> np.ndarray:
        quiet = {"jitter": 0.0, "shimmer": 0.0, "breath": 0.0}
        return glottal_source(
            np.full(16_000, 100.0),
            open_quotient=0.6,
            generator=np.random.default_rng(0),
            **(quiet | disturbance),
        )

    def difference_of_cycles(source: np.ndarray) -> float:
        return float(np.mean((source[160:] - source[:-160]) ** 2))

    assert np.mean(pulses() ** 2) == pytest.approx(1.0, rel=0.1)
    assert difference_of_cycles(pulses()) < 1e-6
    assert difference_of_cycles(pulses(jitter=0.01)) > 1e-3
    assert difference_of_cycles(pulses(shimmer=0.05)) > 1e-3
    assert difference_of_cycles(pulses(breath=0.05)) > 1e-3


def test_a_hiss_is_higher_than_a_hum() -> None:
    def onset(consonant: str) -> np.ndarray:
        sound = synthesise(
            voice=Voice(),
            prosody=Prosody(),
            plan=[Syllable(consonant, "a")],
            generator=np.random.default_rng(0),
        )
        return sound[1100:2000]

    assert high_share(onset("s")) > 0.8
    assert high_share(onset("m")) < 0.2


def test_formants_rise_with_a_shorter_tract_and_the_pause_lengthens_the_clip() -> None:
    def say(voice: Voice, prosody: Prosody) -> np.ndarray:
        plan = [Syllable("m", "a", ends_phrase=True), Syllable("l", "e", ends_phrase=True)]
        return synthesise(
            voice=voice, prosody=prosody, plan=plan, generator=np.random.default_rng(0)
        )

    plain = say(Voice(), Prosody())
    longer = say(Voice(), Prosody(pause_s=0.22))
    assert len(longer) - len(plain) == round(2 * 0.10 * SAMPLE_RATE)
    short_tract = say(Voice(tract_scale=1.2), Prosody())
    assert high_share(short_tract) > high_share(plain)


syllables = st.builds(
    Syllable,
    onset=st.sampled_from(["", *CONSONANTS]),
    vowel=st.sampled_from(list(VOWELS["male"])),
    accent=st.floats(-1, 1),
    ends_phrase=st.booleans(),
)


@settings(max_examples=12, deadline=None)
@given(
    plan=st.lists(syllables, min_size=1, max_size=4),
    gender=st.sampled_from(list(VOWELS)),
    emotion=st.sampled_from(list(EMOTIONS)),
)
def test_whatever_is_said_is_finite_and_as_loud_as_asked(
    plan: list[Syllable], gender: str, emotion: str
) -> None:
    def power_db(energy_db: float) -> float:
        sound = synthesise(
            voice=Voice(gender=gender, f0_hz=150.0),
            prosody=Prosody(energy_db=energy_db, tilt_db=EMOTIONS[emotion].tilt_db),
            plan=plan,
            generator=np.random.default_rng(0),
        )
        assert np.isfinite(sound).all()
        return float(10 * np.log10(np.mean(sound**2)))

    assert power_db(6.0) - power_db(0.0) == pytest.approx(6.0)


def test_an_empty_plan_is_refused() -> None:
    with pytest.raises(ParamsError, match="found no syllable, wanted at least one"):
        synthesise(voice=Voice(), prosody=Prosody(), plan=[], generator=np.random.default_rng(0))


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
    assert len(str(row["text"]).split()) >= 5
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


def test_everybody_says_the_same_few_sentences(
    small: tuple[Path, list[dict[str, object]]],
) -> None:
    _, rows = small
    texts = {row["text"] for row in rows}
    assert 2 <= len(texts) <= 4
    assert all(len({r["speaker"] for r in rows if r["text"] == text}) > 1 for text in texts)


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
