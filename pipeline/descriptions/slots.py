"""What a description says of a clip: eight slots of five levels each.

pitch      how high the voice is: median F0 in semitones above 27.5 Hz
variation  how far it moves: F0 semitones between the 20th and 80th percentile
slope      where it goes: semitones per second of the line through all voiced frames
energy     how loud: mean loudness
dynamics   how much louder the loud parts are: loudness between the 20th and 80th percentile
speed      vowel groups of the text per voiced second; without texts, loudness peaks per second
pauses     how much of the time from the first to the last sound is silence
tone       how clear the voice is: harmonics to noise

Levels are whole numbers from 0, the lowest, to 4. A slot that was not measured, or of which a text
says nothing, is absent.
"""

from collections.abc import Mapping

SLOTS = ("pitch", "variation", "slope", "energy", "dynamics", "speed", "pauses", "tone")
NUM_LEVELS = 5

Levels = Mapping[str, int]  # slot: level
