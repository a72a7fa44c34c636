"""Long recordings: times exact to a frame, bounded memory, killed and gone on with, bad ones."""

import json
import os
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers.extraction import tree
from helpers.long import (
    FRAME,
    LOUD,
    QUIET,
    SOFT,
    LoudnessHead,
    killed_at_every_flush,
    predict,
    session,
    speech,
    windows,
)
from pipeline.audio.decoding import Recording, read_clip
from pipeline.audio.segments import Segment
from pipeline.errors import OutputError
from pipeline.segmentation import stretches as stretches_module
from pipeline.segmentation.stretches import Stretches

FRAME_S = FRAME / 16000
# Frames and loudness; two soft ones, with a silence between that merging bridges.
PARTS = [(20, QUIET), (50, LOUD), (40, QUIET), (30, SOFT), (12, QUIET), (25, SOFT), (60, QUIET)]
PAD = 3
TRUTH = [(20, 70, "angry"), (110, 140, "calm"), (152, 177, "calm")]


def rows(path: Path) -> list[tuple[float, float, str]]:
    table = pd.read_csv(path)
    return list(zip(table["start"], table["end"], table["predicted"], strict=True))


def test_times_are_those_of_the_made_up_timeline(tmp_path):
    path = session(tmp_path / "a b.wav", PARTS)
    head = LoudnessHead()
    assert predict(tmp_path / "out", [path], speech(), head) == 0
    folder = tmp_path / "out" / "a b.wav"
    padded = [((a - PAD) * FRAME_S, (b + PAD) * FRAME_S, label) for a, b, label in TRUTH]
    assert rows(folder / "stretches.csv") == [(round(a, 3), round(b, 3), c) for a, b, c in padded]
    merged = [padded[0], (padded[1][0], padded[2][1], "calm")]
    assert rows(folder / "timeline.csv") == [(round(a, 3), round(b, 3), c) for a, b, c in merged]
    told = json.loads((folder / "timeline.json").read_text())
    assert [(x["start"], x["end"]) for x in told["timeline"]] == [
        (round(a, 3), round(b, 3)) for a, b, _ in merged
    ]
    assert (folder / "timeline.rttm").read_text().split()[1] == "a_b"
    assert 'text = "angry"' in (folder / "timeline.TextGrid").read_text()
    assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")
    (done,) = pd.read_csv(tmp_path / "out" / "recordings.csv").to_dict("records")
    assert (done["stretches"], done["parts"], done["folder"]) == (3, 2, "a b.wav")
    # What the head hears is what extraction would cut from the file.
    whole = soundfile.read(path, dtype="float32")[0]
    for clip, (start, end, _) in zip(head.heard, padded, strict=True):
        np.testing.assert_array_equal(
            clip.samples, whole[round(start * 16000) : round(end * 16000)]
        )


@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_stretch_is_decoded_as_a_row_of_a_manifest_with_its_times(tmp_path, rate):
    path = session(tmp_path / "a.flac", PARTS, rate)
    head = LoudnessHead()
    predict(tmp_path / "out", [path], speech(), head)
    assert len(head.heard) == len(TRUTH)
    for clip, (start, end, _) in zip(head.heard, TRUTH, strict=True):
        # The resampler's own edges may reach a frame further.
        assert clip.place.start == pytest.approx((start - PAD) * FRAME_S, abs=FRAME_S + 1e-6)
        assert clip.place.end == pytest.approx((end + PAD) * FRAME_S, abs=FRAME_S + 1e-6)
        listener = type("Any", (), {"sample_rate": 16000, "min_samples": 1})()
        (decoded,) = clip.decode([(listener, 30.0)])
        place = Segment(path=path, start=clip.place.start, end=clip.place.end)
        wanted = read_clip(place, sample_rate=16000, max_kept_s=30.0)
        assert decoded.clip.audio_digest == wanted.audio_digest
        np.testing.assert_array_equal(decoded.clip.waveform, wanted.waveform)


def test_windows_are_averaged_where_they_overlap(tmp_path):
    path = session(tmp_path / "a.wav", [(125, SOFT), (125, LOUD)])  # 4 s each
    head = LoudnessHead()
    predict(tmp_path / "out", [path], windows(window_s=2.0, hop_s=1.0), head)
    assert [clip.place.start for clip in head.heard] == [0, 1, 2, 3, 4, 5, 6]
    table = pd.read_csv(tmp_path / "out" / "a.wav" / "timeline.csv")
    # From 3 to 4 s a soft window and one that reaches into what is loud count half each.
    assert table["start"].tolist() == [0, 4]
    assert table["end"].tolist() == [4, 8]
    assert table["predicted"].tolist() == ["calm", "angry"]
    np.testing.assert_allclose(table["probability.angry"], [(0.1 * 3 + 0.45) / 4, 0.8], atol=1e-3)


def test_killed_at_every_touch_of_the_disk_it_goes_on(tmp_path, monkeypatch):
    parts = [part for i in range(6) for part in [(15, (SOFT, LOUD)[i % 2]), (30, QUIET)]]
    paths = [session(tmp_path / f"{name}.wav", parts) for name in "ab"]
    monkeypatch.setattr("pipeline.scoring.timeline_files.draw_timeline", lambda *_, **__: None)
    predict(tmp_path / "undisturbed", paths, speech())
    wanted = tree(tmp_path / "undisturbed")

    def work(folder: Path) -> None:
        predict(folder, paths, speech())

    for event, folder in killed_at_every_flush(tmp_path, work):
        head = LoudnessHead()
        predict(folder, paths, speech(), head)
        assert tree(folder) == wanted, event
        # Of twelve stretches none is scored anew that was on the disk.
        assert len(head.heard) <= 12 - 2 * max((event - 3) // 6, 0)
    assert event > 15


def test_what_is_done_is_not_done_again_and_what_has_changed_is(tmp_path):
    paths = [session(tmp_path / f"{name}.wav", PARTS) for name in "ab"]
    predict(tmp_path / "out", paths, speech())
    again = LoudnessHead()
    predict(tmp_path / "out", paths, speech(), again)
    assert not again.heard
    session(paths[0], [(40, QUIET), (50, LOUD), (40, QUIET)])
    predict(tmp_path / "out", paths, speech(), again)
    assert [clip.place.path for clip in again.heard] == [paths[0]]
    table = pd.read_csv(tmp_path / "out" / "recordings.csv")
    assert sorted(table["path"]) == [str(path) for path in paths]
    with pytest.raises(OutputError, match=r"recordings\.csv:2: was made by another head or other"):
        predict(tmp_path / "out", paths, speech(), LoudnessHead("another"))
    with pytest.raises(OutputError, match="other settings"):
        predict(tmp_path / "out", paths, speech(threshold=0.6))


def test_bad_recordings_have_a_row_and_stop_nothing(tmp_path):
    good = session(tmp_path / "good.wav", PARTS)
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    cut_off = session(tmp_path / "cut.wav", PARTS)
    cut_off.write_bytes(cut_off.read_bytes()[:9000])
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    broken = tmp_path / "nan.wav"
    samples = np.full(16000 * 25, 0.1, np.float32)
    samples[::2] *= -1
    samples[16000 * 20] = np.nan
    soundfile.write(broken, samples, 16000, subtype="FLOAT")
    silent = session(tmp_path / "silent.wav", [(100, QUIET)])
    empty = session(tmp_path / "empty.wav", [(0, QUIET)])
    paths = [text, cut_off, pipe, broken, silent, empty, tmp_path / "none.wav", good]
    assert predict(tmp_path / "out", paths, speech()) == 6
    table = pd.read_csv(tmp_path / "out" / "recordings.csv", keep_default_na=False)
    outcomes = dict(zip(table["path"].map(lambda x: Path(x).stem), table["error"], strict=True))
    assert {name: error.split(":")[0] for name, error in outcomes.items()} == {
        "text": "decode_error",
        "cut": "truncated",
        "pipe": "decode_error",
        "nan": "nonfinite",
        "silent": "",
        "empty": "too_short",
        "none": "missing",
        "good": "",
    }
    assert rows(tmp_path / "out" / "silent.wav" / "timeline.csv") == []
    assert (tmp_path / "out" / "silent.wav" / "timeline.png").exists()


def test_recordings_of_one_name_have_a_folder_each(tmp_path):
    paths = [session(tmp_path / folder / "x.wav", PARTS) for folder in "ab"]
    predict(tmp_path / "out", paths[:1], speech())
    predict(tmp_path / "out", paths, speech())
    table = pd.read_csv(tmp_path / "out" / "recordings.csv")
    assert table["path"].tolist() == [str(path) for path in paths]
    assert table["folder"][0] == "x.wav"
    assert table["folder"][1].startswith("x.wav-")
    assert all((tmp_path / "out" / name / "timeline.csv").exists() for name in table["folder"])


@pytest.mark.parametrize("cut", [speech, windows])
def test_an_hour_is_heard_in_the_memory_of_a_minute(monkeypatch, cut):
    rate, hour = 8000, 3600
    block = np.where(np.arange(rate * 10) % (2 * rate) < rate, 0.1, 0.0).astype(np.float32)
    block *= np.where(np.arange(len(block)) // 10 % 2, -1, 1)

    @contextmanager
    def endless(_: Path):
        blocks = (block.copy() for _ in range(hour // 10))
        yield Recording(sample_rate=rate, num_samples=rate * hour, blocks=blocks)

    monkeypatch.setattr(stretches_module, "open_recording", endless)
    tracemalloc.start()
    with Stretches(Path("x.wav"), cut(), lambda _: None) as stretches:
        found = [span for span, _ in stretches]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 1799 + (cut is speech)
    assert peak < 60 * rate * 4 * 4  # bytes; the hour itself has 60 times as many samples
