"""The columns of a manifest that say how clips sound."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser
from helpers.manifests import SUFFIXES, csv
from pipeline.errors import ManifestError
from pipeline.manifests.descriptors import (
    GIVEN,
    described,
    descriptor_sources,
    given_descriptors,
)
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.manifests.splits import with_splits

OURS = "self-made@0123456789ab"


def table(**columns: list[object]) -> pd.DataFrame:
    names = ["a", "b", "c"]
    paths = [f"{name}.wav" for name in names]
    return pd.DataFrame({"utterance_id": names, "path": paths, **columns})


def texts(*values: str) -> pd.Series:
    return pd.Series(values, dtype="str")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_descriptors_are_free_texts_and_measured_are_numbers_and_none_is_a_task(
    tmp_path: Path, suffix: str
) -> None:
    given = table(
        emotion=["sad", "", "sad"],
        descriptors=["A soft, slow voice.", "", 'a "loud" one'],
        descriptors_source=["", "", OURS],
        word_times=["0-1", "", ""],
        **{"descriptors.1": ["x", "", "y"], "measured.pitch": [31.25, np.nan, -0.5]},
    )
    write_manifest(tmp_path / f"m{suffix}", given)
    read = read_manifest(tmp_path / f"m{suffix}")
    assert read.tasks == ["emotion"]
    for name in ("descriptors", "descriptors_source", "descriptors.1", "word_times"):
        assert read.table[name].tolist() == given[name].tolist()
    assert read.table["measured.pitch"].dtype == np.float64
    np.testing.assert_array_equal(read.table["measured.pitch"], given["measured.pitch"])


def test_a_measured_value_that_is_no_number_is_refused_by_row(tmp_path: Path) -> None:
    path = csv(tmp_path, "utterance_id,path,measured.pitch\na,a.wav,1\nb,b.wav,high\n")
    with pytest.raises(ManifestError, match=r":3: measured\.pitch 'high' is not a number"):
        read_manifest(path)


def test_a_fold_has_its_own_descriptors(tmp_path: Path) -> None:
    rows = table(
        descriptors=["", "", ""],
        **{
            "split.1": ["train", "train", "test"],
            "split.2": ["test", "train", "train"],
            "descriptors.1": ["one", "two", "three"],
        },
    )
    write_manifest(tmp_path / "m.csv", rows)
    assert read_manifest(tmp_path / "m.csv", "1").table["descriptors"].tolist() == [
        "one",
        "two",
        "three",
    ]
    assert read_manifest(tmp_path / "m.csv", "2").table["descriptors"].tolist() == ["", "", ""]


def test_given_descriptors_stay_and_made_ones_are_made_anew() -> None:
    old = table(
        descriptors=["theirs", "ours, old", ""],
        descriptors_source=["", OURS, ""],
        **{
            "descriptors.9": ["theirs", "ours, old", ""],
        },
    )
    measured = pd.DataFrame({"pitch": [1.0, 2.0, np.nan]})
    made = {"": texts("x", "y", ""), "1": texts("u", "v", "")}
    new = described(old, made, "self-made@fff", measured)
    assert new["descriptors"].tolist() == ["theirs", "y", ""]
    assert new["descriptors.1"].tolist() == ["theirs", "v", ""]
    assert new["descriptors_source"].tolist() == ["", "self-made@fff", ""]
    assert new["measured.pitch"].tolist()[:2] == [1.0, 2.0]
    assert "descriptors.9" not in new
    assert descriptor_sources(new) == (GIVEN, "self-made@fff")
    assert given_descriptors(new).tolist() == ["theirs", "", ""]
    again = described(new, {"": texts("x", "z", "")}, "self-made@ggg", measured)
    assert again["descriptors"].tolist() == ["theirs", "z", ""]
    assert "descriptors.1" not in again


def test_another_split_takes_what_was_made_of_the_old_one_with_it() -> None:
    old = table(descriptors=["theirs", "ours", ""], descriptors_source=["mine@1", OURS, ""])
    old["measured.pitch"] = [1.0, 2.0, 3.0]
    new = with_splits(old, pd.DataFrame({"split": ["train", "dev", "test"]}))
    assert new["descriptors"].tolist() == ["theirs", "", ""]
    assert new["descriptors_source"].tolist() == ["mine@1", "", ""]
    assert new["measured.pitch"].tolist() == [1.0, 2.0, 3.0]


def test_prepare_imports_descriptors_of_any_table_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("id,file,caption,measured.energy\na,a.wav,A loud voice.,0.5\n")
    names = ("--map", "id=utterance_id", "--map", "file=path", "--map", "caption=descriptors")
    result = genser("prepare", "table", path, *names, "-o", tmp_path / "mine.csv")
    assert result.exit_code == 0, result.output
    found = read_manifest(tmp_path / "mine.csv")
    assert found.table["descriptors"].tolist() == ["A loud voice."]
    assert found.table["measured.energy"].tolist() == [0.5]
    assert descriptor_sources(found.table) == (GIVEN,)
    assert found.tasks == []
