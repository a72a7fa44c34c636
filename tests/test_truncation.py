import struct
from pathlib import Path

import pytest
import soundfile

from helpers.recordings import RATE, noise, read, refused


@pytest.mark.parametrize("format", ["WAV", "RF64", "WAVEX"])
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_wav_cut_short_is_truncated(tmp_path: Path, format: str, kept: float) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(8000), RATE, format=format)
    assert read(path).num_samples == 8000
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    # What makes the check needful: the library reads the rest as if it were all.
    assert 0 < soundfile.info(path).frames < 8000
    error = refused(path)
    assert error.outcome == "truncated"
    assert "samples present, the header promises 16000; replace the file" in str(error)


def test_a_wav_of_a_header_alone_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(8000), RATE)
    path.write_bytes(path.read_bytes()[:44])
    assert refused(path).outcome == "truncated"


def test_a_wav_written_to_a_pipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(8000), RATE)
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert read(path).num_samples == 8000


def test_chunks_before_and_after_the_samples_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(1001), RATE)
    data = path.read_bytes()
    odd = b"note" + struct.pack("<I", 3) + b"abc\0"
    place = data.index(b"data")
    path.write_bytes(data[:place] + odd + data[place:] + odd)
    assert read(path).num_samples == 1001


def test_a_flac_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.flac"
    soundfile.write(path, noise(RATE), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = refused(path)
    assert error.outcome == "decode_error"
    assert "decoding stopped (" in str(error)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.999])
def test_an_ogg_cut_short_is_truncated(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "clip.ogg"
    soundfile.write(path, noise(3 * RATE), RATE)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    error = refused(path)
    assert error.outcome == "truncated"
    assert "the stream has no end, bytes are missing" in str(error)


def test_an_mp3_cut_short_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp3"
    soundfile.write(path, noise(3 * RATE), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = refused(path)
    assert error.outcome == "truncated"
    assert "samples decoded, the header promises 48000" in str(error)
