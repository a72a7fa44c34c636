"""The demo corpus: made-up syllables, said by made-up speakers in five emotions.

It shows that the pipeline works, not how well: nothing learned here holds for real speech. Every
random number of a clip comes from a generator seeded by the corpus' seed, the speaker, the
emotion and the clip's number, so that a clip does not depend on what else is made.
"""

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import soundfile

from pipeline.corpora.voices import (
    CONSONANTS,
    SAMPLE_RATE,
    VOWELS,
    Prosody,
    Syllable,
    Voice,
    synthesise,
)
from pipeline.errors import ParamsError

# Full-blown emotions, as settings beside the neutral voice of `Prosody`. The directions are those
# of the reviews by Murray & Arnott 1993 (M), Juslin & Laukka 2003 (J), the measurements of Banse &
# Scherer 1996 (B) and the synthesis of Burkhardt & Sendlmeier 2000 (S); all sizes are ours.
EMOTIONS = {
    "neutral": Prosody(),
    "happy": Prosody(
        f0_shift_st=4.0,  # higher: M, J
        f0_range_st=3.6,  # wider: M, J, S
        f0_slope_st=-1.0,
        f0_final_st=2.5,  # upward inflections: M; rising: J
        rate=1.12,  # fast: J (M: faster or slower)
        energy_db=4.0,  # higher: M; medium to high: J
        tilt_db=3.0,  # more high-frequency energy than sad, less than angry: J
        jitter=0.004,  # regular: J
        f1_scale=1.08,  # high: J
        pause_s=0.08,
    ),
    "sad": Prosody(
        f0_shift_st=-1.5,  # lower: M, J
        f0_range_st=0.7,  # narrower: M, J
        f0_slope_st=-4.0,  # falling: J
        f0_final_st=-2.0,  # downward inflections: M
        rate=0.80,  # slower: M, J
        energy_db=-5.0,  # lower: M, J, B
        tilt_db=10.0,  # little high-frequency energy: J, B
        jitter=0.010,  # irregular: J
        shimmer=0.06,
        breath=0.12,  # breathy: S
        f1_scale=0.94,  # low: J
        pause_s=0.28,
    ),
    "angry": Prosody(
        f0_shift_st=3.5,  # higher: M, J, B (hot anger)
        f0_range_st=3.2,  # wider: M, J
        f0_slope_st=-3.0,
        f0_final_st=-0.5,
        rate=1.15,  # faster: M, J
        energy_db=7.0,  # higher: M, J, B
        tilt_db=0.5,  # much high-frequency energy: J, B; tense voice: S
        jitter=0.016,  # irregular: J
        shimmer=0.10,
        breath=0.04,
        f1_scale=1.12,  # high: J
        pause_s=0.05,
    ),
    "fearful": Prosody(
        f0_shift_st=6.5,  # very much higher: M; higher: J; falsetto: S
        f0_range_st=1.2,  # little variability: J (M has it wider)
        f0_slope_st=0.0,
        f0_final_st=1.0,  # rising: J
        rate=1.28,  # much faster: M; fast: J, S
        energy_db=-1.0,  # normal: M; low, but for panic: J
        tilt_db=8.0,  # little high-frequency energy: J
        jitter=0.020,  # irregular voicing: M; irregular: J
        shimmer=0.10,
        breath=0.09,
        f1_scale=0.95,  # low: J
        pause_s=0.14,
    ),
}
# How far apart speakers are in their neutral speech, and clips of one speaker and emotion; as
# standard deviations.
_SPEAKER_SPREAD = Prosody(
    f0_shift_st=0.0,  # `Voice` has it
    f0_range_st=0.5,
    f0_slope_st=0.8,
    f0_final_st=0.5,
    rate=0.07,
    energy_db=3.0,
    tilt_db=1.5,
    jitter=0.002,
    shimmer=0.01,
    breath=0.02,
    f1_scale=0.0,
    pause_s=0.03,
)
_CLIP_SPREAD = Prosody(
    f0_shift_st=0.8,
    f0_range_st=0.4,
    f0_slope_st=1.2,
    f0_final_st=0.8,
    rate=0.06,
    energy_db=2.5,
    tilt_db=1.2,
    jitter=0.002,
    shimmer=0.01,
    breath=0.015,
    f1_scale=0.03,
    pause_s=0.03,
)
_LEAST = Prosody(
    f0_shift_st=-6.0,
    f0_range_st=0.2,
    f0_slope_st=-8.0,
    f0_final_st=-6.0,
    rate=0.6,
    energy_db=-14.0,
    tilt_db=0.0,
    jitter=0.001,
    shimmer=0.005,
    breath=0.005,
    f1_scale=0.85,
    pause_s=0.02,
)
_INTENSITY = (0.5, 1.2)  # an emotion's part of its full-blown settings
_F0_HZ = {"female": 205.0, "male": 120.0}
_F0_SPREAD_ST = 2.2  # between speakers of one gender
_NUM_SENTENCES = 4  # as acted corpora do, everybody says the same few
_NUM_SYLLABLES = (5, 8)
_NOISE_DB = (-72.0, -52.0)  # of full scale: the room of a clip
_PEAK = 0.98


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """How large the demo corpus is, and which of all possible ones it is."""

    seed: int = 0  # 0 to 2**32 - 1
    num_speakers: int = 12  # even, at least 6; half of them female
    clips_per_emotion: int = 6  # per speaker, at least 1

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ParamsError(
                f"prepare.demo.seed: found {self.seed!r}, wanted 0 to 2**32 - 1; pick another."
            )
        if self.num_speakers < 6 or self.num_speakers % 2:
            raise ParamsError(
                f"prepare.demo.num_speakers: found {self.num_speakers!r}, wanted an even number "
                "of at least 6; half of the speakers are female and each split needs both genders."
            )
        if self.clips_per_emotion < 1:
            raise ParamsError(
                f"prepare.demo.clips_per_emotion: found {self.clips_per_emotion!r}, wanted at "
                "least 1; give every speaker a clip of each emotion."
            )


def synthesise_corpus(folder: Path, config: DemoConfig) -> list[dict[str, object]]:
    """Make the corpus: 16-bit mono WAV files and the manifest rows that name them.

    Args:
        folder: Gets `audio/<speaker>/<utterance_id>.wav`; made if absent, files overwritten.
        config: Seed and size.

    Returns:
        One row per clip, sorted by utterance_id, without the column `split`.
    """
    rows = [
        _write_clip(folder / "audio", config.seed, speaker, emotion, clip)
        for speaker in range(config.num_speakers)
        for emotion in EMOTIONS
        for clip in range(config.clips_per_emotion)
    ]
    return sorted(rows, key=lambda row: str(row["utterance_id"]))


def synthesise_clip(
    *, seed: int, speaker: int, emotion: str, clip: int
) -> tuple[np.ndarray, list[Syllable]]:
    """Make one clip of the corpus.

    Args:
        seed: The corpus' seed.
        speaker: From 0; even ones are female.
        emotion: A key of `EMOTIONS`.
        clip: From 0.

    Returns:
        The waveform, shape (N,), int16, and what is said.
    """
    voice, own = _speaker(seed, speaker)
    # The third number tells a clip's generator from its speaker's, whose last two are 0.
    generator = np.random.default_rng([seed, speaker, 1 + list(EMOTIONS).index(emotion), clip])
    neutral = np.array(astuple(EMOTIONS["neutral"]))
    change = np.array(astuple(EMOTIONS[emotion])) - neutral
    settings = (
        neutral + own + generator.uniform(*_INTENSITY) * change + _draw(_CLIP_SPREAD, generator)
    )
    settings = np.maximum(settings, astuple(_LEAST))
    names = (field.name for field in fields(Prosody))
    prosody = Prosody(**dict(zip(names, settings.tolist(), strict=True)))
    plan = _sentence(seed, int(generator.integers(_NUM_SENTENCES)))
    speech = synthesise(voice=voice, prosody=prosody, plan=plan, generator=generator)
    noise = 10 ** (generator.uniform(*_NOISE_DB) / 20) * generator.standard_normal(len(speech))
    sound = speech + noise
    sound *= min(1.0, _PEAK / np.max(np.abs(sound)))  # as a recordist turns down what is too loud
    return np.round(sound * 32767).astype(np.int16), plan


def _speaker(seed: int, speaker: int) -> tuple[Voice, np.ndarray]:
    """Draw who speaks, and how their neutral speech differs from that of others."""
    generator = np.random.default_rng([seed, speaker, 0, 0])
    gender = _gender(speaker)
    voice = Voice(
        gender=gender,
        f0_hz=_F0_HZ[gender] * 2 ** (generator.normal(0, _F0_SPREAD_ST) / 12),
        tract_scale=generator.uniform(0.93, 1.07),
        open_quotient=generator.uniform(0.5, 0.7),
    )
    return voice, _draw(_SPEAKER_SPREAD, generator)


def _gender(speaker: int) -> str:
    return "male" if speaker % 2 else "female"


def _draw(spread: Prosody, generator: np.random.Generator) -> np.ndarray:
    return generator.standard_normal(len(astuple(spread))) * astuple(spread)


def _sentence(seed: int, number: int) -> list[Syllable]:
    """Draw two phrases of syllables, accents by turns."""
    generator = np.random.default_rng([seed, number])
    num_syllables = int(generator.integers(*_NUM_SYLLABLES, endpoint=True))
    break_after = num_syllables // 2 + int(generator.integers(0, 2)) - 1
    first = int(generator.integers(0, 2))
    plan = []
    for position in range(num_syllables):
        accent = generator.normal(1.0 if position % 2 == first else -0.4, 0.3)
        plan.append(
            Syllable(
                onset=str(generator.choice(list(CONSONANTS))),
                vowel=str(generator.choice(list(VOWELS["female"]))),
                accent=float(np.clip(accent, -1, 1.5)),
                ends_phrase=position in (break_after, num_syllables - 1),
            )
        )
    return plan


def _write_clip(audio: Path, seed: int, speaker: int, emotion: str, clip: int) -> dict[str, object]:
    gender = _gender(speaker)
    speaker_id = f"{gender[0]}{speaker // 2 + 1:02d}"
    utterance_id = f"{speaker_id}_{emotion}_{clip + 1:02d}"
    path = Path(speaker_id, f"{utterance_id}.wav")
    samples, plan = synthesise_clip(seed=seed, speaker=speaker, emotion=emotion, clip=clip)
    _write_wav(audio / path, samples)
    return {
        "utterance_id": utterance_id,
        "path": path.as_posix(),
        "corpus": "demo",
        "speaker": speaker_id,
        "gender": gender,
        "emotion": emotion,
        "language": "und",
        "text": _spell(plan),
        "num_samples": len(samples),
        "sample_rate": SAMPLE_RATE,
    }


def _spell(plan: Sequence[Syllable]) -> str:
    return " ".join(syllable.onset + syllable.vowel for syllable in plan)


def _write_wav(path: Path, samples: np.ndarray) -> None:
    """Write under another name in the same folder, then rename: no half a file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        soundfile.write(unfinished, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
