"""Sound of containers: with a stand-in for torchcodec, and with the real one where it is."""

import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio import containers
from pipeline.audio.decoding import read_clip, read_windows
from pipeline.audio.segments import Segment
from pipeline.audio.truncation import require_whole
from pipeline.corpora.folders import read_headers
from pipeline.errors import AudioError

RATE = 48000


def install(
    monkeypatch: pytest.MonkeyPatch,
    samples: np.ndarray | None,
    promised: float | None = None,
    begin: float | None = 0.0,
) -> None:
    """Put a torchcodec in place that decodes every file to `samples`, shape (channels, N)."""

    class AudioDecoder:
        def __init__(self, path: Path) -> None:
            if samples is None:
                raise RuntimeError("no audio stream\nmore of it")
            seconds = samples.shape[1] / RATE if promised is None else promised
            self.metadata = types.SimpleNamespace(
                sample_rate=RATE,
                num_channels=len(samples),
                duration_seconds_from_header=seconds,
                begin_stream_seconds_from_header=begin,
            )

        def get_all_samples(self) -> types.SimpleNamespace:
            data = types.SimpleNamespace(numpy=lambda: samples)
            return types.SimpleNamespace(sample_rate=RATE, data=data)

    decoders = types.ModuleType("torchcodec.decoders")
    decoders.AudioDecoder = AudioDecoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchcodec", types.ModuleType("torchcodec"))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", decoders)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "dia0_utt0.MP4"
    path.write_bytes(b"a video")
    return path


def six_channels(seconds: float = 25.0) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.uniform(-1, 1, (6, round(seconds * RATE))).astype(np.float32)


def read(path: Path, **segment: object):
    return read_clip(Segment(path=path, **segment), sample_rate=RATE, max_kept_s=60)


def test_a_channel_of_a_video_is_read_in_blocks(video, monkeypatch) -> None:
    samples = six_channels()
    install(monkeypatch, samples)
    clip = read(video, channel=3)
    np.testing.assert_array_equal(clip.waveform, samples[2])
    assert clip.num_samples == samples.shape[1]
    assert clip.sample_rate == RATE
    np.testing.assert_allclose(read(video).waveform, samples.mean(0), atol=1e-6)


def test_a_stretch_of_a_video_is_exact(video, monkeypatch) -> None:
    samples = six_channels(2.0)
    install(monkeypatch, samples)
    clip = read(video, channel=1, start=0.5, end=1.25)
    np.testing.assert_array_equal(clip.waveform, samples[0, RATE // 2 : RATE * 5 // 4])


def test_headers_of_videos_tell_rate_and_channels_and_no_length(video, monkeypatch) -> None:
    install(monkeypatch, six_channels(1.0))
    assert read_headers([video]).iloc[0].to_dict() == {
        "num_samples": -1,
        "sample_rate": RATE,
        "channels": 6,
    }


@pytest.mark.parametrize(
    ("samples", "promised", "channel", "outcome", "message"),
    [
        (None, None, None, "decode_error", "not decodable (no audio stream); replace the file."),
        (
            np.ones((1, RATE), np.float32),
            2.0,
            None,
            "truncated",
            "1.00 s decoded, the header promises 2.00 s; replace the file.",
        ),
        (
            six_channels(0.1)[:2],
            None,
            3,
            "decode_error",
            "channel 3 is wanted, the file has 2; mend the manifest's channel.",
        ),
        (np.zeros((1, RATE), np.float32), None, None, "silent", "all 48000 samples are 0"),
        (np.full((1, RATE), np.nan, np.float32), None, None, "nonfinite", "the samples hold NaN"),
    ],
)
def test_what_is_wrong_with_a_video_is_an_outcome(
    video, monkeypatch, samples, promised, channel, outcome, message
) -> None:
    install(monkeypatch, samples, promised)
    with pytest.raises(AudioError) as caught:
        read(video, channel=channel)
    assert caught.value.outcome == outcome
    assert str(caught.value).startswith(message)


def test_without_torchcodec_the_way_to_get_it_is_told(video, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    with pytest.raises(AudioError, match=r"\.MP4 needs torchcodec and FFmpeg .* 'genser\[video\]'"):
        read(video)
    assert read_headers([video])["channels"].tolist() == [-1]


def test_an_ffmpeg_that_is_not_there_is_told_too(video, tmp_path, monkeypatch) -> None:
    package = tmp_path / "site" / "torchcodec"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('Could not load it.\\nCauses')")
    monkeypatch.delitem(sys.modules, "torchcodec", raising=False)
    monkeypatch.delitem(sys.modules, "torchcodec.decoders", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(AudioError, match=r"needs torchcodec and FFmpeg \(Could not load it\.\)"):
        read(video)


def test_what_a_bare_stream_s_length_is_guessed_to_be_is_no_promise(video, monkeypatch) -> None:
    install(monkeypatch, six_channels(1.0), promised=2.0, begin=None)
    assert read(video).duration == 1.0


@pytest.mark.parametrize("broken", [ZeroDivisionError("Fraction(113, 0)"), TypeError("None")])
def test_damage_that_trips_torchcodec_itself_is_an_outcome(video, monkeypatch, broken) -> None:
    install(monkeypatch, six_channels(0.1))

    def trip(path: Path) -> None:
        raise broken

    monkeypatch.setattr(sys.modules["torchcodec.decoders"], "AudioDecoder", trip)
    for attempt in (read, containers.read_header):
        with pytest.raises(
            AudioError, match=r"^not decodable \(.*\); replace the file\.$"
        ) as caught:
            attempt(video)
        assert caught.value.outcome == "decode_error"


def test_the_builder_s_source_files_are_not_part_of_a_message(video, monkeypatch) -> None:
    install(monkeypatch, six_channels(0.1))

    def refuse(path: Path) -> None:
        raise RuntimeError("Decoder, /__w/of/the/builder.cpp:52, Could not open it")

    monkeypatch.setattr(sys.modules["torchcodec.decoders"], "AudioDecoder", refuse)
    with pytest.raises(AudioError, match=r"^not decodable \(Could not open it\); replace"):
        read(video)


def boxes(*lengths: int) -> bytes:
    names = (b"ftyp", b"moov", b"mdat")
    return b"".join(
        struct.pack(">I4s", length, name) + bytes(max(length - 8, 0))
        for length, name in zip(lengths, names, strict=True)
    )


def matroska(size: bytes, sound: int = 200) -> bytes:
    return b"\x1aE\xdf\xa3\x84name\x18S\x80g" + size + bytes(sound)


WHOLE = {
    "boxes.mp4": boxes(20, 40, 400),
    "long.mov": boxes(20, 40, 8)[:-8] + struct.pack(">I4sQ", 1, b"mdat", 316) + bytes(300),
    "chunks.avi": b"RIFF\xd4\0\0\0AVI " + bytes(208) + b"RIFF\x64\0\0\0AVIX" + bytes(96),
    "one_byte.mkv": matroska(b"\x40\xc8"),
    "eight_bytes.webm": matroska(b"\x01" + bytes(6) + b"\xc8"),
}


SILENT_ON_LENGTH = {
    "to_the_end.mp4": boxes(20, 40, 0),
    "tail.mp4": boxes(20, 40, 400) + b"\xff" * 30,
    "strange.mp4": boxes(20, 40, 5),
    "huge.mp4": struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + bytes(99),
    "pipe.avi": b"RIFF\xff\xff\xff\xffAVI " + bytes(99),
    "counted_in.avi": b"RIFF\x6c\0\0\0AVI " + bytes(96),
    "live.webm": matroska(b"\x01" + b"\xff" * 7),
    "void.mkv": b"\x1aE\xdf\xa3\x80\xec\x80\x18S\x80g\x88",
    "no_length.mkv": matroska(b"\0"),
    "ends.mkv": b"\x1aE\xdf\xa3",
}


@pytest.mark.parametrize("name", [*WHOLE, *SILENT_ON_LENGTH])
def test_containers_that_are_whole_or_do_not_say_pass(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((WHOLE | SILENT_ON_LENGTH)[name])
    require_whole(path)


@pytest.mark.parametrize("missing", [9, 50])
@pytest.mark.parametrize("name", WHOLE)
def test_a_container_cut_short_is_truncated_whatever_decodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, missing: int
) -> None:
    install(monkeypatch, six_channels(1.0))
    path = tmp_path / name
    path.write_bytes(WHOLE[name])
    assert read(path).duration == 1.0
    path.write_bytes(WHOLE[name][:-missing])
    with pytest.raises(AudioError, match=r"bytes present, the header promises \d+; repl") as caught:
        read(path)
    assert caught.value.outcome == "truncated"


def test_windows_of_a_video_join_to_the_whole(video, monkeypatch) -> None:
    samples = six_channels(25.0)
    install(monkeypatch, samples)
    lengths = [7, 16 * RATE, 9 * RATE - 7]
    segment = Segment(path=video, channel=3)
    windows = list(read_windows(segment, sample_rate=RATE, lengths=lengths))
    np.testing.assert_array_equal(np.concatenate(windows), samples[2])


def test_a_track_that_would_not_fit_into_memory_is_not_decoded(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, six_channels(0.1), promised=3600.0)
    with pytest.raises(AudioError, match=r"its 1\.0 hours take 4\.1 GB .*, wanted at most 4; cut"):
        containers.ContainerTrack(video)
