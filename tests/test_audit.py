import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.errors import ManifestError
from pipeline.manifests.audit import audit_manifest
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.report.audit import write_audit

LABELS = LabelMap(classes=("angry", "sad", "calm"), mapping={"mad": "angry"}, drop=("odd",))


def manifest(tmp_path, rows: list[tuple[str, str, str, int]], **columns) -> Manifest:
    names = ["speaker", "split", "emotion", "num_samples"]
    table = pd.DataFrame(rows, columns=names).assign(corpus="c", sample_rate=8000, **columns)
    table["utterance_id"] = [f"u{i}" for i in range(len(table))]
    table["path"] = table["utterance_id"] + ".wav"
    path = tmp_path / "m.csv"
    write_manifest(path, table)
    return read_manifest(path)


ROWS = [
    ("a", "train", "mad", 8000 * 1800),
    ("a", "train", "sad", 8000 * 1800),
    ("b", "train", "odd", 8000 * 3600),
    ("b", "test", "sad", 8000 * 10),
    ("", "", "", 8000 * 5),
]


def height(path) -> int:
    with Image.open(path) as image:
        return image.size[1]


def test_each_part_is_counted(tmp_path):
    found = audit_manifest(manifest(tmp_path, ROWS), task="emotion", label_map=LABELS)
    assert found.classes == ["angry", "sad"]
    wanted = [
        ("", "train", 3, 2.0, 2, 1, 1, 1),
        ("", "test", 1, 10 / 3600, 1, 0, 1, 0),
        ("", "(no split)", 1, 5 / 3600, 0, 0, 0, 1),
    ]
    names = ["fold", "part", "clips", "hours", "speakers", "angry", "sad", "(none)"]
    pd.testing.assert_frame_equal(found.table, pd.DataFrame(wanted, columns=names))
    assert found.leaks[""].speakers == ("c/b",)
    assert found.num_nameless == 1


def test_each_fold_is_looked_at_or_one(tmp_path):
    folds = {"split.1": ["train", "train", "test", "dev", ""], "split.2": ["train"] * 5}
    read = manifest(tmp_path, [(s, "", e, n) for s, _, e, n in ROWS], **folds)
    found = audit_manifest(read, task="emotion", label_map=LABELS)
    assert found.leaks.keys() == {"1", "2"}
    assert [bool(leaks) for leaks in found.leaks.values()] == [True, False]
    one = audit_manifest(read.of_fold("2"), task="emotion", label_map=LABELS, folds=False)
    assert one.leaks.keys() == {""}
    assert one.table["clips"].tolist() == [5]


def test_one_audio_with_two_labels_and_odd_lengths_are_hints(tmp_path):
    audio = pd.DataFrame(
        {
            "audio_digest": ["x", "x", "y", "z", ""],
            "duration": [0.01, 5.0, 61.0, np.nan, np.nan],
        }
    )
    read = manifest(tmp_path, ROWS)
    found = audit_manifest(read, task="emotion", label_map=LABELS, audio=audio)
    assert found.hints == [
        "same audio, other labels: row 2 ('u0') is angry, row 3 ('u1') is sad",
        "0.010 s is not between 0.025 and 60 s: row 2 ('u0')",
        "61.000 s is not between 0.025 and 60 s: row 4 ('u2')",
    ]
    assert found.leaks[""].audio == ()
    shared = audio.assign(audio_digest=["x", "y", "z", "x", ""])
    leaking = audit_manifest(read, task="emotion", label_map=LABELS, audio=shared)
    assert leaking.leaks[""].audio == ("x",)


def test_unknown_hours_are_not_made_up(tmp_path):
    rows = [(s, p, e, -1) for s, p, e, _ in ROWS]
    found = audit_manifest(manifest(tmp_path, rows), task="emotion", label_map=LABELS)
    assert found.table["hours"].isna().all()
    with pytest.raises(ManifestError, match="has no label column 'mood'"):
        audit_manifest(manifest(tmp_path, rows), task="mood", label_map=None)


def test_table_and_picture_are_written_and_the_picture_shows_every_part(tmp_path):
    found = audit_manifest(manifest(tmp_path, ROWS), task="emotion", label_map=LABELS)
    for folder in ("one", "two"):
        write_audit(tmp_path / folder, found, title="m.csv: emotion")
    table = pd.read_csv(tmp_path / "one" / "audit.csv", keep_default_na=False)
    assert table["clips"].tolist() == [3, 1, 1]
    pictures = [(tmp_path / folder / "audit.png").read_bytes() for folder in ("one", "two")]
    assert pictures[0] == pictures[1]
    few = height(tmp_path / "one" / "audit.png")
    more = audit_manifest(
        manifest(tmp_path, ROWS, **{"split.1": ["train"] * 5, "split.2": ["test"] * 5}),
        task="emotion",
        label_map=LABELS,
    )
    write_audit(tmp_path / "three", more, title="m.csv: emotion")
    assert height(tmp_path / "three" / "audit.png") > few
