"""Frames that another program has computed become a ragged view."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from pipeline.store.reader import FeatureStore
from pipeline.store.verification import verify_store
from stages.cli import main

IDS = ["b", "a/x", "c"]
LENGTHS = [2, 5, 1]


def genser(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def frames(*shape: int) -> list[np.ndarray]:
    """Return the frames of each clip, all of one trailing shape."""
    draw = np.random.default_rng(0)
    return [draw.normal(size=(length, *shape)).astype(np.float32) for length in LENGTHS]


def write(folder: Path, how: str, clips: list[np.ndarray]) -> tuple[Path, list[str]]:
    """Write a table; return it and what has to be said of it."""
    joined = np.concatenate(clips)
    says_kind = ["-S", "ingest.kind=frames"]
    if how == "lengths":
        np.savez(folder / "t.npz", utterance_id=IDS, features=joined, lengths=LENGTHS)
        return folder / "t.npz", []
    if how == "offsets":
        np.savez(folder / "t.npz", utterance_id=IDS, features=joined, offsets=[0, 2, 7, 8])
        return folder / "t.npz", []
    if how == "folder":
        for name, clip in zip(IDS, clips, strict=True):
            (folder / "t" / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(folder / "t" / f"{name}.npy", clip)
        return folder / "t", says_kind
    values = [clip.tolist() for clip in clips]
    pq.write_table(pa.table({"utterance_id": IDS, "features": values}), folder / "t.parquet")
    return folder / "t.parquet", says_kind


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("how", ["lengths", "offsets", "folder", "parquet"])
def test_frames_come_back_as_they_went_in(tmp_path: Path, how: str, shape: tuple[int, ...]) -> None:
    clips = frames(*shape)
    table, said = write(tmp_path, how, clips)
    words = [*said, "-S", "ingest.stored_dtype=float32", "-S", "ingest.rows_per_shard=2"]
    result = genser(*words, "ingest", table, "--store", tmp_path / "s")
    assert result.exit_code == 0, result.output
    num_layers = 1 if len(shape) == 1 else 3
    assert "view frames: 3 clips, 3 of them written" in result.stdout
    assert f"8 frames of {num_layers} layers of 4" in result.stdout
    view = FeatureStore.open(tmp_path / "s").view("frames")
    assert view.is_ragged
    assert view.num_frames(IDS).tolist() == LENGTHS
    for found, clip in zip(view.read_ragged(IDS), clips, strict=True):
        np.testing.assert_array_equal(found, clip.reshape(len(clip), num_layers, 4))
    assert view.recipe["layers"] == list(range(num_layers))
    assert verify_store(tmp_path / "s") == []


def test_every_way_to_write_a_table_gives_the_same_store(tmp_path: Path) -> None:
    trees = []
    for how in ("lengths", "offsets"):
        (tmp_path / how).mkdir()
        table, said = write(tmp_path / how, how, frames(4))
        genser(*said, "ingest", table, "--store", tmp_path / how / "s")
        root = tmp_path / how / "s"
        found = (path for path in root.rglob("*") if path.is_file())
        trees.append({path.relative_to(root): path.read_bytes() for path in found})
    assert trees[0] == trees[1]


def test_a_second_view_stands_beside_the_first_under_its_own_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", utterance_id=IDS, features=np.ones((3, 2, 4)))
    genser("ingest", tmp_path / "d.npz", "--store", tmp_path / "s")
    table, _ = write(tmp_path, "lengths", frames(4))
    genser("-S", "ingest.view=mine", "ingest", table, "--store", tmp_path / "s")
    store = FeatureStore.open(tmp_path / "s")
    assert store.views == ["layers", "mine"]
    assert store.view("layers").read(IDS).shape == (3, 2, 4)
    assert store.view("mine").num_frames(IDS).tolist() == LENGTHS


def test_another_recipe_is_refused_and_with_replace_put_in_place(tmp_path: Path) -> None:
    table, said = write(tmp_path, "lengths", frames(4))
    into = ["ingest", table, "--store", tmp_path / "s"]
    genser(*said, *into)
    other = [*said, "-S", "ingest.name=other"]
    refused = genser(*other, *into)
    assert refused.exit_code == 1
    assert "name is 'features', wanted 'other'; give --replace" in refused.stderr
    assert genser(*other, *into, "--replace").exit_code == 0
    store = FeatureStore.open(tmp_path / "s")
    assert store.view("frames").recipe["name"] == "other"
    assert [view.recipe["name"] for view in store.kept] == ["features"]


def test_a_clip_with_a_frame_that_is_no_number_fails_alone(tmp_path: Path) -> None:
    clips = frames(4)
    clips[1][3, 2] = np.nan
    table, _ = write(tmp_path, "lengths", clips)
    genser("ingest", table, "--store", tmp_path / "s")
    view = FeatureStore.open(tmp_path / "s").view("frames")
    assert view.lookup(IDS)["outcome"].tolist() == ["ok", "nonfinite", "ok"]
    assert view.num_frames(["b", "c"]).tolist() == [2, 1]


def test_changed_frames_alone_are_written_again(tmp_path: Path) -> None:
    clips = frames(4)
    table, _ = write(tmp_path, "lengths", clips)
    genser("ingest", table, "--store", tmp_path / "s")
    clips[2] += 1
    write(tmp_path, "lengths", clips)
    result = genser("ingest", table, "--store", tmp_path / "s")
    assert "3 clips, 1 of them written" in result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"lengths": [2, 5]}, "found 2 lengths for 3 ids; write one for each id"),
        ({"lengths": [2, 5, 2]}, "frames run from 0 to 9, features have 8; write lengths"),
        ({"lengths": [2, 6, 0]}, "'c' has 0 frames, wanted 1 or more"),
        ({"lengths": [2.0, 5.0, 1.0]}, "lengths have type float64, wanted whole numbers"),
        ({"offsets": [1, 2, 7, 8]}, "frames run from 1 to 8, features have 8"),
        ({"offsets": [0, 7, 2, 8]}, "'a/x' has -5 frames, wanted 1 or more"),
        (
            {"lengths": LENGTHS, "offsets": [0, 2, 7, 8]},
            "found lengths and offsets, wanted at most",
        ),
        (
            {"lengths": LENGTHS, "features": np.ones((8, 2, 2, 2))},
            "shape (8, 2, 2, 2) and type float64, wanted (sum T, D) or (sum T, R, D)",
        ),
    ],
)
def test_a_ragged_table_that_does_not_fit_is_refused(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    values = {"utterance_id": IDS, "features": np.ones((8, 4)), **content}
    np.savez(tmp_path / "t.npz", **values)
    told = genser("ingest", tmp_path / "t.npz", "--store", tmp_path / "s")
    assert (told.exit_code, len(told.stderr.splitlines())) == (1, 1), told.output
    assert re.search(re.escape(message), told.stderr)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("kind", "shapes", "message"),
    [
        (None, [(2, 4), (3, 4)], "b.npy: shape (3, 4), a.npy has (2, 4); set ingest.kind to"),
        ("frames", [(2, 4), (3, 5)], "b.npy: shape (3, 5), wanted (T, 4) as frames"),
        ("frames", [(4,), (4,)], "a.npy: shape (4,), wanted (T, D) as frames"),
    ],
)
def test_a_folder_whose_clips_do_not_fit_is_refused(
    tmp_path: Path, kind: str | None, shapes: list[tuple[int, ...]], message: str
) -> None:
    (tmp_path / "t").mkdir()
    for name, shape in zip("ab", shapes, strict=True):
        np.save(tmp_path / "t" / f"{name}.npy", np.ones(shape))
    said = ["-S", f"ingest.kind={kind}"] if kind else []
    told = genser(*said, "ingest", tmp_path / "t", "--store", tmp_path / "s")
    assert (told.exit_code, message in told.stderr) == (1, True), told.output


def test_an_npz_of_another_kind_than_said_is_refused(tmp_path: Path) -> None:
    table, _ = write(tmp_path, "lengths", frames(4))
    told = genser("-S", "ingest.kind=layers", "ingest", table, "--store", tmp_path / "s")
    assert "found lengths, wanted neither; mend the table or ingest.kind." in told.stderr
