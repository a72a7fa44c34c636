"""Parquet files that carry their own digest, checked before Arrow sees a byte.

Page checksums guard the pages but not the footer. So the footer's key `genser.content`, written
last of its keys, holds the SHA-256 of the whole file, taken with its own 64 digits as zeros.
"""

import hashlib
import re
from pathlib import Path

from pipeline.errors import PredictionsError

SEAL_KEY = "genser.content"

_MAGIC = b"PAR1"
_DIGITS = 64
OPEN_SEAL = f"sha256:{'0' * _DIGITS}"  # what stands there before the digest is known
# Key and value stand in the footer as Thrift strings: a type byte and a length byte come between.
_SEAL = re.compile(rb"genser\.content..sha256:([0-9a-f]{64})", re.DOTALL)


def sealed(data: bytearray) -> bytes:
    """Return a Parquet file that was written with `OPEN_SEAL`, its digest filled in."""
    position = _seal_position(data)
    assert position is not None, "the writer has put an open seal there"
    data[position : position + _DIGITS] = _digest(data, position)
    return bytes(data)


def sealed_bytes(path: Path) -> bytes:
    """Return the file's bytes, once they agree with the digest in its footer.

    Raises:
        PredictionsError: If the file is missing, foreign or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PredictionsError(
            f"{path}: cannot be read ({error.strerror or error}); give the path of a file that "
            "'genser score' wrote."
        ) from error
    if len(data) < 12 or not data.startswith(_MAGIC) or not data.endswith(_MAGIC):
        raise PredictionsError(
            f"{path}: found {len(data)} bytes that are not a whole Parquet file, wanted the output "
            "of 'genser score'; give another path, or run that again."
        )
    position = _seal_position(data)
    if position is None:
        raise PredictionsError(
            f"{path}: found no digest of genser's in the footer, wanted the output of "
            "'genser score'; the file is foreign or damaged: give another path, or run that again."
        )
    if data[position : position + _DIGITS] != _digest(data, position):
        raise PredictionsError(
            f"{path}: found bytes that do not agree with the SHA-256 in the footer, wanted the "
            "file as it was written; it is damaged or was edited: run 'genser score' again."
        )
    return data


def _seal_position(data: bytes | bytearray) -> int | None:
    """Return where in the file its digest's digits begin, or None without a digest."""
    footer_length = int.from_bytes(data[-8:-4], "little")
    start = max(len(data) - 8 - footer_length, 0)
    # Metadata come after the column names and `content` is written last of them, so the last
    # match is the seal whatever the names and values contain.
    matches = list(_SEAL.finditer(data, start))
    return matches[-1].start(1) if matches else None


def _digest(data: bytes | bytearray, position: int) -> bytes:
    """Return the SHA-256 of a file, the digits at `position` taken as zeros, as digits."""
    view = memoryview(data)
    digest = hashlib.sha256(view[:position])
    digest.update(b"0" * _DIGITS)
    digest.update(view[position + _DIGITS :])
    return digest.hexdigest().encode()
