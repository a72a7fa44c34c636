"""How recordings are cut into stretches: the section `segments`."""

from dataclasses import dataclass, fields

from pipeline.errors import ParamsError

SPEECH, WINDOWS = "speech", "windows"
KINDS = (SPEECH, WINDOWS)


@dataclass(frozen=True, kw_only=True)
class SegmentsConfig:
    """Everything about stretches that changes a time; all in seconds but the thresholds.

    Of speech, lengths are rounded to the detector's frames.
    """

    threshold: float = 0.5  # of speech: it begins with a frame that is at least as likely speech
    exit_threshold: float = 0.35  # and ends before one below this, if what follows is a silence
    min_silence_s: float = 0.32  # shorter silences within speech belong to it
    min_speech_s: float = 0.25  # shorter speech is dropped
    pad_s: float = 0.096  # speech is taken longer by this at both ends; at most half a silence
    max_speech_s: float = 15.0  # longer speech is cut at its least likely frame
    window_s: float = 4.0  # of windows: how long each is
    hop_s: float = 2.0  # and how long after the one before it begins
    merge_gap_s: float = 0.5  # neighbours of one class that are no further apart become one

    def __post_init__(self) -> None:
        may_be_zero = ("pad_s", "merge_gap_s", "min_speech_s")
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or (value == 0 and field.name not in may_be_zero):
                raise ParamsError(f"segments.{field.name}: found {value}, wanted more than 0.")
        if not self.exit_threshold <= self.threshold <= 1:
            raise ParamsError(
                f"segments.exit_threshold: found {self.exit_threshold} and a threshold of "
                f"{self.threshold}, wanted it no higher, and both at most 1."
            )
        if 2 * self.pad_s > self.min_silence_s:
            raise ParamsError(
                f"segments.pad_s: found {self.pad_s}, wanted at most half of min_silence_s "
                f"({self.min_silence_s}), so that neighbours never overlap."
            )
        if self.max_speech_s < 2 * (self.min_speech_s + self.pad_s):
            raise ParamsError(
                f"segments.max_speech_s: found {self.max_speech_s}, wanted at least twice "
                f"min_speech_s and pad_s together ({self.min_speech_s} and {self.pad_s})."
            )
        if self.hop_s > self.window_s:
            raise ParamsError(
                f"segments.hop_s: found {self.hop_s}, wanted at most window_s ({self.window_s}): "
                "what lies between windows would never be heard."
            )
