"""What a header says of a recording never decides how much memory it takes."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.recordings import RATE, noise, read, refused, write
from pipeline.audio import decoding


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2**31 - 1])
def test_a_rate_that_no_recording_has_is_refused_by_name(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "clip.wav", noise(4000))
    data = bytearray(path.read_bytes())
    struct.pack_into("<II", data, 24, rate, min(2 * rate, 2**32 - 1))
    path.write_bytes(data)
    error = refused(path)
    assert error.outcome == "decode_error"
    assert f"its header says {rate} Hz, wanted 1000 to 1000000; mend the header" in str(error)


@pytest.mark.parametrize("rate", [1000, 1_000_000])
def test_the_ends_of_the_range_are_in_it(tmp_path: Path, rate: int) -> None:
    assert read(write(tmp_path / "clip.wav", noise(rate // 10), rate)).sample_rate == rate


def test_many_channels_are_read_in_shorter_blocks_of_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE // 10, 100))
    soundfile.write(tmp_path / "clip.wav", samples, RATE)
    whole = read(tmp_path / "clip.wav")
    monkeypatch.setattr(decoding, "BLOCK_VALUES", 25_050)
    sizes = []
    whole_read = soundfile.SoundFile.read

    def watched(self: soundfile.SoundFile, frames: int = -1, **options: object) -> np.ndarray:
        sizes.append(frames * self.channels)
        result: np.ndarray = whole_read(self, frames, **options)
        return result

    monkeypatch.setattr(soundfile.SoundFile, "read", watched)
    short = read(tmp_path / "clip.wav")
    assert max(sizes) <= 25_050
    assert short.audio_digest == whole.audio_digest
    assert np.array_equal(short.waveform, whole.waveform)
