import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.manifests import SUFFIXES, csv, rows
from pipeline.audio.roots import found_requests
from pipeline.errors import ManifestError
from pipeline.manifests.manifest import Manifest, read_manifest, requests, write_manifest

# As the repository of EmoBox ships them: a float count, a 1-based channel, keys with slashes.
EMOBOX = [
    {
        "key": "iemocap-Ses01F_impro04_F000",
        "dataset": "iemocap",
        "wav": "downloads/iemocap/Ses01F_impro04_F000.wav",
        "type": "raw",
        "sample_rate": 16000,
        "num_frame": 32706.000000000004,
        "task": "category",
        "length": 2.0441,
        "emo": "neu",
        "channel": 1,
    },
    {
        "key": "asvp-esd-actor 12/03-01 (a)",
        "dataset": "asvp-esd",
        "wav": "downloads/asvp/Audio/actor 12/03-01 (a).wav",
        "type": "raw",
        "sample_rate": 44100,
        "num_frame": 70312.0,
        "task": "category",
        "length": 1.5944,
        "emo": "Angray",
        "channel": 2,
        "start_time": 0.25,
        "end_time": 1.5,
    },
]


PRINTABLE = st.text(min_size=1, max_size=12).filter(str.isprintable)


ODD = st.sampled_from(["a/b", "a b", "a,b", 'a"b', "'", "żółć", "语音", "NA", "nan", "None", "007"])


DATES = st.sampled_from(["2020-01-01", "2020-01-01 10:00:00", "1e5", "True", "-", "#x", "=1"])


IDS = PRINTABLE | ODD | DATES


FREE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_table(tmp_path: Path, suffix: str) -> None:
    write_manifest(tmp_path / f"m{suffix}", rows())
    found = read_manifest(tmp_path / f"m{suffix}")
    wanted = rows()
    for name in wanted.columns:
        assert found.table[name].tolist() == pytest.approx(
            wanted[name].tolist(), nan_ok=True, abs=0
        )
    assert found.table["store_id"].tolist() == [""] * 3
    assert found.table["sample_rate"].tolist() == [-1] * 3
    assert found.table["start"].dtype == np.float64
    assert found.table["channel"].dtype == np.int64
    assert found.tasks == ["emotion"]
    assert found.row_number(1) == (3 if suffix == ".csv" else 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(IDS, min_size=1, max_size=5, unique=True))
    column = st.lists(FREE | ODD | DATES, min_size=len(ids), max_size=len(ids))
    numbers = st.lists(st.floats(0, 1e6) | st.just(np.nan), min_size=len(ids), max_size=len(ids))
    wanted = pd.DataFrame(
        {
            "utterance_id": ids,
            "path": [f"{i}.wav" for i in range(len(ids))],
            "start": pd.Series(data.draw(numbers), dtype="float64"),
            "text": pd.Series(data.draw(column), dtype="str"),
        }
    )
    path = tmp_path_factory.mktemp("manifest") / f"m{suffix}"
    write_manifest(path, wanted)
    once = read_manifest(path).table
    pd.testing.assert_frame_equal(
        once[list(wanted.columns)], wanted, check_dtype=False, check_exact=True
    )
    write_manifest(path, once)
    pd.testing.assert_frame_equal(read_manifest(path).table, once, check_exact=True)


def test_columns_are_written_in_their_documented_order(tmp_path: Path) -> None:
    table = rows()[["text", "emotion", "start", "path", "utterance_id"]]
    write_manifest(tmp_path / "m.csv", table)
    header = (tmp_path / "m.csv").read_text().splitlines()[0]
    assert header == "utterance_id,path,start,text,emotion"


def test_emobox_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "fold.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in EMOBOX))
    manifest = read_manifest(path)
    table = manifest.table
    assert table["utterance_id"].tolist() == [record["key"] for record in EMOBOX]
    assert table["path"].tolist() == [record["wav"] for record in EMOBOX]
    assert table["corpus"].tolist() == ["iemocap", "asvp-esd"]
    assert table["num_samples"].tolist() == [32706, 70312]
    assert table["sample_rate"].tolist() == [16000, 44100]
    assert table["channel"].tolist() == [1, 2]
    np.testing.assert_array_equal(table["start"], [np.nan, 0.25])
    np.testing.assert_array_equal(table["end"], [np.nan, 1.5])
    assert table["emotion"].tolist() == ["neu", "Angray"]
    assert manifest.tasks == ["emotion"]


def test_json_values_of_other_types_are_taken_as_text(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(
        '{"utterance_id": 7, "path": "a.wav", "age": 41, "acted": true, "num_samples": 5}\n'
        '{"utterance_id": "b", "path": "b.wav", "age": null, "num_samples": "6.0"}\n'
    )
    table = read_manifest(path).table
    assert table["utterance_id"].tolist() == ["7", "b"]
    assert table["age"].tolist() == ["41", ""]
    assert table["acted"].tolist() == ["True", ""]
    assert table["num_samples"].tolist() == [5, 6]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = csv(tmp_path, "\ufeffutterance_id,path\na,a.wav\n")
    assert read_manifest(path).table["utterance_id"].tolist() == ["a"]


def test_the_store_id_stands_in_where_it_is_given(tmp_path: Path) -> None:
    path = csv(tmp_path, "utterance_id,store_id,path\none/a,a,a.wav\nb,,b.wav\n")
    assert read_manifest(path).store_ids == ["a", "b"]


def manifest_of(tmp_path: Path) -> Manifest:
    write_manifest(tmp_path / "m.csv", rows())
    return read_manifest(tmp_path / "m.csv")


def test_requests_find_each_corpus_under_its_own_root(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    found = requests(manifest, {"two": Path("/second"), "": Path("/first")})
    assert found["source"].tolist() == ["/first/x/a.wav", "/first/x/b.wav", "/second/x/ç.wav"]
    assert found["utterance_id"].tolist() == manifest.store_ids
    assert found["channel"].tolist() == [1, -1, 2]


def test_a_corpus_without_a_root_is_refused(tmp_path: Path) -> None:
    message = "corpus 'one' has no audio root; give --audio-root one=DIR"
    with pytest.raises(ManifestError, match=message):
        requests(manifest_of(tmp_path), {"two": Path("/second")})


def test_a_root_without_any_recording_is_asked_for(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "x").mkdir(parents=True)
    (first / "x" / "b.wav").touch()
    with pytest.raises(ManifestError) as caught:
        found_requests(manifest, {"two": second, "": first})
    assert str(caught.value) == (
        f"{manifest.path}: none of 1 recordings is there, the first that was tried is "
        f"{second / 'x/ç.wav'}; is --audio-root two={second} right?"
    )
    # One that is there is enough: the others are matters of their own rows.
    (second / "x").mkdir(parents=True)
    (second / "x" / "ç.wav").symlink_to("nowhere")
    asked = found_requests(manifest, {"two": second, "": first})
    pd.testing.assert_frame_equal(asked, requests(manifest, {"two": second, "": first}))
    with pytest.raises(ManifestError, match=r"none of 3 recordings .* is --audio-root \S+m right"):
        found_requests(manifest, {"": tmp_path / "m"})


def test_a_fold_becomes_the_split(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("utterance_id,path,split,split.1,split.b\nu,u.wav,dev,train,test\n")
    read = read_manifest(path)
    assert read.folds == ["1", "b"]
    assert read.tasks == []
    assert read.table["split"].tolist() == ["dev"]
    assert read_manifest(path, "b").table["split"].tolist() == ["test"]
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, "2")
    assert str(caught.value) == (
        f"{path}: has no fold '2', only ['1', 'b']; make folds with 'genser split'."
    )


def test_a_bad_part_of_a_fold_and_a_bad_declaration_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("utterance_id,path,split.1,official,overlap\nu,u.wav,trian,tset,yes\n")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).splitlines()[1:] == [
        f"  {path}:2: official 'tset' is not one of ['train', 'dev', 'test']",
        f"  {path}:2: overlap 'yes' is not one of ['official']",
        f"  {path}:2: split.1 'trian' is not one of ['train', 'dev', 'test']",
    ]


def test_documented_columns_that_say_nothing_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("utterance_id,path,emotion\nu,u.wav,\n")
    write_manifest(path, read_manifest(path).table)
    assert path.read_text() == "utterance_id,path,emotion\nu,u.wav,\n"
