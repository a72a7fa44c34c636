"""An extract that is killed, stopped or refused by the disk ends with the same bytes."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helpers.extraction import (
    KILLED,
    ROWS_PER_SHARD,
    forked,
    kill_at,
    num_computed,
    outcome,
    run,
    shards,
    stop_after,
    table,
    tree,
)
from pipeline.errors import FeatureStoreError, OutputError
from pipeline.store.reader import FeatureStore
from pipeline.store.verification import verify_store
from pipeline.store.writer import ViewWriter

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


def test_killed_at_every_touch_of_the_disk_it_ends_with_the_same_bytes(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    requests = table(files).iloc[:3]
    run(requests, tmp_path / "undisturbed")
    undisturbed = tree(tmp_path / "undisturbed")

    def work(root: Path, event: int) -> None:
        kill_at(event)
        run(requests, root)

    for event in itertools.count():
        root = tmp_path / f"store{event}"
        code = outcome(forked(lambda root=root, event=event: work(root, event)))  # type: ignore[misc]
        if code == 0:
            break
        assert code == KILLED
        num_kept = sum(min(ROWS_PER_SHARD, 3 - 2 * number) for number in shards(root))
        assert num_computed(requests, root) == 3 - num_kept, event
        assert tree(root) == undisturbed, event
        shutil.rmtree(root)
    assert event > 25
    assert tree(root) == undisturbed


def test_killed_while_it_replaces_and_prunes_it_ends_with_the_same_bytes(
    tmp_path: Path, files: dict[str, Path], make_wav: Callable[..., Path]
) -> None:
    first = table(files)
    run(first, tmp_path / "first")
    make_wav(files["b"], 0.2, seed=20)
    make_wav(files["a"], 0.2, seed=21)
    second = first[first["utterance_id"] != "é"]
    shutil.copytree(tmp_path / "first", tmp_path / "wanted")
    run(second, tmp_path / "wanted", prune=True)
    wanted = tree(tmp_path / "wanted")
    assert shards(tmp_path / "wanted") == {1, 3}

    def work(root: Path, event: int) -> None:
        kill_at(event)
        run(second, root, prune=True)

    for event in itertools.count():
        root = shutil.copytree(tmp_path / "first", tmp_path / f"store{event}")
        code = outcome(forked(lambda root=root, event=event: work(root, event)))  # type: ignore[misc]
        if code == 0:
            break
        assert code == KILLED
        run(second, root, prune=True)
        assert tree(root) == wanted, event
        shutil.rmtree(root)
    assert event > 20


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_it_ends_with_the_same_bytes(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes], seed: int
) -> None:
    draw = random.Random(seed)
    root = tmp_path / "store"

    def work(event: int) -> None:
        kill_at(event)
        run(table(files), root)

    for _ in range(5):
        event = draw.randrange(36)
        assert outcome(forked(lambda event=event: work(event))) in (0, KILLED)  # type: ignore[misc]
    run(table(files), root)
    assert tree(root) == undisturbed


def test_killed_by_the_clock_it_ends_with_the_same_bytes(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    draw = random.Random(0)
    root = tmp_path / "store"
    for _ in range(6):
        child = forked(lambda: run(table(files), root))
        time.sleep(draw.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        outcome(child)
    run(table(files), root)
    assert tree(root) == undisturbed


def test_a_stopped_run_leaves_no_lock_and_no_temporary_file(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    stop_after(1, table(files), tmp_path / "store")
    folder = "views/layers/shards"
    assert sorted(tree(tmp_path / "store")) == [f"{folder}/000000.h5", f"{folder}/000000.sha256"]


def test_what_was_finished_survives_a_manifest_that_changed_after_the_kill(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    stop_after(2, table(files), tmp_path / "store")
    shuffled = {name: files[name] for name in ["é", "c", "a", "d/e f", "b"]}
    assert num_computed(table(shuffled), tmp_path / "store") == 1
    assert verify_store(tmp_path / "store") == []


def test_what_was_finished_survives_audio_that_changed_after_the_kill(
    tmp_path: Path, files: dict[str, Path], make_wav: Callable[..., Path]
) -> None:
    stop_after(2, table(files), tmp_path / "store")
    make_wav(files["b"], 0.2, seed=20)
    assert num_computed(table(files), tmp_path / "store") == 2
    records = FeatureStore.open(tmp_path / "store").view("layers").records
    assert records.set_index("utterance_id")["duration"]["b"] == 0.2


def test_what_was_finished_with_another_recipe_is_refused_and_not_overwritten(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    stop_after(2, table(files), tmp_path / "store")
    before = tree(tmp_path / "store")
    with pytest.raises(FeatureStoreError, match=r"pooling is 'mean', .*; give --replace to"):
        run(table(files), tmp_path / "store", config={"pooling": "mean_std"})
    assert tree(tmp_path / "store") == before


def test_a_finished_shard_that_was_damaged_is_made_anew(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    stop_after(2, table(files), tmp_path / "store")
    shard = tmp_path / "store/views/layers/shards/000001.h5"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert num_computed(table(files), tmp_path / "store") == 3
    assert tree(tmp_path / "store") == undisturbed


def test_an_error_while_publishing_keeps_what_was_finished(
    tmp_path: Path,
    files: dict[str, Path],
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "store"
    publish = ViewWriter.publish

    def full(writer: ViewWriter, number: int, shard: Any) -> None:
        if number == 2:
            raise OutputError("disk: full.")
        publish(writer, number, shard)

    with monkeypatch.context() as patch:
        patch.setattr(ViewWriter, "publish", full)
        with pytest.raises(OutputError, match="disk: full"):
            run(table(files), root)
    assert shards(root) == {0, 1}
    assert num_computed(table(files), root) == 1
    assert tree(root) == undisturbed


class Stopped(NamedTuple):
    """What a command that met a signal has left behind."""

    code: int
    errors: str
    root: Path


@pytest.fixture(scope="module")
def stopped(
    tmp_path_factory: pytest.TempPathFactory,
    make_wav: Callable[..., Path],
    tiny_encoder_folder: Path,
) -> dict[int, Stopped]:
    """Send each signal to an extract of its own that has finished two shards of 400."""
    folder = tmp_path_factory.mktemp("stopped")
    make_wav(folder / "audio" / "clip.wav", 0.1)
    rows = "".join(f"clip{i},clip.wav\n" for i in range(400))
    (folder / "manifest.csv").write_text("utterance_id,path\n" + rows)
    options = ["-S", f"extract.encoder={tiny_encoder_folder}", "-S", "extract.rows_per_shard=1"]
    arguments = ["extract", "manifest.csv", "--audio-root", "audio", "--store"]
    result = {}
    # One after the other: while one is waited for, the other might come to its end unsignalled.
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.cli", *options, *arguments, number.name],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stderr=subprocess.PIPE,
            text=True,
            # Where the tests run behind a shell's back, it has them ignore SIGINT.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        while process.poll() is None and len(shards(folder / number.name)) < 2:
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        result[int(number)] = Stopped(process.returncode, errors, folder / number.name)
    return result


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_stops_with_one_line_and_keeps_finished_shards(
    stopped: dict[int, Stopped], number: int, code: int
) -> None:
    found = stopped[number]
    assert found.code == code, found.errors
    assert found.errors.splitlines()[-1] == (
        "Stopped; what was finished is kept. Run the same command again."
    )
    assert "Traceback" not in found.errors
    assert 2 <= len(shards(found.root)) < 400
    assert not list(found.root.glob(".*"))
