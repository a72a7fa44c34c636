"""The contract between recognisers and the command that transcribes with them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.files import fingerprint

MODEL = "transcribe.model"  # the parameter that names a recogniser

# Parts of a configuration that name things and change no text.
_NAMES = ("_name_or_path", "architectures", "dtype", "processor_class", "transformers_version")


class Recogniser(ABC):
    """A frozen recogniser that turns waveforms into texts.

    Attributes:
        spelling: As `pipeline.encoders.hub` reads it.
        identity: What tells it from another recogniser, plain JSON values.
        sample_rate: Hertz of the waveforms that it wants.
        min_samples: Fewer make no frame.
        max_window_s: Seconds that it takes at once; None for any length.
    """

    spelling: str
    identity: Mapping[str, Any]
    sample_rate: int
    min_samples: int
    max_window_s: float | None = None

    @property
    def source(self) -> str:
        """What `text_source` says of its texts: the spelling, and the digest's first 12 digits."""
        return f"{self.spelling}@{fingerprint(self.identity)[:12]}"

    @abstractmethod
    def transcribe(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """Return what is said in each waveform, "" where it hears no words.

        What is in the batch beside a waveform changes at most the last bits of its scores.

        Args:
            waveforms: Mono samples at `sample_rate`, each of at least `min_samples` and at most
                `max_window_s`.
        """


def plain_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a configuration without the names in it."""
    return {name: value for name, value in config.items() if name not in _NAMES}


def tidy(text: str) -> str:
    """Return a text without white space at its ends, and single spaces within."""
    return " ".join(text.split())
