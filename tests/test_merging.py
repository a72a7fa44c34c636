import pandas as pd
import pytest

from pipeline.errors import ManifestError
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.manifests.merging import merge_manifests

LABELS = LabelMap(classes=("angry", "happy"), mapping={"joy": "happy"}, drop=("bored",))


def manifest(tmp_path, name: str, rows: list[dict[str, str]]) -> Manifest:
    path = tmp_path / f"{name}.csv"
    write_manifest(path, pd.DataFrame(rows))
    return read_manifest(path)


def row(name: str, corpus: str, emotion: str, **more: str) -> dict[str, str]:
    return {
        "utterance_id": name,
        "path": f"{name}.wav",
        "corpus": corpus,
        "speaker": "1",
        "emotion": emotion,
        **more,
    }


def test_ids_are_prefixed_only_where_they_collide_and_the_store_keeps_its_own(tmp_path):
    first = manifest(tmp_path, "a", [row("u1", "a", "angry"), row("u2", "a", "joy")])
    second = manifest(tmp_path, "b", [row("u2", "b", "bored", age="7"), row("u3", "b", "happy")])
    table = merge_manifests([first, second], task="emotion", label_map=LABELS)
    assert table["utterance_id"].tolist() == ["u1", "a/u2", "b/u2", "u3"]
    assert table["store_id"].tolist() == ["", "u2", "u2", ""]
    assert table["emotion"].tolist() == ["angry", "joy", "bored", "happy"]
    assert table["age"].tolist() == ["", "", "7", ""]
    path = tmp_path / "all.csv"
    write_manifest(path, table)
    read = read_manifest(path)
    assert read.store_ids == ["u1", "u2", "u2", "u3"]
    again = merge_manifests([read], task="emotion", label_map=None)
    pd.testing.assert_frame_equal(again, read.table)


def test_votes_and_times_that_one_corpus_lacks_stay_empty(tmp_path):
    first = manifest(tmp_path, "a", [row("u1", "a", "angry", **{"votes.angry": "3", "start": "1"})])
    second = manifest(tmp_path, "b", [row("u3", "b", "happy")])
    table = merge_manifests([first, second], task="emotion", label_map=LABELS)
    path = tmp_path / "all.jsonl"
    write_manifest(path, table)
    read = read_manifest(path).table
    assert read["votes.angry"].tolist()[0] == 3
    assert read["votes.angry"].isna().tolist() == read["start"].isna().tolist() == [False, True]


def test_numbers_need_no_entry_in_a_map_of_numbers(tmp_path):
    rows = [row("u1", "a", "2.5"), row("u2", "a", "mild"), row("u3", "a", "?"), row("u4", "a", "")]
    numbers = LabelMap(numbers=True, mapping={"mild": "2"}, drop=("?",))
    merged = merge_manifests([manifest(tmp_path, "a", rows)], task="emotion", label_map=numbers)
    assert merged["emotion"].tolist() == ["2.5", "mild", "?", ""]
    rows = [row("u1", "a", "low"), row("u2", "a", "2")]
    with pytest.raises(ManifestError, match="'low' of a: 1 rows"):
        merge_manifests([manifest(tmp_path, "b", rows)], task="emotion", label_map=numbers)


def test_unknown_labels_are_listed_with_corpus_and_count(tmp_path):
    rows = [row(f"u{i}", "a", "grumpy") for i in range(3)] + [row("v", "b", "smug")]
    with pytest.raises(ManifestError) as caught:
        merge_manifests([manifest(tmp_path, "a", rows)], task="emotion", label_map=LABELS)
    assert str(caught.value).splitlines() == [
        "2 labels of 'emotion' are not in the label map; map or drop them:",
        "  'grumpy' of a: 3 rows",
        "  'smug' of b: 1 rows",
    ]
    many = [row(f"u{i}", "a", f"mood{i:02d}") for i in range(13)]
    with pytest.raises(ManifestError, match="and 3 more"):
        merge_manifests([manifest(tmp_path, "m", many)], task="emotion", label_map=LABELS)


def test_what_cannot_be_merged_is_refused(tmp_path):
    one = manifest(tmp_path, "a", [row("u1", "a", "angry")])
    with pytest.raises(ManifestError, match=r"1 utterances are there twice, e\.g\. 'a/u1'; the"):
        merge_manifests([one, one], task="emotion", label_map=LABELS)
    nameless = manifest(tmp_path, "n", [row("u1", "", "angry")])
    with pytest.raises(
        ManifestError, match=r"n\.csv: 1 rows have no corpus, wanted a name in each"
    ):
        merge_manifests([one, nameless], task="emotion", label_map=LABELS)
    with pytest.raises(ManifestError, match=r"a\.csv: has no label column 'gender', only"):
        merge_manifests([one], task="gender", label_map=None)
