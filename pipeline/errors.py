"""The errors a user can mend, sorted by what must be mended.

Every message has three parts: where (file, row or utterance), what (the value found and the
value wanted) and next (what to do). Anything raised that is not a `GenserError` is a bug and
keeps its traceback.
"""

from collections.abc import Iterable

SHOWN = 10


def first_ten(lines: Iterable[str], num: int | None = None) -> list[str]:
    """Return the first ten lines of a message, and one that says how many more there are.

    Args:
        lines: At least the first ten.
        num: How many there are in all; as many as `lines` if None.
    """
    listed = list(lines)
    more = (len(listed) if num is None else num) - SHOWN
    return [*listed[:SHOWN], *([f"and {more} more"] if more > 0 else [])]


class GenserError(Exception):
    """Root of every error that its message alone lets the user mend."""


class ParamsError(GenserError, ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


class ManifestError(GenserError, ValueError):
    """A manifest or a label map says something that cannot be so."""


class AudioError(GenserError, ValueError):
    """A recording cannot be used; `outcome` names the kind of failure.

    Attributes:
        outcome: One of the outcomes of `pipeline.store.views`, e.g. `"decode_error"`.
    """

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class EncoderError(GenserError, ValueError):
    """An encoder's folder, weights or settings do not fit."""


class FeatureStoreError(GenserError, ValueError):
    """A feature store is damaged, foreign, in use or made with another recipe."""


class HeadError(GenserError, ValueError):
    """A trained head is damaged, or does not fit what it is given."""


class PredictionsError(GenserError, ValueError):
    """A predictions file is damaged or is not one."""


class PluginError(GenserError, ImportError):
    """What another package adds to genser cannot be used."""


class OutputError(GenserError, OSError):
    """A result cannot be written: a full disk, a folder without permission, a file in the way."""


class EngineError(GenserError, RuntimeError):
    """Workers cannot be had, are gone, or do not agree with who sent them the work."""


class ShapeError(GenserError, ValueError):
    """Tensors do not agree in shape."""
