"""Pipes and devices where files belong: said to be none, and never waited for."""

import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused
from helpers.extraction import run, table
from pipeline.audio.decoders import decoders
from pipeline.files import read_bytes, require_regular, sha256_file


@pytest.fixture(params=["pipe", "device", "link to a device"])
def special(request: pytest.FixtureRequest, tmp_path: Path):
    """Puts something that is no file at a path; reading it would never end."""

    def put(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if request.param == "pipe":
            os.mkfifo(path)
        elif request.param == "device":
            path.symlink_to("/dev/zero")
        else:
            between = path.with_name("between")
            between.unlink(missing_ok=True)
            between.symlink_to("/dev/zero")
            path.symlink_to(between)
        return path

    return put


WANTED = "a pipe or a device, wanted a regular file"


@pytest.mark.parametrize("read", [read_bytes, sha256_file, require_regular])
def test_what_is_no_file_is_not_opened(tmp_path: Path, special, read) -> None:
    with pytest.raises(OSError, match=WANTED):
        read(special(tmp_path / "x"))
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_a_clip_that_is_no_file_has_an_outcome(files, tmp_path: Path, special) -> None:
    special(files["a"])
    assert run(table(files), tmp_path / "store").outcomes == {"decode_error": 1, "ok": 4}


def test_validate_says_of_a_clip_that_it_is_no_file(corpus, special) -> None:
    special(corpus.audio / "train" / "train_0.wav")
    words = ["validate", corpus.manifest, "--audio-root", corpus.audio]
    assert "'train_0': no file " in genser(*words).stderr
    assert f"'train_0': decode_error: cannot be read ({WANTED})" in genser(*words, "--audio").stderr


def test_predict_says_of_a_file_that_it_is_none(here, tmp_path: Path, special) -> None:
    result = genser("predict", special(tmp_path / "x.wav"), "--head", "head")
    assert result.exit_code == 3
    assert f"decode_error: cannot be read ({WANTED})" in result.stderr


@pytest.mark.parametrize("name", ["x.npz", "x.parquet", "folder/b.npy"])
def test_ingest_refuses_a_table_that_is_no_file(tmp_path: Path, special, name: str) -> None:
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "a.npy", np.zeros((3, 2), np.float32))
    given = special(tmp_path / name)
    given = given.parent if given.suffix == ".npy" else given
    assert WANTED in refused("ingest", given, "--store", tmp_path / "store")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_manifest_that_is_no_file_is_refused(tmp_path: Path, special, suffix: str) -> None:
    assert WANTED in refused("validate", special(tmp_path / f"m{suffix}"))


def test_a_text_that_is_no_file_is_refused(here, tmp_path: Path, special) -> None:
    params = special(tmp_path / "p.yaml")
    assert WANTED in refused("--params", params, "validate", "demo.csv")
    out = ["--out", tmp_path / "out.csv"]
    given = special(tmp_path / "d.json")
    assert WANTED in refused("describe", "demo.csv", "--from", given, *out)
    theirs = special(tmp_path / "theirs.csv")
    assert WANTED in refused(
        "report", "p.parquet", "--with", f"x={theirs}", "--out", tmp_path / "r"
    )


@pytest.mark.parametrize("file", ["store.json", "index.parquet", "views/layers/shards/000000.h5"])
def test_a_store_with_what_is_no_file_is_refused(files, tmp_path: Path, special, file: str) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    special(root / file)
    assert file in genser("verify", root).output


def test_a_head_with_what_is_no_file_is_refused(here, tmp_path: Path, special) -> None:
    for file in sorted(Path("head").iterdir()):
        (tmp_path / "head").mkdir(exist_ok=True)
        (tmp_path / "head" / file.name).write_bytes(file.read_bytes())
    for pattern in ("head.json", "weights-*"):
        kept = next((tmp_path / "head").glob(pattern))
        data = kept.read_bytes()
        special(kept)
        words = ["score", "demo.csv", "--store", "store", "--head", tmp_path / "head"]
        assert WANTED in refused(*words, "--out", tmp_path / "p.parquet")
        kept.unlink()
        kept.write_bytes(data)


def test_who_is_stopped_does_not_wait_for_a_decoder() -> None:
    go_on = threading.Event()

    def stopped() -> None:
        with decoders(1) as pool:
            held.append(pool.submit(go_on.wait))
            held.append(pool.submit(go_on.wait))
            raise KeyboardInterrupt

    held: list = []
    try:
        with pytest.raises(KeyboardInterrupt):
            stopped()
        assert not held[0].done()
        assert held[1].cancelled()
    finally:
        go_on.set()


def test_who_is_done_has_all_that_was_asked_for() -> None:
    with decoders(2) as pool:
        asked = [pool.submit(pow, i, 2) for i in range(20)]
    assert [future.result(timeout=0) for future in asked] == [i**2 for i in range(20)]
    with decoders(None) as pool:
        assert pd.Series(pool.map(abs, [-1, 2])).tolist() == [1, 2]
