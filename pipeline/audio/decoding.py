"""A stretch of a recording as a mono waveform at the encoder's rate, or the reason why not.

libsndfile decodes (and torchcodec what it cannot), soxr resamples; both are read in blocks, so an
hour takes no more memory than a second. `CONTRACT` is part of every recipe and rises whenever these
samples would change.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from pipeline.audio import containers, outcomes
from pipeline.audio.complaints import Complaints
from pipeline.audio.resampling import resampled
from pipeline.audio.segments import Segment
from pipeline.audio.truncation import require_whole
from pipeline.errors import AudioError
from pipeline.files import require_regular

CONTRACT = 1
BLOCK_S = 10.0
BLOCK_VALUES = 1 << 24  # samples of all channels; only 16 channels at 100 kHz have as many in 10 s
# A header can say any number: from 1 Hz a file would grow 16,000-fold.
SMALLEST_RATE, LARGEST_RATE = 1_000, 1_000_000  # hertz
TIME_STAMP_TOLERANCE_S = 0.001  # time stamps are written in milliseconds


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A decoded segment.

    Attributes:
        audio_digest: SHA-256 of the sample rate and the decoded float32 samples.
        num_samples: Samples at the file's own rate.
        sample_rate: The file's own rate, hertz.
        mean: Mean of the resampled samples.
        variance: Variance of the resampled samples.
        num_resampled: Samples at the wanted rate.
        waveform: The samples at the wanted rate, shape (N,); None if longer than asked to keep.
        complaints: What the decoder said of it, "" if it was content.
    """

    audio_digest: str
    num_samples: int
    sample_rate: int
    mean: float
    variance: float
    num_resampled: int
    waveform: np.ndarray | None
    complaints: str = ""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A whole recording on its way through memory.

    Attributes:
        sample_rate: The file's own rate, hertz.
        num_samples: Samples that its header promises.
        blocks: Its mono samples from first to last, each block at most `BLOCK_S` long, once.
    """

    sample_rate: int
    num_samples: int
    blocks: Iterator[np.ndarray]


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Give a recording block by block, in the memory of one; that of a container is held whole.

    Raises:
        AudioError: If it cannot be used; of what is wrong further on, when that block is reached.
    """
    said = Complaints()
    with said.told(), _opened(path, said) as file:
        blocks = _mono_blocks(file, Segment(path=path), said)
        yield Recording(
            sample_rate=file.samplerate,
            num_samples=file.frames,
            blocks=_NativeStatistics(file.samplerate).watch(blocks),
        )


def read_clip(segment: Segment, *, sample_rate: int, max_kept_s: float) -> Clip:
    """Decode a segment once; keep its waveform if it is at most `max_kept_s` long.

    Raises:
        AudioError: If it cannot be used, with the outcome that says why.
    """
    said = Complaints()
    with said.told(), _opened(segment.path, said) as file:
        blocks = _mono_blocks(file, segment, said)
        clip = clip_of(blocks, file.samplerate, sample_rate=sample_rate, max_kept_s=max_kept_s)
        _check_promises(segment, clip.num_samples, clip.sample_rate)
    return replace(clip, complaints=str(said))


def clip_of(
    blocks: Iterable[np.ndarray], own_rate: int, *, sample_rate: int, max_kept_s: float
) -> Clip:
    """Return the clip of mono samples at a file's own rate, as `read_clip` returns it.

    Raises:
        AudioError: If it cannot be used, with the outcome that says why.
    """
    kept: list[np.ndarray] | None = []
    native = _NativeStatistics(own_rate)
    total, squares, count = 0.0, 0.0, 0
    for block in resampled(native.watch(blocks), own_rate, sample_rate):
        total += float(block.sum(dtype=np.float64))
        squares += float(np.square(block, dtype=np.float64).sum())
        count += len(block)
        if kept is not None:
            kept.append(block)
            if count > max_kept_s * sample_rate:
                kept = None
    native.check()
    mean = total / max(count, 1)
    return Clip(
        audio_digest=native.digest.hexdigest(),
        num_samples=native.num_samples,
        sample_rate=own_rate,
        mean=mean,
        variance=max(squares / max(count, 1) - mean**2, 0.0),
        num_resampled=count,
        waveform=None if kept is None else np.concatenate([*kept, np.zeros(0, np.float32)]),
    )


def read_windows(
    segment: Segment, *, sample_rate: int, lengths: Iterable[int]
) -> Iterator[np.ndarray]:
    """Decode a segment again, as windows of these lengths, samples at the wanted rate."""
    said = Complaints()
    with said.told(), _opened(segment.path, said) as file:
        blocks = resampled(_mono_blocks(file, segment, said), file.samplerate, sample_rate)
        held = np.zeros(0, np.float32)
        for length in lengths:
            while len(held) < length:
                block = next(blocks, None)
                if block is None:
                    raise AudioError(
                        outcomes.TRUNCATED, "the file became shorter while it was read; restore it."
                    )
                held = np.concatenate([held, block])
            yield held[:length]
            held = held[length:]


class _NativeStatistics:
    """Digest, count and range of the samples as they were decoded; refuses NaN and silence."""

    def __init__(self, rate: int) -> None:
        self.digest = hashlib.sha256(struct.pack("<I", rate))
        self.num_samples = 0
        self._low, self._high = np.inf, -np.inf

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            if not np.isfinite(block).all():
                raise AudioError(
                    outcomes.NONFINITE, "the samples hold NaN or infinity; mend the file."
                )
            self.digest.update(block.astype("<f4", copy=False).tobytes())
            self.num_samples += len(block)
            if len(block):
                self._low = min(self._low, float(block.min()))
                self._high = max(self._high, float(block.max()))
            yield block

    def check(self) -> None:
        if self.num_samples > 1 and self._low == self._high:
            raise AudioError(
                outcomes.SILENT,
                f"all {self.num_samples} samples are {self._low:g}; record it again.",
            )


def _opened(path: Path, said: Complaints) -> soundfile.SoundFile | containers.ContainerTrack:
    try:
        if not path.exists() or path.is_dir():
            raise AudioError(outcomes.MISSING, "no such file; restore it, or mend its path.")
        require_regular(path)
        if path.suffix.lower() == ".raw":
            raise AudioError(
                outcomes.DECODE_ERROR,
                "a .raw file does not say its rate; convert it to WAV or FLAC.",
            )
        require_whole(path)
        with said.heard():
            if path.suffix.lower() in containers.SUFFIXES:
                return containers.ContainerTrack(path)
            return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            outcomes.DECODE_ERROR, f"not decodable ({error.error_string}); replace the file."
        ) from error
    except OSError as error:
        raise AudioError(
            outcomes.DECODE_ERROR,
            f"cannot be read ({error.strerror}); mend its name or permissions, or replace it.",
        ) from error


def _mono_blocks(
    file: soundfile.SoundFile | containers.ContainerTrack, segment: Segment, said: Complaints
) -> Iterator[np.ndarray]:
    """Yield float32 blocks of the segment, one channel or the mean of all."""
    if segment.channel is not None and segment.channel > file.channels:
        raise AudioError(
            outcomes.DECODE_ERROR,
            f"channel {segment.channel} is wanted, the file has {file.channels}; "
            "mend the manifest's channel.",
        )
    if not SMALLEST_RATE <= file.samplerate <= LARGEST_RATE:
        raise AudioError(
            outcomes.DECODE_ERROR,
            f"its header says {file.samplerate} Hz, wanted {SMALLEST_RATE} to {LARGEST_RATE}; "
            "mend the header, or replace the file.",
        )
    start, wanted = _sample_range(file, segment)
    length = max(min(int(BLOCK_S * file.samplerate), BLOCK_VALUES // file.channels), 1)
    try:
        with said.heard():
            file.seek(start)
        left = wanted
        while left > 0:
            with said.heard():
                block = file.read(min(left, length), dtype="float32", always_2d=True)
            if not len(block):
                raise AudioError(
                    outcomes.TRUNCATED,
                    f"{wanted - left} samples decoded, the header promises {wanted}; "
                    "replace the file.",
                )
            left -= len(block)
            yield _mono(block, segment.channel)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            outcomes.DECODE_ERROR, f"decoding stopped ({error.error_string}); replace the file."
        ) from error


def _mono(block: np.ndarray, channel: int | None) -> np.ndarray:
    if channel is not None:
        return np.ascontiguousarray(block[:, channel - 1])
    if block.shape[1] == 1:
        return block[:, 0]
    # What overflows here becomes infinite, and is refused for that.
    with np.errstate(over="ignore", invalid="ignore"):
        mean: np.ndarray = block.mean(axis=1, dtype=np.float32)
    return mean


def _sample_range(
    file: soundfile.SoundFile | containers.ContainerTrack, segment: Segment
) -> tuple[int, int]:
    rate, frames = file.samplerate, file.frames
    start = round((segment.start or 0.0) * rate)
    end = frames if segment.end is None else round(segment.end * rate)
    if start > frames or end > frames + TIME_STAMP_TOLERANCE_S * rate:
        raise AudioError(
            outcomes.DECODE_ERROR,
            f"the segment {segment.start or 0:g} to {end / rate:g} s reaches beyond the file's "
            f"{frames / rate:g} s; mend start and end in the manifest.",
        )
    return start, min(end, frames) - start


def _check_promises(segment: Segment, num_samples: int, sample_rate: int) -> None:
    if segment.sample_rate is not None and segment.sample_rate != sample_rate:
        raise AudioError(
            outcomes.LENGTH_MISMATCH,
            f"the file has {sample_rate} Hz, the manifest says {segment.sample_rate}; "
            "mend one of them.",
        )
    if segment.num_samples is not None and segment.num_samples != num_samples:
        raise AudioError(
            outcomes.LENGTH_MISMATCH,
            f"{num_samples} samples decoded, the manifest says {segment.num_samples}; "
            "mend one of them.",
        )
