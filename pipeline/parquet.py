"""Parquet files with checksums: tables of a store, and sealed files that carry their own digest.

A sealed file is held to its digest before Arrow sees a byte.

Page checksums guard the pages but not the footer. So the footer's key `genser.content`, written
last of its keys, holds the SHA-256 of the whole file, taken with its own 64 digits as zeros.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import PredictionsError
from pipeline.files import read_bytes

SEAL_KEY = "genser.content"

_MAGIC = b"PAR1"
_DIGITS = 64
OPEN_SEAL = f"sha256:{'0' * _DIGITS}"  # what stands there before the digest is known
# Key and value stand in the footer as Thrift strings: a type byte and a length byte come between.
_SEAL = re.compile(rb"genser\.content..sha256:([0-9a-f]{64})", re.DOTALL)


def table_bytes(frame: pd.DataFrame, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a table as the bytes of a Parquet file with page checksums; equal in, equal out."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata(dict(metadata or {}))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def read_table_bytes(data: bytes) -> pa.Table:
    """Read what `table_bytes` wrote; call it only on bytes whose digest has been checked."""
    return pq.read_table(pa.BufferReader(data), page_checksum_verification=True)


def sealed_table_bytes(
    table: pa.Table, metadata: Mapping[str, str], *, repeating: Sequence[str]
) -> bytes:
    """Return a table as the bytes of a sealed Parquet file; equal in, equal out.

    Args:
        table: The columns, with the schema that the file is to have.
        metadata: Entries of the schema metadata; the seal comes last, behind them.
        repeating: Columns of few different texts, which are kept once each.
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        version="2.6",
        compression="zstd",
        use_dictionary=list(repeating),
        write_page_checksum=True,
        # Arrow's copy of the schema says nothing here that Parquet's own does not.
        store_schema=False,
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({**metadata, SEAL_KEY: OPEN_SEAL})
    return _sealed(bytearray(sink.getvalue()))


def _sealed(data: bytearray) -> bytes:
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
        data = read_bytes(path)
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
