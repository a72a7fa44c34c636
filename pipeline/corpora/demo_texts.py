"""What the demo's clips are said to say: made-up sentences that tell a part of the emotions.

The recordings are syllables without a meaning, which these sentences do not transcribe.
"""

import numpy as np

# Of an emotion, and of any.
OF_EMOTION = {
    "neutral": ("The shop opens at nine.", "The bus stops by the bridge."),
    "happy": ("We won, what a lovely day!", "I am so glad that you came!"),
    "sad": ("They have all gone home.", "I miss the old house."),
    "angry": ("Get out of my way!", "You broke it again!"),
    "fearful": ("Did you hear that noise?", "Please do not leave me here."),
}
OF_ANY = ("I will see you tomorrow.", "She told me about it.", "So this is the place.")
TOLD = 0.6  # the part of an emotion's clips whose sentence tells it


def sentence_of(*, seed: int, speaker: int, emotion: str, clip: int) -> str:
    """Return the sentence of a clip, drawn apart from everything that is heard in it.

    Args:
        seed: The corpus' seed.
        speaker: From 0.
        emotion: A key of `OF_EMOTION`.
        clip: From 0.
    """
    # Five numbers, the last not 1: no generator of the recordings begins alike.
    place = 1 + list(OF_EMOTION).index(emotion)
    generator = np.random.default_rng([seed, speaker, place, clip, 2])
    sentences = OF_EMOTION[emotion] if generator.random() < TOLD else OF_ANY
    return str(generator.choice(sentences))


def emotions_of() -> dict[str, list[str]]:
    """Return every sentence with the emotions whose clips may say it."""
    told = {text: [emotion] for emotion, texts in OF_EMOTION.items() for text in texts}
    return told | {text: list(OF_EMOTION) for text in OF_ANY}
