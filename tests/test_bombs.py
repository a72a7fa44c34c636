"""Heads, checkpoints and shards that would read elsewhere or take all memory, their seals right."""

import io
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from helpers.commands import refused
from helpers.shards import IDS, shard_of
from pipeline.errors import FeatureStoreError, HeadError, ParamsError
from pipeline.extraction.feature_tables import MOST_PACKED, read_feature_table
from pipeline.files import sealed_json, sha256_bytes, unseal_json
from pipeline.heads.catalogue import build_head
from pipeline.heads.folder import verify_head
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.saved import load_head
from pipeline.heads.tokens import TokensConfig
from pipeline.heads.trunk import TrunkConfig
from pipeline.store.format import read_shard_bytes, shard_bytes
from pipeline.training.checkpoints import POINTER, Checkpoints
from stages.systems import read_trials

HEAD = Path(__file__).parent / "golden" / "head_v1"


def forged(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a head whose description says something else under a seal of its own."""
    shutil.copytree(HEAD, folder)
    value = unseal_json((folder / "head.json").read_bytes())
    assert value is not None
    change(value)
    (folder / "head.json").write_bytes(sealed_json(value))
    return folder


@pytest.mark.parametrize(
    "name",
    ["/dev/zero", "../../etc/passwd", "/etc/passwd", "head.json", "weights-x.safetensors", ""],
)
def test_a_head_names_no_tensors_but_its_own(tmp_path: Path, name: str) -> None:
    head = forged(tmp_path / "head", lambda value: value["weights"].update(file=name))
    for look in (load_head, verify_head):
        with pytest.raises(HeadError) as caught:
            look(head)
        assert str(caught.value) == (
            f"{head / 'head.json'}: names {name!r}, no file of a head; do not use it."
        )


@pytest.mark.parametrize("name", ["/dev/zero", "../x", "a/b", ".."])
def test_a_head_names_no_file_beside_it_elsewhere(tmp_path: Path, name: str) -> None:
    head = forged(tmp_path / "head", lambda value: value.update(files={name: 64 * "0"}))
    with pytest.raises(HeadError, match="no file of a head; do not use it"):
        verify_head(head)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["shape"].update(num_layers=10**9), "tells of 1000000000 layers, wanted at"),
        (lambda v: v["shape"].update(dim=10**9), r"describes \d+ numbers, its tensors are"),
        (lambda v: v["config"]["trunk"].update(width=10**6), "describes .* numbers, its tensors"),
        (lambda v: v["config"]["trunk"].update(width=10**9), "more numbers than can be counted"),
        (lambda v: v["config"]["trunk"].update(num_blocks=10**9), "num_blocks: found 1000000000"),
    ],
)
def test_a_head_far_larger_than_its_tensors_is_never_made(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    head = forged(tmp_path / "head", change)
    with pytest.raises((HeadError, ParamsError), match=message):
        load_head(head)
    words = ["score", "m.csv", "--store", "s", "--head", head, "--out", tmp_path / "p.parquet"]
    assert refused(*words).count("\n") == 1


def test_no_network_has_blocks_without_end() -> None:
    with pytest.raises(ParamsError, match="wanted 1 to 1000"):
        TrunkConfig(num_blocks=1001)
    with pytest.raises(ParamsError, match="temporal_blocks: 1001 is above 1000"):
        TokensConfig(temporal_blocks=1001)


@pytest.mark.parametrize("width", [10**12, 10**18])
def test_a_head_that_no_memory_holds_is_one_line(width: int) -> None:
    shapes = {"layers": FeatureShape(num_layers=2, dim=8, last_layer=1, input_layer=0)}
    with pytest.raises(ParamsError, match=r"train\.genser: its weights do not fit") as caught:
        build_head("genser", shapes, 2, GenSERConfig(trunk=TrunkConfig(width=width, num_heads=2)))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_names_no_state_but_its_own(tmp_path: Path) -> None:
    mine = Checkpoints(tmp_path / "head", {"a": 1})
    mine.save({"step": 5, "steps_before": 0})
    assert mine.load("cpu") == {"step": 5, "steps_before": 0}
    state = next((tmp_path / "head").glob("checkpoint-*.pt"))
    elsewhere = tmp_path / state.name
    shutil.copy(state, elsewhere)
    pointer = unseal_json((tmp_path / "head" / POINTER).read_bytes())
    assert pointer is not None
    for name in (str(elsewhere), f"../{state.name}", "/dev/zero"):
        (tmp_path / "head" / POINTER).write_bytes(sealed_json({**pointer, "file": name}))
        assert mine.load("cpu") is None
    torch.save({"step": 5}, tmp_path / "head" / "x.pt")
    digest = sha256_bytes((tmp_path / "head" / "x.pt").read_bytes())
    told = {**pointer, "file": "x.pt", "digest": digest}
    (tmp_path / "head" / POINTER).write_bytes(sealed_json(told))
    assert mine.load("cpu") is None


def edited(change: Callable[[h5py.File], object]) -> bytes:
    data = io.BytesIO(shard_bytes(shard_of(IDS)))
    with h5py.File(data, "r+") as file:
        change(file)
    return data.getvalue()


def zipped(file: h5py.File) -> None:
    del file["features"]
    file.create_dataset(
        "features", (10**8, 2), "f4", chunks=(10**6, 2), compression="gzip", fillvalue=0
    )
    file["features"][: 10**6] = 0


def never_written(file: h5py.File) -> None:
    del file["features"]
    file.create_dataset("features", (10**9, 3, 2), "f2")


def never_written_in_chunks(file: h5py.File) -> None:
    del file["features"]
    file.create_dataset("features", (10**9, 3, 2), "f2", chunks=(10**4, 3, 2), fletcher32=True)


def column_never_written(file: h5py.File) -> None:
    del file["clips/row"]
    file["clips"].create_dataset("row", (10**9,), "i4")


@pytest.mark.parametrize(
    "change", [zipped, never_written, never_written_in_chunks, column_never_written]
)
def test_data_that_are_not_written_out_are_never_read(
    change: Callable[[h5py.File], object],
) -> None:
    data = edited(change)
    assert len(data) < 200_000
    with pytest.raises(FeatureStoreError, match=r"is not written out: .* bytes from ") as caught:
        read_shard_bytes(data, "here")
    assert "\n" not in str(caught.value)


def test_one_text_that_all_rows_share_is_never_read_for_each() -> None:
    def long_first(file: h5py.File) -> None:
        del file["clips/message"]
        texts = ["x" * 100_000, *["y"] * 5_000]
        file["clips"].create_dataset("message", data=texts, dtype=h5py.string_dtype())

    data = bytearray(edited(long_first))
    with h5py.File(io.BytesIO(bytes(data))) as file:
        place, number = file["clips/message"].id.get_offset(), len(file["clips/message"])
    first = data[place : place + 16]  # length, heap and place in it
    assert struct.unpack("<I", first[:4]) == (100_000,)
    data[place : place + 16 * number] = first * number
    with pytest.raises(FeatureStoreError, match=r"has texts of more than the file's .* bytes"):
        read_shard_bytes(bytes(data), "here")


def test_an_npz_that_unpacks_to_a_hundred_times_its_size_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for zeros, is_refused in ((MOST_PACKED // 8, False), (MOST_PACKED // 4, True)):
        array = np.zeros((1, zeros), np.float32)
        np.savez_compressed(path, utterance_id=np.array(["a"]), features=array)
        if is_refused:
            with pytest.raises(
                FeatureStoreError, match=r"features.npy is not written out: \d+ bytes"
            ):
                read_feature_table(path)
        else:
            assert read_feature_table(path).features.size == zeros


def test_trials_without_end_are_never_listed(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    values = list(range(100))
    each = {name: values for name in "abc"}
    path.write_text(json.dumps({"{a}-{b}-{c}": {"each": each, "train.num_steps": 2}}))
    with pytest.raises(ParamsError, match="each makes 1000000 trials, allowed are 10000"):
        read_trials(path)


def test_a_shard_is_read_as_before() -> None:
    shard = shard_of(IDS)
    found = read_shard_bytes(shard_bytes(shard), "here")
    np.testing.assert_array_equal(found.features, shard.features)
    assert found.clips.equals(shard.clips)
