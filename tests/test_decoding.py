import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.recordings import RATE, MakeWav, noise, read, refused, write
from pipeline.audio import decoding as audio
from pipeline.audio.decoding import read_clip, read_windows
from pipeline.audio.segments import Segment
from pipeline.errors import AudioError


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(("suffix", "error"), [("wav", 1e-4), ("flac", 1e-4), ("ogg", 0.15)])
def test_a_recording_is_read_whole(
    tmp_path: Path, suffix: str, error: float, channels: int
) -> None:
    times = np.arange(8000) / RATE
    wave = 0.4 * np.sin(2 * np.pi * 300 * times)
    samples = np.repeat(wave[:, None], channels, axis=1)
    path = tmp_path / f"clip.{suffix}"
    soundfile.write(path, samples, RATE)
    clip = read(path)
    assert (clip.num_samples, clip.sample_rate, clip.duration) == (8000, RATE, 0.5)
    assert clip.waveform is not None
    assert clip.waveform.dtype == np.float32
    np.testing.assert_allclose(clip.waveform, wave, atol=error)


@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_is_read_whole(tmp_path: Path, channels: int) -> None:
    times = np.arange(16000) / RATE
    wave = 0.4 * np.sin(2 * np.pi * 300 * times)
    soundfile.write(tmp_path / "clip.mp3", np.repeat(wave[:, None], channels, axis=1), RATE)
    clip = read(tmp_path / "clip.mp3")
    assert clip.num_samples == 16000
    assert clip.waveform is not None
    np.testing.assert_allclose(clip.waveform[2000:-2000], wave[2000:-2000], atol=0.1)


@settings(max_examples=15, deadline=None)
@given(
    rate=st.sampled_from([8000, 11025, 22050, 24414, 44100, 48000, 96000]),
    num_samples=st.integers(1, 9000),
    block_s=st.sampled_from([0.003, 0.02, 10.0]),
)
def test_the_resampling_stream_equals_one_shot_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, rate: int, num_samples: int, block_s: float
) -> None:
    samples = noise(num_samples)[:, 0]
    path = write(tmp_path_factory.mktemp("clip") / "clip.wav", samples, rate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "BLOCK_S", block_s)
        clip = read(path)
    wanted = soxr.resample(samples, rate, RATE, quality="HQ")
    assert clip.waveform is not None
    assert clip.num_resampled == len(clip.waveform)
    np.testing.assert_array_equal(clip.waveform, wanted)


def test_a_clip_of_many_blocks_is_what_one_block_gives(tmp_path: Path) -> None:
    samples = noise(25 * 1000)[:, 0]
    clip = read(write(tmp_path / "clip.wav", samples, 1000), max_kept_s=30)
    assert clip.waveform is not None
    np.testing.assert_array_equal(clip.waveform, soxr.resample(samples, 1000, RATE, quality="HQ"))


def test_mean_and_variance_are_those_of_the_kept_samples(tmp_path: Path) -> None:
    clip = read(write(tmp_path / "clip.wav", noise(20000)[:, 0] + 0.3, 44100))
    assert clip.waveform is not None
    wide = clip.waveform.astype(np.float64)
    np.testing.assert_allclose([clip.mean, clip.variance], [wide.mean(), wide.var()], rtol=1e-9)


def test_channels_are_mixed_down_or_chosen_from_one(tmp_path: Path) -> None:
    samples = noise(1000, 3)
    path = write(tmp_path / "clip.wav", samples)
    np.testing.assert_allclose(read(path).waveform, samples.mean(axis=1), atol=1e-7)
    for channel in (1, 2, 3):
        np.testing.assert_array_equal(read(path, channel=channel).waveform, samples[:, channel - 1])


def test_a_channel_that_is_not_there_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "clip.wav", noise(1000, 2)), channel=3)
    assert error.outcome == "decode_error"
    assert "channel 3 is wanted, the file has 2; mend the manifest's channel" in str(error)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [(0.25, 0.75, 2000, 6000), (None, 0.5, 0, 4000), (0.5, None, 4000, 8000), (0, 1.0005, 0, 8000)],
)
def test_a_segment_is_the_samples_from_start_to_end(
    tmp_path: Path, start: float | None, end: float | None, first: int, last: int
) -> None:
    samples = noise(8000)[:, 0]
    for suffix in ("wav", "flac"):
        path = tmp_path / f"clip.{suffix}"
        soundfile.write(path, samples, 8000)
        clip = read_clip(Segment(path=path, start=start, end=end), sample_rate=8000, max_kept_s=30)
        assert clip.num_samples == last - first
        np.testing.assert_allclose(clip.waveform, samples[first:last], atol=1e-4)


@pytest.mark.parametrize("segment", [{"start": 1.5}, {"end": 1.1}, {"start": 0.9, "end": 1.002}])
def test_a_segment_beyond_the_file_is_refused(tmp_path: Path, segment: dict[str, float]) -> None:
    error = refused(write(tmp_path / "clip.wav", noise(RATE)), **segment)
    assert error.outcome == "decode_error"
    assert "reaches beyond the file's 1 s; mend start and end" in str(error)


def test_the_digest_is_of_the_samples_not_of_the_file(tmp_path: Path) -> None:
    # As whole numbers: from floats the library rounds otherwise for each format.
    samples = (noise(4000) * 32767).astype(np.int16)
    for suffix in ("wav", "flac"):
        soundfile.write(tmp_path / f"clip.{suffix}", samples, RATE)
    whole = read(tmp_path / "clip.wav")
    assert read(tmp_path / "clip.flac").audio_digest == whole.audio_digest
    part = read(tmp_path / "clip.wav", start=0.0, end=0.1)
    assert part.audio_digest != whole.audio_digest
    assert read(tmp_path / "clip.wav", start=0.1, end=0.2).audio_digest != part.audio_digest
    assert whole.waveform is not None
    wanted = hashlib.sha256(struct.pack("<I", RATE) + whole.waveform.astype("<f4").tobytes())
    assert whole.audio_digest == wanted.hexdigest()


def test_the_digest_knows_the_channel_and_the_rate(tmp_path: Path) -> None:
    stereo = write(tmp_path / "stereo.wav", noise(2000, 2))
    slow = write(tmp_path / "slow.wav", noise(2000, 2), 8000)
    digests = {
        read(stereo).audio_digest,
        read(stereo, channel=1).audio_digest,
        read(stereo, channel=2).audio_digest,
        read(slow).audio_digest,
    }
    assert len(digests) == 4


@pytest.mark.parametrize("name", ["empty.wav", "text.wav", "text.mp3", "noise.flac", "none"])
def test_what_is_not_audio_is_refused(tmp_path: Path, name: str) -> None:
    contents = {"empty": b"", "text": b"this is no audio " * 50, "noise": bytes(range(256)) * 9}
    (tmp_path / name).write_bytes(contents.get(name.split(".")[0], b"\0" * 500))
    error = refused(tmp_path / name)
    assert error.outcome == "decode_error"
    assert str(error).startswith("not decodable (")


def test_headerless_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.raw").write_bytes(bytes(4000))
    error = refused(tmp_path / "clip.raw")
    assert error.outcome == "decode_error"
    assert "a .raw file does not say its rate; convert it" in str(error)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "clip.wav", noise(1000))
    for path in (tmp_path / "none.wav", tmp_path, tmp_path / "clip.wav" / "below.wav"):
        error = refused(path)
        assert error.outcome == "missing"
        assert "no such file; restore it, or mend its path" in str(error)


def test_a_name_that_the_system_refuses_is_an_outcome(tmp_path: Path) -> None:
    error = refused(tmp_path / f"{'a' * 300}.wav")
    assert error.outcome == "decode_error"
    assert "cannot be read (File name too long)" in str(error)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence_is_an_outcome(tmp_path: Path, level: float) -> None:
    error = refused(write(tmp_path / "clip.wav", np.full(5000, level, np.float32)))
    assert error.outcome == "silent"
    assert f"all 5000 samples are {level:g}" in str(error)


def test_opposite_channels_mix_down_to_silence(tmp_path: Path) -> None:
    samples = noise(1000)
    path = write(tmp_path / "clip.wav", np.concatenate([samples, -samples], axis=1))
    assert refused(path).outcome == "silent"
    assert read(path, channel=1).num_samples == 1000


@pytest.mark.parametrize("rate", [RATE, 44100])
@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [np.inf, -np.inf]])
def test_samples_that_are_no_numbers_are_refused(
    tmp_path: Path, bad: list[float], rate: int
) -> None:
    samples = noise(3000)[:, 0]
    samples[1000 : 1000 + len(bad)] = bad
    error = refused(write(tmp_path / "clip.wav", samples, rate))
    assert error.outcome == "nonfinite"
    assert "the samples hold NaN or infinity; mend the file" in str(error)


def test_channels_whose_mean_overflows_are_refused(tmp_path: Path) -> None:
    loud = (noise(1000, 2) + 3).astype(np.float32) * np.float32(1e38)
    assert refused(write(tmp_path / "clip.wav", loud)).outcome == "nonfinite"


@pytest.mark.parametrize(
    ("promise", "message"),
    [
        ({"num_samples": 4001}, "4000 samples decoded, the manifest says 4001"),
        ({"sample_rate": 8000}, "the file has 16000 Hz, the manifest says 8000"),
    ],
)
def test_a_broken_promise_is_a_length_mismatch(
    tmp_path: Path, promise: dict[str, int], message: str
) -> None:
    path = write(tmp_path / "clip.wav", noise(4000))
    assert read(path, num_samples=4000, sample_rate=RATE).num_samples == 4000
    error = refused(path, **promise)
    assert error.outcome == "length_mismatch"
    assert message in str(error)


def test_a_file_without_samples_and_one_sample_are_short_not_silent(tmp_path: Path) -> None:
    assert read(write(tmp_path / "none.wav", noise(0))).num_resampled == 0
    assert read(write(tmp_path / "one.wav", noise(1))).num_resampled == 1
    assert read(write(tmp_path / "slow.wav", noise(0), 8000)).num_resampled == 0


@pytest.mark.parametrize("rate", [RATE, 8000])
def test_a_long_clip_is_not_kept_and_its_windows_are_all_of_it(
    tmp_path: Path, make_wav: MakeWav, rate: int
) -> None:
    path = make_wav(tmp_path / "clip.wav", 25, rate=rate)
    whole, long = read(path, 25.0), read(path, 24.9)
    assert whole.waveform is not None
    assert long.waveform is None
    assert (long.audio_digest, long.num_resampled) == (whole.audio_digest, 25 * RATE)
    assert (long.mean, long.variance) == (whole.mean, whole.variance)
    lengths = [7, 16 * RATE, 9 * RATE - 7]
    windows = list(read_windows(Segment(path=path), sample_rate=RATE, lengths=lengths))
    assert [len(window) for window in windows] == lengths
    np.testing.assert_array_equal(np.concatenate(windows), whole.waveform)


def test_an_hour_takes_the_memory_of_some_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.wav"
    with soundfile.SoundFile(path, "w", 1000, 1) as file:
        for seed in range(60):
            file.write(noise(60 * 1000, seed=seed))
    read_sizes: list[int] = []
    whole_read = soundfile.SoundFile.read

    def watched(self: soundfile.SoundFile, frames: int = -1, **options: object) -> np.ndarray:
        read_sizes.append(frames)
        result: np.ndarray = whole_read(self, frames, **options)
        return result

    monkeypatch.setattr(soundfile.SoundFile, "read", watched)
    clip = read_clip(Segment(path=path), sample_rate=1000, max_kept_s=30)
    assert (clip.num_samples, clip.waveform) == (3600 * 1000, None)
    assert max(read_sizes) == 10 * 1000
    windows = read_windows(Segment(path=path), sample_rate=1000, lengths=[30_000] * 120)
    assert sum(len(window) for window in windows) == 3600 * 1000


def test_a_file_that_shrinks_between_two_readings_is_refused(tmp_path: Path) -> None:
    segment = Segment(path=write(tmp_path / "clip.wav", noise(1000)))
    windows = read_windows(segment, sample_rate=RATE, lengths=[600, 600])
    assert len(next(windows)) == 600
    with pytest.raises(AudioError, match="became shorter while it was read"):
        next(windows)
