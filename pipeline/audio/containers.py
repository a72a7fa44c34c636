"""The sound of video files and AAC, which libsndfile does not read, through torchcodec and FFmpeg.

Both are optional (`pip install 'genser[video]'`). A file's track is decoded whole and held in
memory, 4 bytes for each sample of each channel, twice that while it is decoded: AAC cannot be
entered at an exact sample. Samples are counted from the first one, wherever the picture begins.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pipeline.audio import outcomes
from pipeline.errors import AudioError

SUFFIXES = (".mp4", ".m4a", ".aac", ".avi", ".mkv", ".mov", ".webm")
MOST_BYTES = 4e9  # that a track may take in memory: three hours of stereo at 48 kHz
PADDING_S = 0.1  # AAC is cut into frames of 1024 samples, and headers count some of them in


class ContainerTrack:
    """The sound of a container, with what decoding uses of a `soundfile.SoundFile`.

    Attributes:
        samplerate: Hertz.
        channels: Number of channels.
        frames: Samples of each channel that were decoded.
    """

    def __init__(self, path: Path) -> None:
        """Decode the first audio track of a file.

        Raises:
            AudioError: If torchcodec is absent, or the file has no sound or cannot be decoded.
        """
        require_torchcodec(path.suffix)
        with _errors_told():
            decoder = _decoder(path)
            _require_holdable(decoder.metadata)
            samples = decoder.get_all_samples()
            self.samplerate = int(samples.sample_rate)
            self._samples: np.ndarray = samples.data.numpy().T  # (N, channels)
            metadata = decoder.metadata
        self.frames, self.channels = self._samples.shape
        promised = metadata.duration_seconds_from_header or 0.0
        if metadata.begin_stream_seconds_from_header is None:
            promised = 0.0  # a bare AAC stream has no header, FFmpeg guesses from its first frames
        if self.frames / self.samplerate < promised - PADDING_S:
            raise AudioError(
                outcomes.TRUNCATED,
                f"{self.frames / self.samplerate:.2f} s decoded, the header promises "
                f"{promised:.2f} s; replace the file.",
            )
        self._place = 0

    def seek(self, place: int) -> int:
        """Go to a sample."""
        self._place = place
        return place

    def read(self, frames: int, dtype: str = "float32", *, always_2d: bool = True) -> np.ndarray:
        """Return the next samples, fewer at the end, shape (n, channels)."""
        del always_2d
        block = self._samples[self._place : self._place + frames]
        self._place += len(block)
        return block.astype(dtype, copy=False)

    def __enter__(self) -> "ContainerTrack":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._samples


def read_header(path: Path) -> tuple[int, int]:
    """Return sample rate and number of channels, without decoding.

    Raises:
        AudioError: As `ContainerTrack`.
    """
    require_torchcodec(path.suffix)
    with _errors_told():
        metadata = _decoder(path).metadata
        return int(metadata.sample_rate), int(metadata.num_channels)


def require_torchcodec(what: str) -> None:
    """Refuse to go on without torchcodec.

    Raises:
        AudioError: Saying what needs it and how to get it.
    """
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:
        raise AudioError(
            outcomes.DECODE_ERROR,
            f"{what} needs torchcodec and FFmpeg ({_first_line(error)}): pip install "
            "'genser[video]' and your system's ffmpeg, or convert the files to WAV or FLAC.",
        ) from error


def _require_holdable(metadata: Any) -> None:
    seconds = metadata.duration_seconds_from_header or 0.0
    num_bytes = 4.0 * seconds * (metadata.sample_rate or 0) * (metadata.num_channels or 1)
    if num_bytes > MOST_BYTES:
        raise AudioError(
            outcomes.DECODE_ERROR,
            f"its {seconds / 3600:.1f} hours take {num_bytes / 1e9:.1f} GB when they are decoded, "
            f"wanted at most {MOST_BYTES / 1e9:g}; cut the file, or convert it to FLAC.",
        )


def _decoder(path: Path) -> Any:
    from torchcodec.decoders import AudioDecoder

    return AudioDecoder(path)


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    # Damaged headers also make torchcodec divide by zero and hold None where numbers belong.
    except (RuntimeError, ValueError, LookupError, ArithmeticError, TypeError) as error:
        raise AudioError(
            outcomes.DECODE_ERROR, f"not decodable ({_first_line(error)}); replace the file."
        ) from error


def _first_line(error: Exception) -> str:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    # Before what happened, torchcodec names a source file of the machine that built it.
    return re.sub(r"^.*\.(?:cpp|h):\d+, ", "", line)
