"""What `genser finetune` leaves beside an encoder's weights: the clips that it has seen.

`config.json` of such a folder says that `finetune.json` belongs to it, so that an encoder which has
lost the file is not taken for one that has seen nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import EncoderError
from pipeline.files import fingerprint, read_bytes, unseal_json
from pipeline.typed import typed, typed_json

RECORD = "finetune.json"
MARK = "genser_finetuned"  # the key of config.json

# What of the record tells one fine-tuned encoder from another; the rest is told, not compared.
COMPARED = ("base", "classes", "dev_ids", "finetune", "fit_ids", "task", "weights")


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What is read again of `finetune.json`."""

    manifest: str
    task: str
    classes: list[str]
    fit_ids: list[str]
    dev_ids: list[str]
    encoder: str
    base: dict[str, Any]
    finetune: dict[str, Any]
    dev: dict[str, float]
    best_step: int
    weights: str


@dataclass(frozen=True, kw_only=True)
class Finetuned:
    """The record of a fine-tuned encoder.

    Attributes:
        record: The content of `finetune.json`.
        digest: Of what is compared of it.
    """

    record: Mapping[str, Any]
    digest: str

    @property
    def fit_ids(self) -> list[str]:
        """Store ids of the clips that the weights were trained on, sorted."""
        found: list[str] = self.record["fit_ids"]
        return found


def compared_digest(record: Mapping[str, Any]) -> str:
    """Return the digest of what is compared of a record."""
    return fingerprint({name: record[name] for name in COMPARED})


def read_finetuned(folder: Path) -> Finetuned | None:
    """Return what is recorded of an encoder's folder that was fine-tuned; None of another.

    Raises:
        EncoderError: If the record is damaged, or absent where the configuration names one.
    """
    mark = _mark_of(folder)
    try:
        record = unseal_json(read_bytes(folder / RECORD))
    except FileNotFoundError:
        if mark is None:
            return None
        raise EncoderError(
            f"{folder / RECORD}: is not there, and config.json says that the encoder was "
            "fine-tuned; restore the file, which names the clips that it has seen."
        ) from None
    except OSError as error:
        raise EncoderError(f"{folder / RECORD}: cannot be read ({error.strerror}).") from error
    cure = "restore it, or run 'genser finetune' again"
    if record is not None:
        typed(_Record, record, folder / RECORD, error=EncoderError, cure=cure, others=True)
    if record is None or mark != compared_digest(record):
        raise EncoderError(
            f"{folder / RECORD}: is damaged, or of another encoder than the one beside it; {cure}."
        )
    return Finetuned(record=record, digest=compared_digest(record))


def _mark_of(folder: Path) -> Any:
    path = folder / "config.json"
    try:
        return typed_json(dict[str, Any], read_bytes(path), path, error=EncoderError).get(MARK)
    except (OSError, EncoderError):
        return None  # whoever loads the encoder says what is wrong with it
