from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ManifestError
from pipeline.manifests.labels import (
    UNLABELLED,
    LabelMap,
    class_indices,
    class_names,
    train_classes,
)
from pipeline.manifests.manifest import Manifest, read_manifest

MAP = LabelMap(
    classes=("sad", "happy", "angry"), mapping={"hap": "happy", "exc": "happy"}, drop=("other",)
)


def manifest(tmp_path: Path, labels: list[str]) -> Manifest:
    lines = [f"{i},{i}.wav,{label}" for i, label in enumerate(labels)]
    path = tmp_path / "manifest.csv"
    path.write_text("utterance_id,path,emotion\n" + "\n".join(lines) + "\n")
    return read_manifest(path)


def test_labels_are_mapped_dropped_or_stay(tmp_path: Path) -> None:
    read = manifest(tmp_path, ["hap", "exc", "happy", "sad", "other", ""])
    names = class_names(read, "emotion", MAP)
    assert names.tolist() == ["happy", "happy", "happy", "sad", "", ""]


def test_without_a_map_labels_are_classes(tmp_path: Path) -> None:
    read = manifest(tmp_path, ["hap", "", "other"])
    assert class_names(read, "emotion", None).tolist() == ["hap", "", "other"]


def test_unknown_labels_are_refused_by_row(tmp_path: Path) -> None:
    read = manifest(tmp_path, ["hap", "hapy", "sad"])
    message = (
        rf"{read.path}:3: emotion 'hapy' is not one of "
        r"\['angry', 'exc', 'hap', 'happy', 'other', 'sad'\]; mend the label, or map or drop it"
    )
    with pytest.raises(ManifestError, match=message):
        class_names(read, "emotion", MAP)


def test_an_unknown_label_is_told_once_however_many_rows_have_it(tmp_path: Path) -> None:
    read = manifest(tmp_path, ["sad", *["hapy"] * 12])
    with pytest.raises(ManifestError) as caught:
        class_names(read, "emotion", MAP)
    assert str(caught.value).startswith(f"{read.path}:3: emotion 'hapy' (in 12 rows) is not one of")
    names = class_names(manifest(tmp_path, ["sad", "calm", "odd", "calm"]), "emotion", None)
    with pytest.raises(ManifestError) as caught:
        class_indices(read, names, ["sad"], "emotion")
    assert str(caught.value).splitlines() == [
        f"{read.path}: 2 labels are not a class of the head: ['sad']; mend the label, or drop it "
        "in the label map (score --label-map, or train again):",
        f"  {read.path}:3: emotion 'calm' (in 2 rows)",
        f"  {read.path}:4: emotion 'odd'",
    ]


def test_many_unknown_labels_are_counted(tmp_path: Path) -> None:
    read = manifest(tmp_path, [f"x{i}" for i in range(12)])
    with pytest.raises(ManifestError, match=r"12 labels are not one of [^$]*and 2 more"):
        class_names(read, "emotion", MAP)


def test_a_task_without_a_column_is_refused(tmp_path: Path) -> None:
    message = r"has no label column 'gender', only \['emotion'\]; choose one of them with --task"
    with pytest.raises(ManifestError, match=message):
        class_names(manifest(tmp_path, ["sad"]), "gender", MAP)


def test_classes_are_in_the_order_of_the_map_or_sorted() -> None:
    names = pd.Series(["angry", "sad", "", "angry"])
    assert train_classes(names, MAP) == ("sad", "angry")
    assert train_classes(names, None) == ("angry", "sad")


def test_indices_follow_the_classes(tmp_path: Path) -> None:
    read = manifest(tmp_path, ["sad", "", "angry", "sad"])
    names = class_names(read, "emotion", MAP)
    found = class_indices(read, names, ("angry", "sad"), "emotion")
    assert found.dtype == np.int64
    assert found.tolist() == [1, UNLABELLED, 0, 1]


def test_a_class_that_the_head_has_not_is_refused_by_row(tmp_path: Path) -> None:
    read = manifest(tmp_path, ["sad", "happy"])
    message = rf"{read.path}:3: emotion 'happy' is not a class of the head: \['sad'\]; mend"
    with pytest.raises(ManifestError, match=message):
        class_indices(read, class_names(read, "emotion", MAP), ["sad"], "emotion")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": ("a", "b", "a")}, "class 'a' is named twice; name it once"),
        ({"mapping": {"x": "c"}}, r"'c' is mapped to but not one of \['a', 'b'\]; add it"),
        ({"drop": ("a",)}, "'a' is both dropped and used; choose one"),
        ({"mapping": {"x": "a"}, "drop": ("x",)}, "'x' is both dropped and used"),
    ],
)
def test_a_map_that_contradicts_itself_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ManifestError, match=f"label map: {message}"):
        LabelMap(**{"classes": ("a", "b"), **fields})  # type: ignore[arg-type]
