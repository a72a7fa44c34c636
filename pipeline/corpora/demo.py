"""The demo corpus: made-up syllables, said by made-up speakers in five emotions.

It shows that the pipeline works, not how well: nothing learned here holds for real speech. Every
random number of a clip comes from a generator seeded by the corpus' seed, the speaker, the
emotion and the clip's number, so that a clip does not depend on what else is made.
"""

from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import soundfile

from pipeline.corpora.demo_texts import sentence_of
from pipeline.corpora.source_filter import SAMPLE_RATE
from pipeline.corpora.voices import CONSONANTS, VOWELS, Prosody, Syllable, Voice, synthesise
from pipeline.errors import ParamsError
from pipeline.files import publish
from pipeline.typed import require_seed

# Full-blown emotions, as settings beside the neutral ones. The directions are those of the
# reviews by Murray & Arnott 1993 (M) and Juslin & Laukka 2003 (J), the measurements of Banse &
# Scherer 1996 (B) and the syntheses of Burkhardt & Sendlmeier 2000 (S). All sizes are ours, and
# so are the directions without a letter.
EMOTIONS = {
    "neutral": Prosody(),
    "happy": Prosody(
        f0_shift_st=3.0,  # higher: M, J, S
        f0_range_st=3.0,  # wider: M, J, S
        f0_slope_st=-1.0,
        f0_final_st=2.5,  # upward inflections: M; rising: J
        rate=1.12,  # faster: J, S (M: or slower)
        energy_db=4.0,  # higher: M; medium to high: J
        tilt_db=4.0,  # medium high-frequency energy, between sad and angry: J
        open_quotient=0.57,
        jitter=0.004,  # regular: J
        f1_scale=1.10,  # high: J; lips spread: S
        pause_s=0.08,
    ),
    "sad": Prosody(
        f0_shift_st=-1.0,  # lower: M, J
        f0_range_st=0.7,  # narrower: M, J
        f0_slope_st=-4.0,  # falling: J
        f0_final_st=-2.0,  # downward inflections: M
        rate=0.85,  # slower: M, J
        energy_db=-5.0,  # lower: M, J, B
        tilt_db=20.0,  # little high-frequency energy: J, B
        open_quotient=0.80,
        jitter=0.010,  # irregular: J
        shimmer=0.06,
        breath=0.16,
        f1_scale=0.88,  # low: J
        pause_s=0.28,  # many pauses: J
    ),
    "angry": Prosody(
        f0_shift_st=2.5,  # higher: M, J, B
        f0_range_st=3.2,  # wider: M, J
        f0_slope_st=-3.0,
        f0_final_st=-0.5,
        rate=1.15,  # faster: M, J
        energy_db=7.0,  # higher: M, J, B
        tilt_db=0.0,  # much high-frequency energy: J, B
        open_quotient=0.42,
        jitter=0.016,  # irregular: J
        shimmer=0.10,
        breath=0.04,
        f1_scale=1.22,  # high: J
        pause_s=0.05,  # few pauses: J
    ),
    "fearful": Prosody(
        f0_shift_st=5.0,  # very much higher: M; high: J; falsetto: S
        f0_range_st=1.2,  # little variability: J (M: much wider)
        f0_slope_st=0.0,
        f0_final_st=1.0,  # rising: J
        rate=1.20,  # much faster: M; faster: J, S
        energy_db=-1.0,  # normal: M; low, except in panic: J
        tilt_db=13.0,  # little high-frequency energy: J
        open_quotient=0.70,
        jitter=0.020,  # irregular voicing: M; irregular: J
        shimmer=0.10,
        breath=0.14,
        f1_scale=0.90,
        pause_s=0.14,
    ),
}
# Field of `Prosody`: standard deviation between speakers' neutral speech, standard deviation
# between a speaker's clips of one emotion, least value.
_VARIATION = {
    "f0_shift_st": (0.0, 0.8, -6.0),
    "f0_range_st": (0.5, 0.4, 0.2),
    "f0_slope_st": (0.8, 1.2, -8.0),
    "f0_final_st": (0.5, 0.8, -6.0),
    "rate": (0.07, 0.08, 0.7),
    "energy_db": (3.0, 3.5, -14.0),
    "tilt_db": (1.5, 1.2, 0.0),
    "open_quotient": (0.05, 0.03, 0.35),
    "jitter": (0.002, 0.004, 0.001),
    "shimmer": (0.01, 0.02, 0.005),
    "breath": (0.02, 0.015, 0.005),
    "f1_scale": (0.0, 0.03, 0.8),
    "pause_s": (0.03, 0.03, 0.02),
}
_FIELDS = [field.name for field in fields(Prosody)]
_OF_SPEAKERS, _OF_CLIPS, _LEAST = np.array([_VARIATION[name] for name in _FIELDS]).T
_INTENSITY = (0.55, 1.2)  # how much of a full-blown emotion a clip has
_F0_HZ = {"female": 205.0, "male": 120.0}
_F0_DEVIATION_ST = 2.2  # between speakers of one gender
_NUM_SENTENCES = 4  # as in acted corpora, everybody says the same few
_NUM_SYLLABLES = (5, 8)
_NOISE_DB = (-70.0, -56.0)  # of full scale: the room of a clip
_PEAK = 0.98


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """How large the demo corpus is, and which of all possible ones."""

    seed: int = 0  # 0 to 2**32 - 1
    num_speakers: int = 12  # even, at least 6; half of them female
    clips_per_emotion: int = 6  # per speaker, at least 1

    def __post_init__(self) -> None:
        require_seed("demo.seed", self.seed)
        if self.num_speakers < 6 or self.num_speakers % 2:
            raise ParamsError(
                f"demo.num_speakers: found {self.num_speakers!r}, wanted an even number of at "
                "least 6; three speaker-disjoint splits need both genders."
            )
        if self.clips_per_emotion < 1:
            raise ParamsError(
                f"demo.clips_per_emotion: found {self.clips_per_emotion!r}, wanted at least 1; "
                "every speaker needs a clip of each emotion."
            )


def synthesise_corpus(folder: Path, config: DemoConfig) -> list[dict[str, object]]:
    """Make the corpus: 16-bit mono WAV files, and the manifest rows that name them.

    Args:
        folder: Gets `audio/<speaker>/<utterance_id>.wav`; made if absent, files overwritten.
        config: Seed and size.

    Returns:
        One row per clip, sorted by utterance_id, without the column `split`.
    """
    rows = [
        _write_clip(folder / "audio", seed=config.seed, speaker=speaker, emotion=emotion, clip=clip)
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
    # The third number is 0 for the speaker's own generator, which is thus another.
    generator = np.random.default_rng([seed, speaker, 1 + list(EMOTIONS).index(emotion), clip])
    neutral = np.array(astuple(EMOTIONS["neutral"]))
    change = np.array(astuple(EMOTIONS[emotion])) - neutral
    chance = _OF_CLIPS * generator.standard_normal(len(_OF_CLIPS))
    settings = neutral + own + generator.uniform(*_INTENSITY) * change + chance
    settings = np.maximum(settings, _LEAST).tolist()
    prosody = Prosody(**dict(zip(_FIELDS, settings, strict=True)))
    plan = _sentence(seed, int(generator.integers(_NUM_SENTENCES)))
    sound = synthesise(voice=voice, prosody=prosody, plan=plan, generator=generator)
    noise_level = 10 ** (generator.uniform(*_NOISE_DB) / 20)
    sound += noise_level * generator.standard_normal(len(sound))
    sound *= min(1.0, _PEAK / np.max(np.abs(sound)))  # a recordist turns down what is too loud
    return np.round(sound * 32767).astype(np.int16), plan


def _gender(speaker: int) -> str:
    return "male" if speaker % 2 else "female"


def _speaker(seed: int, speaker: int) -> tuple[Voice, np.ndarray]:
    """Draw who speaks, and how their neutral settings differ from those of others."""
    generator = np.random.default_rng([seed, speaker, 0, 0])
    gender = _gender(speaker)
    voice = Voice(
        gender=gender,
        f0_hz=_F0_HZ[gender] * 2 ** (generator.normal(0, _F0_DEVIATION_ST) / 12),
        tract_scale=generator.uniform(0.95, 1.05),
    )
    return voice, _OF_SPEAKERS * generator.standard_normal(len(_OF_SPEAKERS))


def _sentence(seed: int, number: int) -> list[Syllable]:
    """Draw one of the corpus' sentences: two phrases, every other syllable accented."""
    # Five numbers, because generators are told apart by more than trailing zeros.
    generator = np.random.default_rng([seed, number, 0, 0, 1])
    num_syllables = int(generator.integers(*_NUM_SYLLABLES, endpoint=True))
    first = int(generator.integers(2))
    onsets = generator.permutation(list(CONSONANTS))
    vowels = np.resize(generator.permutation(list(VOWELS["female"])), num_syllables)
    plan = []
    for position in range(num_syllables):
        accent = generator.normal(1.0 if position % 2 == first else -0.4, 0.3)
        plan.append(
            Syllable(
                onset=str(onsets[position]),
                vowel=str(vowels[position]),
                accent=float(np.clip(accent, -1, 1.5)),
                ends_phrase=position in (num_syllables // 2, num_syllables - 1),
            )
        )
    return plan


def _write_clip(
    audio: Path, *, seed: int, speaker: int, emotion: str, clip: int
) -> dict[str, object]:
    gender = _gender(speaker)
    speaker_id = f"{gender[0]}{speaker // 2 + 1:02d}"
    utterance_id = f"{speaker_id}_{emotion}_{clip + 1:02d}"
    samples, _ = synthesise_clip(seed=seed, speaker=speaker, emotion=emotion, clip=clip)
    path = Path(speaker_id, f"{utterance_id}.wav")
    with publish(audio / path) as temporary:
        soundfile.write(temporary, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return {
        "utterance_id": utterance_id,
        "path": path.as_posix(),
        "corpus": "demo",
        "speaker": speaker_id,
        "gender": gender,
        "emotion": emotion,
        "language": "und",
        "text": sentence_of(seed=seed, speaker=speaker, emotion=emotion, clip=clip),
        "num_samples": len(samples),
        "sample_rate": SAMPLE_RATE,
    }
