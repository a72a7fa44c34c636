"""Two commands on one output, or a reader beside a writer: each is whole, or told in one line."""

from pathlib import Path
from threading import Barrier, Thread

import pytest

from helpers.commands import refused
from helpers.extraction import run, table
from helpers.faults import flip
from pipeline.errors import FeatureStoreError, OutputError
from pipeline.files import clear_temporaries, publish
from pipeline.locks import RUN_LOCK, FileLock, claimed, hold
from pipeline.store.contents import NEXT
from pipeline.store.reader import FeatureStore

BUSY = "another run is writing it; wait until that has ended, or name another output."

FOLDERS = {
    "train": "train demo.csv --store store --out {}",
    "finetune": "-S finetune.encoder=demo/encoder finetune demo.csv --audio-root demo/audio "
    "--out {}",
    "crossval": "crossval demo.csv --store store --heads linear --folds 2 --out {}",
    "sweep": "sweep demo.csv train.genser.sigma=1 --store store --out {}",
    "probe": "probe demo.csv --store store --out {}",
    "report": "report p.parquet --out {}",
    "audit": "audit demo.csv --store store --out {}",
}
FILES = {
    "score": "score demo.csv --store store --head head --out {}/x.parquet",
    "prepare": "prepare table demo.csv -o {}/x.csv",
    "split": "split demo.csv --folds 2 -o {}/x.csv",
    "merge": "merge demo.csv -o {}/x.csv",
}


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_the_second_run_into_an_output_is_told_in_one_line(here, tmp_path: Path, name: str) -> None:
    pattern = {**FOLDERS, **FILES}[name]
    words = pattern.format(tmp_path / "out").split()
    out = Path(words[-1])
    with claimed(out, is_folder=name in FOLDERS):
        said = refused(*words)
    assert said == f"Error: {out}: {BUSY}\n"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("is_folder", [True, False])
def test_an_output_is_claimed_by_what_it_is_and_not_by_how_it_is_spelled(
    tmp_path: Path, is_folder: bool
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with (
        claimed(tmp_path / "real" / "x", is_folder=is_folder),
        pytest.raises(OutputError, match="another run is writing it"),
        claimed(tmp_path / "link" / ".." / "real" / "x", is_folder=is_folder),
    ):
        pass
    with claimed(tmp_path / "link" / "x", is_folder=is_folder):
        pass
    assert not list((tmp_path / "real").iterdir())


def test_what_a_killed_run_left_half_written_goes_and_nothing_else_does(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    ours = [".x.parquet.0123abcd.tmp", ".y.csv.0123abcd.tmp"]
    others = [".editor.tmp", "x.0123abcd.tmp", ".x.0123abcdef.tmp", ".x.parquet.0123ABCD.tmp"]
    for name in [*ours, *others]:
        (out / name).write_bytes(b"half")
    with claimed(out / "x.parquet", is_folder=False):
        assert sorted(path.name for path in out.glob(".x.parquet.lock")) == [".x.parquet.lock"]
    assert {path.name for path in out.iterdir()} == {ours[1], *others}
    with claimed(out, is_folder=True):
        pass
    assert {path.name for path in out.iterdir()} == set(others)
    (out / "runs" / "a").mkdir(parents=True)
    (out / "runs" / "a" / ours[0]).write_bytes(b"half")
    clear_temporaries(out / "runs", below=True)
    assert not list((out / "runs" / "a").iterdir())


def test_a_refused_command_leaves_no_folder_and_an_old_one_stays(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in ("new", "old"):
        with pytest.raises(KeyError), claimed(tmp_path / name, is_folder=True):
            raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_writers_of_one_file_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "x"
    both = Barrier(2)

    def write(letter: bytes) -> None:
        with publish(path) as temporary:
            both.wait()
            temporary.write_bytes(letter * 1000)
            both.wait()

    threads = [Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in (b"a" * 1000, b"b" * 1000)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.fixture
def opened(files, tmp_path: Path) -> FeatureStore:
    run(table(files), tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


CHANGED = r"another run has changed this store since it was opened here; wait until that run has"


def test_a_reader_beside_a_prune_hears_of_it_and_not_of_damage(
    opened: FeatureStore, files: dict[str, Path]
) -> None:
    view = opened.view("layers")
    assert len(view.read(list(files))) == len(files)
    kept = dict(list(files.items())[:2])
    run(table(kept), opened.root, prune=True)
    with pytest.raises(FeatureStoreError, match=CHANGED):
        view.read(list(files))
    assert len(FeatureStore.open(opened.root).view("layers").read(list(kept))) == 2


def test_a_reader_beside_a_commit_is_told_to_wait_and_beside_a_dead_one_to_finish_it(
    opened: FeatureStore,
) -> None:
    (opened.root / NEXT).write_bytes((opened.root / "store.json").read_bytes())
    flip(opened.root / "index.parquet", 100)
    with hold(FileLock(opened.root / RUN_LOCK)), pytest.raises(FeatureStoreError, match=CHANGED):
        _ = opened.index
    with pytest.raises(FeatureStoreError, match="an extract stopped while it was committing; run"):
        _ = opened.index


def test_damage_beside_a_writer_is_damage(opened: FeatureStore) -> None:
    flip(opened.root / "index.parquet", 100)
    with (
        hold(FileLock(opened.root / RUN_LOCK)),
        pytest.raises(FeatureStoreError, match=r"index\.parquet: damaged, found digest"),
    ):
        _ = opened.index
