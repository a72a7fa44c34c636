"""What is changed in a copy is what was asked for, and a function of names alone."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.augmentation import (
    AugmentConfig,
    Draw,
    augmented,
    with_pitch,
    with_speed,
    with_tempo,
    without_above,
)
from pipeline.errors import ParamsError

RATE = 16000
TIMES = np.arange(RATE) / RATE
TONE = 0.3 * np.sin(2 * np.pi * 440 * TIMES)
EVERYTHING = AugmentConfig(
    speed=Draw(low=0.9, high=1.1),
    tempo=Draw(low=0.9, high=1.1),
    pitch=Draw(low=-2, high=2),
    noise=Draw(low=10, high=30),
    lowpass=Draw(low=3000, high=7000),
    gain=Draw(low=-6, high=6),
)


def pitch_of(samples: np.ndarray) -> float:
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
    return float(spectrum.argmax() * RATE / size)


def fixed(value: float) -> Draw:
    return Draw(low=value, high=value)


def copy_of(
    samples: np.ndarray, config: AugmentConfig, name: str = "a", copy: int = 1
) -> np.ndarray:
    return augmented(samples.astype(np.float32), RATE, config, clip_id=name, copy=copy)


@pytest.mark.parametrize(
    ("changed", "seconds", "hertz"),
    [
        (lambda x: with_speed(x, 1.25, RATE), 0.8, 550),
        (lambda x: with_tempo(x, 1.25, RATE), 0.8, 440),
        (lambda x: with_tempo(x, 0.8, RATE), 1.25, 440),
        (lambda x: with_pitch(x, 7, RATE), 1.0, 440 * 2 ** (7 / 12)),
        (lambda x: with_pitch(x, -4, RATE), 1.0, 440 * 2 ** (-4 / 12)),
    ],
)
def test_a_tone_has_the_pitch_and_the_length_that_were_asked_for(
    changed: Callable[[np.ndarray], np.ndarray], seconds: float, hertz: float
) -> None:
    result = changed(TONE)
    assert len(result) == pytest.approx(seconds * RATE, abs=1)
    assert pitch_of(result) == pytest.approx(hertz, rel=0.002)
    middle = result[len(result) // 4 : -len(result) // 4]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.15)


def test_a_tempo_of_one_changes_nothing() -> None:
    noise = np.random.default_rng(0).standard_normal(5000)
    np.testing.assert_allclose(with_tempo(noise, 1.0, RATE), noise, atol=1e-9)


def test_noise_gain_and_low_pass_are_of_their_size() -> None:
    noisy = copy_of(TONE, AugmentConfig(noise=fixed(20))) - TONE
    assert 10 * np.log10(np.mean(TONE**2) / np.mean(noisy**2)) == pytest.approx(20, abs=0.2)
    quiet = copy_of(TONE, AugmentConfig(gain=fixed(-6)))
    np.testing.assert_allclose(quiet, TONE * 10**-0.3, atol=1e-6)
    loud = copy_of(TONE, AugmentConfig(gain=fixed(40)))
    assert np.abs(loud).max() == 1
    both = TONE + 0.3 * np.sin(2 * np.pi * 6000 * TIMES)
    np.testing.assert_allclose(
        without_above(both, 3000, RATE)[2000:-2000], TONE[2000:-2000], atol=1e-5
    )


@settings(max_examples=15)
@given(st.text(max_size=5), st.integers(1, 5), st.integers(100, 2000))
def test_a_copy_is_a_function_of_clip_and_number(name: str, copy: int, length: int) -> None:
    samples = np.random.default_rng(0).standard_normal(length)
    first, again = (copy_of(samples, EVERYTHING, name, copy) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    # What is drawn for one transform is not moved by another.
    alone = copy_of(samples, AugmentConfig(speed=EVERYTHING.speed), name, copy)
    beside = copy_of(samples, AugmentConfig(speed=EVERYTHING.speed, gain=fixed(3)), name, copy)
    np.testing.assert_allclose(beside, np.clip(alone * 10**0.15, -1, 1), rtol=1e-5, atol=1e-6)


def test_clips_and_copies_differ_and_a_chance_leaves_some_as_they_are() -> None:
    speed = AugmentConfig(speed=Draw(low=0.8, high=1.2))
    lengths = {len(copy_of(TONE, speed, name, copy)) for name in "abc" for copy in (1, 2)}
    assert len(lengths) == 6
    rare = AugmentConfig(gain=Draw(low=3, high=3, chance=0.25))
    changed = [
        not np.array_equal(copy_of(TONE[:9], rare, str(i)), TONE[:9].astype(np.float32))
        for i in range(400)
    ]
    assert np.mean(changed) == pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"speed": Draw(low=1.1, high=0.9)},
            r"extract\.augment\.speed: found 1\.1 to 0\.9, wanted",
        ),
        ({"pitch": Draw(low=-20, high=2)}, r"augment\.pitch: found -20 to 2, .* within -12 to 12"),
        (
            {"gain": Draw(low=0, high=1, chance=0)},
            r"augment\.gain\.chance: found 0, wanted above 0",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(values: dict[str, Draw], told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        AugmentConfig(**values)
