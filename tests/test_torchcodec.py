import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio import containers
from pipeline.audio import decoding as audio
from pipeline.audio.decoding import read_clip
from pipeline.audio.segments import Segment
from pipeline.errors import AudioError

RATE = 48000


def read(path: Path, **segment: object):
    return read_clip(Segment(path=path, **segment), sample_rate=RATE, max_kept_s=60)


CODECS = {
    "six.mp4": ["-c:a", "aac", "-movflags", "+faststart"],
    "six.m4a": ["-c:a", "aac"],
    "six.mov": ["-c:a", "pcm_s16le"],
    "six.mkv": ["-c:a", "aac"],
    "six.avi": ["-c:a", "ac3"],
    "six.webm": ["-c:a", "libvorbis"],
    "six.aac": ["-c:a", "aac"],
    "two.mp4": ["-c:a", "aac", "-ac", "2"],
}


def made_by_ffmpeg(folder: Path, name: str = "six.mp4", seconds: float = 3.0) -> Path:
    """Six channels or two, 440 Hz but 880 in the third, and a picture where one fits."""
    pytest.importorskip("torchcodec")
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    tones = [
        part
        for pitch in (440, 880)
        for part in ("-f", "lavfi", "-i", f"sine=frequency={pitch}:d={seconds}:sample_rate={RATE}")
    ]
    order = "0.0-FL|0.0-FR|1.0-FC|0.0-LFE|0.0-BL|0.0-BR"
    joined = f"[0:a][1:a]join=inputs=2:channel_layout=5.1:map={order}[a]"
    picture = ["-f", "lavfi", "-i", f"color=d={seconds + 1}:s=32x32:r=5", "-map", "2:v"]
    if Path(name).suffix in (".aac", ".m4a"):
        picture = []
    path = folder / name
    subprocess.run(
        [
            *("ffmpeg", "-loglevel", "error", *tones, *picture, "-filter_complex", joined),
            *("-map", "[a]", *CODECS[name], path),
        ],
        check=True,
    )
    return path


def pitch(wave: np.ndarray) -> float:
    """Return the strongest frequency, hertz."""
    spectrum = np.abs(np.fft.rfft(wave))
    return float(spectrum.argmax() * RATE / len(wave))


@pytest.mark.parametrize("name", CODECS)
def test_the_real_torchcodec_gives_the_same_samples_in_blocks_as_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = made_by_ffmpeg(tmp_path, name)
    from torchcodec.decoders import AudioDecoder

    wanted = AudioDecoder(path).get_all_samples().data.numpy()
    assert containers.read_header(path) == (RATE, len(wanted))
    assert len(wanted) == (2 if name.startswith("two") else 6)
    monkeypatch.setattr(audio, "BLOCK_S", 0.37)
    clips = [read(path, channel=channel + 1) for channel in range(len(wanted))]
    for clip, channel in zip(clips, wanted, strict=True):
        np.testing.assert_array_equal(clip.waveform, channel)
        assert clip.num_samples == len(channel)
        assert clip.duration == pytest.approx(3.0, abs=0.05)
    part = read(path, channel=1, start=1.0, end=2.5)
    np.testing.assert_array_equal(part.waveform, wanted[0, RATE : RATE * 5 // 2])
    assert read(path, channel=2).audio_digest == clips[1].audio_digest
    if len(wanted) == 6:
        assert [round(pitch(clip.waveform), -1) for clip in clips[:3]] == [440, 440, 880]


@pytest.mark.parametrize("kept", [0.4, 0.97])
@pytest.mark.parametrize("name", CODECS)
def test_the_real_torchcodec_s_cut_files_are_refused(
    tmp_path: Path, name: str, kept: float
) -> None:
    path = made_by_ffmpeg(tmp_path, name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(AudioError) as caught:
        read(path)
    assert caught.value.outcome in ("truncated", "decode_error")


def test_the_real_torchcodec_reads_a_bare_stream_that_grows_loud(tmp_path: Path) -> None:
    made_by_ffmpeg(tmp_path, "six.aac")
    path = tmp_path / "clip.aac"
    tone = "aevalsrc=if(gt(t\\,20)\\,0.3*random(0)\\,0.00001*random(1)):s=48000:d=60"
    subprocess.run(
        [*("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", tone), *("-q:a", "1", path)],
        check=True,
    )
    assert read_clip(Segment(path=path), sample_rate=RATE, max_kept_s=1).duration == pytest.approx(
        60, abs=0.05
    )


def test_the_real_torchcodec_refuses_what_has_no_sound(tmp_path: Path) -> None:
    path = made_by_ffmpeg(tmp_path)
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", path, "-an", tmp_path / "mute.mp4"], check=True
    )
    (tmp_path / "text.mp4").write_bytes(b"this is no video " * 99)
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("mute.mp4", "text.mp4", "empty.mp4"):
        for attempt in (read, containers.read_header):
            with pytest.raises(AudioError, match=r"^not decodable \([^_]") as caught:
                attempt(tmp_path / name)
            assert caught.value.outcome == "decode_error"
