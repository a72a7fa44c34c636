from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.corpora.folders import (
    count_note,
    find_file,
    find_recordings,
    natural_order,
    read_headers,
    read_labels,
    some,
)
from pipeline.errors import ManifestError

MakeWav = Callable[..., Path]


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_recordings_are_found_at_any_depth_and_hidden_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / ".data"
    touch(folder, "b.wav", "a/deep/c.FLAC", "a/d.Mp3", "a/._d.mp3", ".cache/e.wav", "f.txt")
    (folder / "folder.wav").mkdir()
    found = [path.relative_to(folder).as_posix() for path in find_recordings(folder)]
    assert found == ["a/d.Mp3", "a/deep/c.FLAC", "b.wav"]
    assert find_recordings(folder, (".txt",)) == [folder / "f.txt"]


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as error:
        find_recordings(tmp_path / "none")
    assert str(error.value) == (
        f"{tmp_path / 'none'}: no such folder; name the folder of the corpus."
    )
    touch(tmp_path, "readme.txt")
    with pytest.raises(ManifestError) as error:
        find_recordings(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: holds no recordings (.wav, .flac, .ogg, ...); name a folder that has some."
    )


def test_a_file_is_found_once_and_copies_of_it_do_no_harm(tmp_path: Path) -> None:
    touch(tmp_path, "a/labels.csv", "b/labels.csv", "labels.csv.bak")
    assert find_file(tmp_path, "labels.csv", "the labels") == tmp_path / "a/labels.csv"
    with pytest.raises(ManifestError) as error:
        find_file(tmp_path, "none.csv", "the labels")
    assert str(error.value) == f"{tmp_path}: holds no none.csv, the labels; put it there."
    (tmp_path / "b/labels.csv").write_text("others")
    with pytest.raises(ManifestError) as error:
        find_file(tmp_path, "labels.csv", "the labels")
    assert str(error.value) == (
        f"{tmp_path}: holds labels.csv 2 times, e.g. {tmp_path / 'a/labels.csv'} and "
        f"{tmp_path / 'b/labels.csv'}, and they differ; keep one."
    )


def test_labels_are_texts_whatever_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("id\tname\n001\tNA\n002\t\n")
    assert read_labels(path, ["id", "name"], separator="\t").to_dict("list") == {
        "id": ["001", "002"],
        "name": ["NA", ""],
    }
    with pytest.raises(ManifestError) as error:
        read_labels(path, ["id", "sex"], separator="\t")
    assert str(error.value) == (
        f"{path}: has no column 'sex', only ['id', 'name']; fetch the corpus again."
    )


def test_names_with_numbers_are_in_the_order_that_people_expect() -> None:
    names = ["fold_10", "fold_2", "b1", "fold_1", "10", "9", "fold"]
    assert sorted(names, key=natural_order) == [
        *("9", "10", "b1"),
        *("fold", "fold_1", "fold_2", "fold_10"),
    ]


def test_headers_tell_length_rate_and_channels_or_nothing(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    paths = [make_wav(tmp_path / "a.flac", 0.1, rate=8000, channels=2), tmp_path / "bad.wav"]
    assert read_headers(paths).to_dict("list") == {
        "num_samples": [800, -1],
        "sample_rate": [8000, -1],
        "channels": [2, -1],
    }
    assert read_headers([]).columns.tolist() == ["num_samples", "sample_rate", "channels"]


def test_what_is_missing_and_extra_is_counted_and_the_first_few_are_named() -> None:
    assert count_note("clips", ["a", "b"], ["b", "a"]) == []
    assert count_note("clips", ["x", "a"], ["a", "e", "d", "c", "b"]) == [
        "4 of 5 clips missing: b, c, d, ...",
        "1 of 5 clips extra: x",
    ]
    assert (some([1, 2, 3]), some([1, 2, 3, 4])) == ("1, 2, 3", "1, 2, 3, ...")
