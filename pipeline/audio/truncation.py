"""Recordings that end too early, found where the decoder does not."""

import struct
from pathlib import Path
from typing import BinaryIO

from pipeline.audio import outcomes
from pipeline.errors import AudioError

UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what a WAV says that was written to a pipe
OGG_PAGE_MAX = 27 + 255 + 255 * 255  # bytes: header, lengths, contents
EBML, SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"  # Matroska's and WebM's two outermost elements


def require_whole(path: Path) -> None:
    """Refuse a WAV, Ogg, AVI, MP4, MOV, Matroska or WebM file that ends too early.

    libsndfile and FFmpeg read most of these as if they were whole.

    Raises:
        AudioError: With the outcome `truncated`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            _check_wav(file, size)
        elif head[:4] == b"OggS":
            _check_ogg(file, size)
        elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            _check_avi(file, size)
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
            _check_mp4(file, size)
        elif head[:4] == EBML:
            _check_matroska(file, size)


def _check_wav(file: BinaryIO, size: int) -> None:
    """Hold the data chunk's length to the bytes that are there."""
    long_length = None  # RF64 tells a length beyond 4 GB before the chunk
    while len(header := file.read(8)) == 8:
        name, length = header[:4], struct.unpack("<I", header[4:])[0]
        after = file.tell() + length + length % 2
        if name == b"ds64" and len(lengths := file.read(16)) == 16:
            long_length = struct.unpack("<Q", lengths[8:])[0]
        if name == b"data":
            promised = long_length or length
            present = size - file.tell()
            if promised not in UNKNOWN_SIZES and present < promised:
                raise AudioError(
                    outcomes.TRUNCATED,
                    f"{present} bytes of samples present, the header promises {promised}; "
                    "replace the file.",
                )
            return
        file.seek(after)


def _check_ogg(file: BinaryIO, size: int) -> None:
    """Hold the last page to being whole and marked as the last."""
    file.seek(max(size - OGG_PAGE_MAX, 0))
    tail = file.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if not lengths or not page[5] & 4 or len(page) < 27 + len(lengths) + sum(lengths):
        raise AudioError(
            outcomes.TRUNCATED, "the stream has no end, bytes are missing; replace the file."
        )


def _check_avi(file: BinaryIO, size: int) -> None:
    """Hold each of the outermost chunks, of which a long file has several, to its length."""
    file.seek(0)
    while len(header := file.read(8)) == 8 and header[:4] == b"RIFF":
        length = struct.unpack("<I", header[4:])[0]
        if length in UNKNOWN_SIZES:
            return
        # Some writers count these eight bytes in.
        _require(file.tell() - 8 + length, size)
        file.seek(length + length % 2, 1)


def _check_mp4(file: BinaryIO, size: int) -> None:
    """Hold the outermost boxes that sound or its index is in to their lengths."""
    place = 0
    while file.seek(min(place, size)) < size and len(header := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", header)
        if length == 1 and len(long_length := file.read(8)) == 8:
            length = struct.unpack(">Q", long_length)[0]
        if length < 8:  # 0: to the file's end; the others are no length
            return
        place += length
        if name in (b"mdat", b"moov", b"moof"):
            _require(place, size)


def _check_matroska(file: BinaryIO, size: int) -> None:
    """Hold the segment, which all but the header is in, to its length."""
    file.seek(0)
    while (name := file.read(4)) in (EBML, SEGMENT):
        # The zeros before the first one-bit tell how many bytes follow the first.
        first = file.read(1)
        width = 9 - max(first, default=0).bit_length()
        if width > 8:
            return
        length = int.from_bytes(first + file.read(width - 1)) & ((1 << 7 * width) - 1)
        if name == SEGMENT:
            is_known = length != (1 << 7 * width) - 1
            _require(file.tell() + length if is_known else 0, size)
            return
        file.seek(length, 1)


def _require(promised: int, size: int) -> None:
    if size < promised:
        raise AudioError(
            outcomes.TRUNCATED,
            f"{size} bytes present, the header promises {promised}; replace the file.",
        )
