import shutil
from pathlib import Path

import pytest

from helpers.commands import genser, refused


@pytest.mark.parametrize("what", ["store", "head", "p.parquet"])
def test_verify_finds_whole_things_whole_and_a_flipped_byte(here, tmp_path, what):
    copy = tmp_path / what
    (shutil.copytree if Path(what).is_dir() else shutil.copy)(what, copy)
    assert genser("verify", copy).stdout == f"{copy}: whole\n"
    file = max((p for p in [copy, *copy.rglob("*")] if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    assert file.name in refused("verify", copy)


@pytest.mark.parametrize("part", ["head.json", "curves.tsv", "curves.png", "weights-*"])
def test_a_flipped_byte_in_any_file_of_a_head_is_found(here, tmp_path, part):
    shutil.copytree("head", tmp_path / "head")
    (file,) = (tmp_path / "head").glob(part)
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    assert file.name in refused("verify", tmp_path / "head")


def test_a_damaged_shard_stops_train_and_is_refilled_after_repair(here, tmp_path):
    store = tmp_path / "store"
    shutil.copytree("store", store)
    shard = store / "views/layers/shards/000001.h5"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    told = refused("train", "demo.csv", "--store", store, "--out", tmp_path / "h")
    assert "000001.h5" in told
    assert "--repair" in told
    assert genser("verify", store, "--repair").exit_code == 0
    words = ["extract", "demo.csv", "--audio-root", "demo/audio", "--store", store]
    result = genser(*words)
    assert result.exit_code == 0
    assert "8 clips to extract, 22 in the store already" in result.stderr
    assert genser("train", "demo.csv", "--store", store, "--out", tmp_path / "h").exit_code == 0
