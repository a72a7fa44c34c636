"""From a manifest and recordings to the manifest with texts: what becomes of each clip."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers.extraction import PlainEncoder
from helpers.transcribing import PlainRecogniser, num_heard, run, write_clips, written
from pipeline.audio.segments import segments
from pipeline.errors import EncoderError, OutputError, ParamsError
from pipeline.extraction.encoding import decode
from pipeline.manifests.manifest import read_manifest, requests, write_manifest
from pipeline.transcription.transcribe import TranscribeConfig

MakeWav = Callable[..., Path]


@pytest.fixture
def manifest(tmp_path: Path, make_wav: MakeWav) -> Path:
    return write_clips(tmp_path, make_wav, 7)


def out(manifest: Path) -> pd.DataFrame:
    return read_manifest(manifest.with_name("out.csv")).table


def edit(manifest: Path, **columns: object) -> None:
    write_manifest(manifest, read_manifest(manifest).table.assign(**columns))


def test_the_new_manifest_has_every_row_and_column_of_the_old(manifest: Path) -> None:
    edit(manifest, emotion="sad", language="en")
    summary = run(manifest)
    old, new = read_manifest(manifest).table, out(manifest)
    shared = [name for name in old.columns if name != "text"]
    pd.testing.assert_frame_equal(new[shared], old[shared])
    assert set(new.columns) - set(old.columns) == {"text_source", "text_given"}
    assert new["text"].tolist() == [f"{1600 + 160 * (5 * i % 7)} samples" for i in range(7)]
    assert new["text_source"].unique().tolist() == [PlainRecogniser().source]
    assert new["text_given"].tolist() == old["text"].tolist()
    assert (summary.outcomes, summary.failures, summary.num_new) == ({"ok": 7}, [], 7)
    assert summary.audio_s == pytest.approx(0.91)
    assert summary.word_errors == {"c": (0.0, 3)}


def test_a_second_run_transcribes_nothing_and_writes_the_same_bytes(manifest: Path) -> None:
    assert num_heard(manifest) == 7
    before = written(manifest)
    assert num_heard(manifest) == 0
    assert written(manifest) == before


def test_only_changed_and_new_clips_are_transcribed_again(
    manifest: Path, make_wav: MakeWav
) -> None:
    run(manifest)
    make_wav(manifest.parent / "audio" / "3.wav", 0.5, seed=30)
    table = read_manifest(manifest).table
    added = table[:1].assign(utterance_id="part", start=0.02)
    write_manifest(manifest, pd.concat([table, added], ignore_index=True))
    assert num_heard(manifest) == 2
    assert out(manifest)["text"].tolist()[3] == "8000 samples"
    assert out(manifest)["text"].tolist()[7] == "1280 samples"


def test_a_recording_under_another_name_is_known_and_one_in_two_rows_is_heard_once(
    manifest: Path,
) -> None:
    audio = manifest.parent / "audio"
    shutil.copy(audio / "0.wav", audio / "6.wav")
    assert num_heard(manifest) == 6
    (audio / "1.wav").rename(audio / "one.wav")
    edit(manifest, path=read_manifest(manifest).table["path"].replace("1.wav", "one.wav"))
    assert num_heard(manifest) == 0
    assert out(manifest)["text"].ne("").all()


@pytest.mark.parametrize(
    "change", [{"weights": "w1"}, {"max_new_tokens": 7}, {"compute_dtype": "bfloat16"}]
)
def test_texts_of_another_recogniser_or_setting_are_not_taken(
    manifest: Path, change: dict[str, object]
) -> None:
    run(manifest)
    before = written(manifest)
    assert num_heard(manifest, **change) == 7
    # Back again, the old ones are still there.
    assert num_heard(manifest) == 0
    assert written(manifest).items() >= before.items()


def test_damaged_texts_are_made_again(manifest: Path) -> None:
    run(manifest)
    before = written(manifest)
    (kept,) = manifest.with_name("out.csv.texts").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"1600 samples", b"1601 samples"))
    assert num_heard(manifest) == 7
    assert written(manifest) == before


def test_bad_audio_has_the_outcomes_of_extraction(manifest: Path, make_wav: MakeWav) -> None:
    audio = manifest.parent / "audio"
    (audio / "0.wav").unlink()
    soundfile.write(audio / "1.wav", np.zeros(8000), 16000)
    (audio / "2.wav").write_bytes(b"no sound")
    make_wav(audio / "3.wav", 0.02)
    soundfile.write(audio / "4.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    (audio / "5.wav").write_bytes((audio / "5.wav").read_bytes()[:-500])
    summary = run(manifest)
    places = segments(requests(read_manifest(manifest), {"": audio}))
    errors = [decode(place, PlainEncoder(), 30).error for place in places]
    assert summary.failures == [
        f"{manifest}:{2 + i}: 'c{i}': {error.outcome}: {error}"
        for i, error in enumerate(errors)
        if error is not None
    ]
    assert summary.outcomes == {
        **dict.fromkeys(("decode_error", "missing", "nonfinite", "ok"), 1),
        **dict.fromkeys(("silent", "too_short", "truncated"), 1),
    }
    rows = out(manifest)
    assert rows["text"].ne("").tolist() == [False] * 6 + [True]
    assert rows["text_source"].tolist() == [""] * 6 + [PlainRecogniser().source]
    assert rows["text_given"].tolist() == read_manifest(manifest).table["text"].tolist()
    assert summary.word_errors == {"c": (0.0, 1)}
    # Bad bytes are known as such; a file that is not there may come.
    make_wav(audio / "0.wav", 0.3)
    again = run(manifest)
    assert (again.num_new, again.outcomes["ok"]) == (1, 2)


def test_a_clip_beyond_the_window_is_refused_and_not_cut(manifest: Path, make_wav: MakeWav) -> None:
    make_wav(manifest.parent / "audio" / "2.wav", 30.1)
    make_wav(manifest.parent / "audio" / "4.wav", 30.0)
    summary = run(manifest)
    assert summary.failures == [
        f"{manifest}:4: 'c2': too_long: 30.1 s are longer than the 30 s of transcribe."
        "max_duration_s; cut the recording by start and end in the manifest."
    ]
    assert out(manifest)["text"].tolist()[4] == "480000 samples"
    assert out(manifest)["text_source"].tolist()[2] == ""
    assert run(manifest, max_duration_s=0.15).outcomes == {"ok": 5, "too_long": 2}


def test_a_window_that_the_recogniser_has_not_is_refused(manifest: Path) -> None:
    with pytest.raises(
        EncoderError, match=r"max_duration_s: plain takes 30 seconds at once, found 31"
    ):
        run(manifest, max_duration_s=31)


def test_clips_of_like_length_share_a_batch(manifest: Path) -> None:
    run(manifest, PlainRecogniser(tells_batch=True))
    lengths = sorted({text.partition(" of ")[2] for text in out(manifest)["text"]})
    assert lengths == ["[1600]", "[1920, 1760]", "[2240, 2080]", "[2560, 2400]"]


def test_a_file_where_the_texts_should_lie_is_refused(manifest: Path) -> None:
    manifest.with_name("out.csv.texts").write_text("mine")
    with pytest.raises(OutputError, match=r"out.csv.texts: is a file, wanted a folder"):
        run(manifest)


@pytest.mark.parametrize("name", ["batch_size", "max_new_tokens", "max_duration_s"])
def test_settings_below_one_are_refused(name: str) -> None:
    with pytest.raises(ParamsError, match=rf"transcribe\.{name}: found 0, wanted more than 0"):
        TranscribeConfig(**{name: 0})
