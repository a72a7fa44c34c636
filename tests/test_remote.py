"""Stores on object storage: sent, fetched, read there; stopped half-way; damaged; another one."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from helpers.extraction import run, table, tree
from pipeline.errors import FeatureStoreError, OutputError
from pipeline.progress import Silence
from pipeline.store import remote
from pipeline.store.reader import FeatureStore
from pipeline.store.remote import open_remote, pull, push
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture
def store(tmp_path: Path, files: dict[str, Path]) -> Path:
    run(table(files), tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def memory() -> str:
    return f"memory://{uuid.uuid4()}/store"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server of S3 on this machine."""
    pytest.importorskip("s3fs", reason="the extra remote is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
    yield "s3://bucket/features/small"
    running.stop()


class StopAt(Silence):
    """Stops as a signal would, after so many files."""

    def __init__(self, num: int) -> None:
        self.left = num

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        self.left -= items
        if self.left <= 0:
            raise KeyboardInterrupt


def is_the_same_there_and_back(store: Path, url: str, back: Path) -> None:
    num = len(tree(store))
    assert push(store, url, reporter=Silence()) == num
    assert push(store, url, reporter=Silence()) == 0
    assert pull(url, back, reporter=Silence()) == num
    assert pull(url, back, reporter=Silence()) == 0
    assert tree(back) == tree(store)
    assert verify_store(back) == []
    ids = ["é", "a", "d/e f"]
    there, here = open_remote(url), FeatureStore.open(store)
    assert np.array_equal(there.view("layers").read(ids), here.view("layers").read(ids))


def test_a_store_comes_back_as_it_went(store: Path, memory: str, tmp_path: Path) -> None:
    is_the_same_there_and_back(store, memory, tmp_path / "memory")
    is_the_same_there_and_back(store, (tmp_path / "there").as_uri(), tmp_path / "file")
    assert tree(tmp_path / "there") == tree(store)


@pytest.mark.filterwarnings("ignore")  # botocore's and moto's own
def test_a_store_comes_back_from_s3(store: Path, bucket: str, tmp_path: Path) -> None:
    is_the_same_there_and_back(store, bucket, tmp_path / "back")


def test_stopped_half_way_it_goes_on_and_is_no_store_before_its_end(
    store: Path, memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "AT_ONCE", 1)
    num = len(tree(store))
    with pytest.raises(KeyboardInterrupt):
        push(store, memory, reporter=StopAt(2))
    there = fsspec.filesystem("memory").find(memory.removeprefix("memory:/"))
    assert 2 <= len(there) < num
    assert all(name.endswith(".h5") for name in there)
    with pytest.raises(FeatureStoreError, match="no feature store there"):
        pull(memory, tmp_path / "back", reporter=Silence())
    assert push(store, memory, reporter=Silence()) == num - len(there)
    with pytest.raises(KeyboardInterrupt):
        pull(memory, tmp_path / "back", reporter=StopAt(2))
    kept = len(tree(tmp_path / "back"))
    assert not (tmp_path / "back" / "store.json").exists()
    assert pull(memory, tmp_path / "back", reporter=Silence()) == num - kept
    assert tree(tmp_path / "back") == tree(store)


def test_a_store_that_has_grown_sends_and_fetches_what_is_new(
    tmp_path: Path, files: dict[str, Path], memory: str
) -> None:
    run(table(files).iloc[:2], tmp_path / "store")
    push(tmp_path / "store", memory, reporter=Silence())
    pull(memory, tmp_path / "back", reporter=Silence())
    run(table(files), tmp_path / "store")
    # Two new shards, index and outcomes, store.json; the recipe and the first shard are there.
    assert push(tmp_path / "store", memory, reporter=Silence()) == 5
    pull(memory, tmp_path / "back", reporter=Silence())
    assert tree(tmp_path / "back") == tree(tmp_path / "store")


def test_damage_on_the_way_is_found(store: Path, memory: str, tmp_path: Path) -> None:
    push(store, memory, reporter=Silence())
    system = fsspec.filesystem("memory")
    name = f"{memory.removeprefix('memory:/')}/views/layers/shards/000001.h5"
    system.pipe_file(name, system.cat_file(name)[:-1] + b"x")
    with pytest.raises(FeatureStoreError, match=r"000001\.h5: found digest .* pull again later"):
        pull(memory, tmp_path / "back", reporter=Silence())
    with pytest.raises(FeatureStoreError, match=r"000001\.h5: damaged"):
        open_remote(memory).view("layers").read(["d/e f"])


def test_another_store_is_overwritten_neither_there_nor_here(
    store: Path, memory: str, tmp_path: Path, files: dict[str, Path]
) -> None:
    push(store, memory, reporter=Silence())
    run(table(dict(reversed(files.items()))), tmp_path / "other")
    with pytest.raises(FeatureStoreError, match=r"holds another store .*give --replace"):
        push(tmp_path / "other", memory, reporter=Silence())
    with pytest.raises(FeatureStoreError, match=r"is not of the store at memory.*another folder"):
        pull(memory, tmp_path / "other", reporter=Silence())
    before = tree(tmp_path / "other")
    push(tmp_path / "other", memory, reporter=Silence(), replace=True)
    pull(memory, tmp_path / "back", reporter=Silence())
    assert tree(tmp_path / "back") == before


def test_storage_that_takes_nothing_more_is_one_line(
    store: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("quota")

    monkeypatch.setattr(fsspec.filesystem("memory"), "pipe_file", full)
    with pytest.raises(OutputError, match=r": cannot be written \(RuntimeError: quota\)"):
        push(store, memory, reporter=Silence())


def test_storage_that_is_not_there_is_one_line(store: Path, tmp_path: Path) -> None:
    with pytest.raises(FeatureStoreError, match=r"nothing://x: cannot be opened .*extra 'remote'"):
        push(store, "nothing://x", reporter=Silence())
    (tmp_path / "way").write_bytes(b"")
    with pytest.raises(FeatureStoreError, match=r"way/x/store.json: cannot be read \(Not a dir"):
        push(store, f"{(tmp_path / 'way').as_uri()}/x", reporter=Silence())
