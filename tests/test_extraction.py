import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.encoders.base import Encoded, Encoder, Outline
from pipeline.encoders.pooling import Moments
from pipeline.errors import FeatureStoreError, ManifestError, OutputError, ParamsError
from pipeline.extraction import views as extraction_views
from pipeline.extraction.extract import Summary, extract
from pipeline.extraction.settings import ExtractConfig
from pipeline.extraction.views import open_view
from pipeline.progress import Silence
from pipeline.store.planning import Group, plan_groups
from pipeline.store.reader import FeatureStore
from pipeline.store.turns import Job
from pipeline.store.verification import verify_store
from pipeline.store.writer import ViewWriter

ROWS_PER_SHARD = 2
NUM_CLIPS = 5
KILLED = -signal.SIGKILL


class PlainEncoder(Encoder):
    """Powers of the waveform; counts what it is given."""

    outline = Outline(num_layers=3, dim=2)
    layer_convention = "powers"
    sample_rate = 16000
    min_samples = 400

    def __init__(self, weights: str = "w0") -> None:
        self.identity = {"family": "plain", "weights": weights, "flags": {"powers": 3}}
        self.num_encoded = 0

    def num_frames(self, num_samples: int) -> int:
        return num_samples // 400

    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        self.num_encoded += len(waveforms)
        return [Encoded(moments=self._moments(x.astype(np.float64))) for x in waveforms]

    def _moments(self, x: np.ndarray) -> Moments:
        rows = [[(x ** (2 * row + 2)).mean(), (x[1:] * x[:-1]).mean() + row] for row in range(3)]
        mean = torch.tensor(rows, dtype=torch.float32)
        return Moments(self.num_frames(len(x)), mean, torch.zeros_like(mean))


def table(files: dict[str, Path], **columns: Any) -> pd.DataFrame:
    """Return the requests for these files, one clip each."""
    values = {"start": np.nan, "end": np.nan, "channel": -1, "num_samples": -1, "sample_rate": -1}
    names = {"utterance_id": list(files), "source": [str(path) for path in files.values()]}
    return pd.DataFrame({**names, **values, **columns})


def run(
    requests: pd.DataFrame, root: Path, *, encoder: PlainEncoder | None = None, **options: Any
) -> Summary:
    config = ExtractConfig(rows_per_shard=ROWS_PER_SHARD, **options.pop("config", {}))
    options.setdefault("reporter", Silence())
    encoder = encoder or PlainEncoder()
    views = [open_view(encoder, settings) for settings in config.view_settings()]
    return extract(requests, root, views, **options)["layers"]


def num_computed(requests: pd.DataFrame, root: Path, **options: Any) -> int:
    """Bring a store up to date and return how many clips met the encoder."""
    encoder = PlainEncoder()
    summary = run(requests, root, encoder=encoder, **options)
    assert encoder.num_encoded <= summary.num_computed
    return encoder.num_encoded


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    files = (path for path in root.rglob("*") if not path.is_dir())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def shards(root: Path) -> set[int]:
    return {int(path.stem) for path in root.glob("views/layers/shards/*.h5")}


def forked(work: Callable[[], object]) -> int:
    """Start `work` in a child of this process and return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def outcome(child: int) -> int:
    """Wait for a child; return its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(event: int) -> None:
    """Let this process die before its n-th touch of the disk; a write touches it twice."""
    events = itertools.count()

    def tick() -> None:
        if next(events) == event:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def touch(*args: Any, **kwargs: Any) -> Any:
            tick()
            return original(*args, **kwargs)

        return touch

    write_bytes = Path.write_bytes

    def write_in_two(path: Path, data: bytes) -> int:
        tick()
        write_bytes(path, data[: len(data) // 2])
        tick()
        return write_bytes(path, data)

    Path.write_bytes = write_in_two  # type: ignore[assignment,method-assign]
    Path.replace = watched(Path.replace)  # type: ignore[method-assign]
    Path.unlink = watched(Path.unlink)  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing that the kernel has; only a power cut would."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def files(tmp_path: Path, make_wav: Callable[..., Path]) -> dict[str, Path]:
    """Five clips of .1 to .14 s, one of them with a slash and a space in its id."""
    names = ["b", "a", "d/e f", "c", "é"]
    return {
        name: make_wav(tmp_path / "audio" / f"{i}.wav", 0.1 + i / 100, seed=i)
        for i, name in enumerate(names)
    }


@pytest.fixture
def undisturbed(tmp_path: Path, files: dict[str, Path]) -> dict[str, bytes]:
    run(table(files), tmp_path / "undisturbed")
    return tree(tmp_path / "undisturbed")


# Same bytes


def test_a_finished_store_holds_its_tables_and_shards_and_nothing_else(
    undisturbed: dict[str, bytes],
) -> None:
    view = "views/layers"
    assert sorted(undisturbed) == [
        "index.parquet",
        "store.json",
        f"{view}/outcomes.parquet",
        f"{view}/recipe.json",
        f"{view}/shards/000000.h5",
        f"{view}/shards/000001.h5",
        f"{view}/shards/000002.h5",
    ]


def test_bytes_depend_on_neither_folders_nor_workers_nor_process(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    bad = {"broken": tmp_path / "broken.wav", "gone": tmp_path / "gone.wav"}
    run(table(files | bad), tmp_path / "here")
    moved = shutil.copytree(tmp_path / "audio", tmp_path / "else" / "where")
    shutil.copy(tmp_path / "broken.wav", moved)
    elsewhere = {name: moved / path.name for name, path in (files | bad).items()}
    child = forked(lambda: run(table(elsewhere), tmp_path / "deep" / "er" / "store", workers=5))
    assert outcome(child) == 0
    assert tree(tmp_path / "deep" / "er" / "store") == tree(tmp_path / "here")
    assert tree(tmp_path / "here") != undisturbed


def test_a_second_run_changes_no_byte_and_no_time_stamp(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    again = run(table(files), root)
    assert (again.num_computed, again.outcomes) == (0, {"ok": NUM_CLIPS})
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()} == before


def test_features_in_the_store_are_those_of_each_clip_alone(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(table(files), tmp_path / "store", config={"stored_dtype": "float32"})
    found = FeatureStore.open(tmp_path / "store").view("layers").read(list(files))
    for row, (name, path) in zip(found, files.items(), strict=True):
        run(table({name: path}), tmp_path / path.stem, config={"stored_dtype": "float32"})
        alone = FeatureStore.open(tmp_path / path.stem).view("layers").read([name])[0]
        np.testing.assert_array_equal(row, alone)


# Killed


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


class StopAfter(Silence):
    """Raises after so many shards, as a signal would."""

    def __init__(self, num_shards: int, error: BaseException) -> None:
        self.left = num_shards
        self.error = error

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


def stop_after(num_shards: int, requests: pd.DataFrame, root: Path, **options: Any) -> None:
    """Run until so many shards are published, then stop."""
    with pytest.raises(KeyboardInterrupt):
        run(requests, root, reporter=StopAfter(num_shards, KeyboardInterrupt()), **options)


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
    with pytest.raises(FeatureStoreError, match=r"pooling is 'mean', wanted 'mean_std'; write to"):
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


# The command itself


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
    processes = {
        number: subprocess.Popen(
            [sys.executable, "-m", "stages.cli", *options, *arguments, number.name],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    result = {}
    for number, process in processes.items():
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


# What has changed, and only that


def test_added_rows_alone_are_computed(tmp_path: Path, files: dict[str, Path]) -> None:
    requests = table(files)
    run(requests.iloc[[0, 2, 4]], tmp_path / "store")
    before = tree(tmp_path / "store")
    assert num_computed(requests, tmp_path / "store") == 2
    after = tree(tmp_path / "store")
    assert all(after[name] == data for name, data in before.items() if name.endswith(".h5"))
    np.testing.assert_array_equal(
        FeatureStore.open(tmp_path / "store").index["utterance_id"], sorted(files)
    )


def test_a_changed_file_alone_is_computed(
    tmp_path: Path, files: dict[str, Path], make_wav: Callable[..., Path]
) -> None:
    run(table(files), tmp_path / "store")
    before = FeatureStore.open(tmp_path / "store").view("layers").read(list(files))
    make_wav(files["a"], 0.2, seed=20)
    assert num_computed(table(files), tmp_path / "store") == 1
    after = FeatureStore.open(tmp_path / "store").view("layers").read(list(files))
    np.testing.assert_array_equal((after != before).any(axis=(1, 2)), [i == 1 for i in range(5)])
    assert verify_store(tmp_path / "store") == []


@pytest.mark.parametrize("column", ["start", "end", "channel"])
def test_a_changed_segment_alone_is_computed(
    tmp_path: Path, files: dict[str, Path], column: str
) -> None:
    run(table(files), tmp_path / "store")
    value = {"start": 0.02, "end": 0.05, "channel": 1}[column]
    requests = table(files)
    requests.loc[3, column] = value
    assert num_computed(requests, tmp_path / "store") == 1


def test_removed_rows_stay_without_prune_and_go_with_it(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    before = tree(root)
    fewer = table(files).iloc[[0, 3]]
    assert run(fewer, root).outcomes == {"ok": 2}
    assert tree(root) == before
    assert num_computed(fewer, root, prune=True) == 0
    assert FeatureStore.open(root).index["utterance_id"].tolist() == ["b", "c"]
    assert shards(root) == {0, 1}
    assert verify_store(root) == []
    with pytest.raises(FeatureStoreError, match="'a', was never extracted"):
        FeatureStore.open(root).view("layers").read(["b", "a"])


def test_everything_can_be_pruned_and_come_back(tmp_path: Path, files: dict[str, Path]) -> None:
    root = tmp_path / "store"
    run(table(files).iloc[:2], root)
    assert num_computed(table(files).iloc[2:], root, prune=True) == 3
    assert num_computed(table(files), root) == 2
    assert FeatureStore.open(root).view("layers").read(list(files)).shape == (5, 3, 2)


def test_moved_and_renamed_files_are_not_computed_again(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(table(files), tmp_path / "store")
    before = tree(tmp_path / "store")
    moved = {
        name: path.rename(path.with_name(f"moved_{path.name}")) for name, path in files.items()
    }
    assert num_computed(table(moved), tmp_path / "store") == 0
    assert tree(tmp_path / "store") == before


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pooling": "mean_std"}, "pooling is 'mean', wanted 'mean_std'"),
        ({"stored_dtype": "float32"}, "stored_dtype is 'float16', wanted 'float32'"),
        ({"max_duration_s": 20.0}, "max_duration_s is 30.0, wanted 20.0"),
    ],
)
def test_another_recipe_is_refused_by_the_name_of_its_field(
    tmp_path: Path, files: dict[str, Path], config: dict[str, Any], message: str
) -> None:
    run(table(files), tmp_path / "store")
    before = tree(tmp_path / "store")
    with pytest.raises(FeatureStoreError, match=message):
        run(table(files), tmp_path / "store", config=config)
    assert tree(tmp_path / "store") == before


def test_other_weights_are_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    run(table(files), tmp_path / "store")
    with pytest.raises(FeatureStoreError, match=r"encoder\.weights is 'w0', wanted 'w1'"):
        run(table(files), tmp_path / "store", encoder=PlainEncoder("w1"))


def test_a_failed_clip_is_tried_again_only_when_its_file_changes(
    tmp_path: Path, files: dict[str, Path], make_wav: Callable[..., Path]
) -> None:
    root = tmp_path / "store"
    bad = {**files, "broken": tmp_path / "broken.wav", "gone": tmp_path / "gone.wav"}
    bad["broken"].write_bytes(b"no audio")
    first = run(table(bad), root)
    assert first.outcomes == {"decode_error": 1, "missing": 1, "ok": 5}
    assert first.num_failed == 2
    assert run(table(bad), root).num_computed == 0
    make_wav(bad["broken"], 0.1, seed=9)
    make_wav(bad["gone"], 0.1, seed=10)
    second = run(table(bad), root)
    assert (second.num_computed, second.outcomes) == (2, {"ok": 7})
    bad["gone"].unlink()
    assert run(table(bad), root).outcomes == {"missing": 1, "ok": 6}


def test_a_broken_promise_is_tried_again_when_the_manifest_is_mended(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    promises = [1600, 1, 1920, -1, -1]  # the second has 1760 samples
    assert run(table(files, num_samples=promises), root).outcomes == {
        "length_mismatch": 1,
        "ok": 4,
    }
    assert run(table(files, num_samples=promises), root).num_computed == 0
    promises[1] = 2
    assert run(table(files, num_samples=promises), root).num_computed == 1
    promises[1] = -1
    assert run(table(files, num_samples=promises), root).outcomes == {"ok": 5}
    promises[1] = 2
    assert run(table(files, num_samples=promises), root).num_failed == 1
    promises[1] = 1760
    mended = run(table(files, num_samples=promises), root)
    assert (mended.num_computed, mended.outcomes) == (1, {"ok": 5})
    assert run(table(files, num_samples=-1), root).num_computed == 0


def test_a_promise_that_comes_later_is_held_against_the_store(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(table(files), tmp_path / "store")
    later = run(table(files, sample_rate=[-1, 8000, -1, 16000, -1]), tmp_path / "store")
    assert (later.num_computed, later.outcomes) == (1, {"length_mismatch": 1, "ok": 4})


def test_two_rows_of_one_id_are_refused_before_any_work(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    twice = pd.concat([table(files), table(files).iloc[[2]]], ignore_index=True)
    with pytest.raises(ManifestError, match="store_id 'd/e f' in several rows"):
        run(twice, tmp_path / "store")
    assert not (tmp_path / "store").exists()


# Two at once, and jobs side by side


class Gate(Silence):
    """Says through a pipe that a shard is published, and goes on when told to."""

    def __init__(self) -> None:
        self.arrived, self.arrive = os.pipe()
        self.passed, self.pass_on = os.pipe()

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        os.write(self.arrive, b"x")
        os.read(self.passed, 1)


@contextlib.contextmanager
def halted(requests: pd.DataFrame, root: Path, **options: Any) -> Iterator[int]:
    """Hold a run in another process at its first shard, then let it go."""
    gate = Gate()
    child = forked(lambda: run(requests, root, reporter=gate, **options))
    os.read(gate.arrived, 1)
    try:
        yield child
    finally:
        os.write(gate.pass_on, b"x" * NUM_CLIPS)


def test_a_second_extract_is_refused_with_a_clear_line(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    with halted(table(files), root) as child:
        with pytest.raises(FeatureStoreError, match=r"another run is writing this store.* wait"):
            run(table(files), root)
        with pytest.raises(FeatureStoreError, match="a run is writing this store; wait"):
            verify_store(root)
    assert outcome(child) == 0
    assert tree(root) == undisturbed


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_jobs_one_after_another_in_any_order_give_the_bytes_of_one_run(
    tmp_path: Path,
    files: dict[str, Path],
    undisturbed: dict[str, bytes],
    order: tuple[int, ...],
) -> None:
    done = [
        run(table(files), tmp_path / "store", job=Job(num_jobs=3, index=index)) for index in order
    ]
    assert [summary.is_committed for summary in done] == [False, False, True]
    assert sum(summary.num_computed for summary in done) == NUM_CLIPS
    assert done[-1].outcomes == {"ok": NUM_CLIPS}
    assert tree(tmp_path / "store") == undisturbed


def test_jobs_side_by_side_give_the_bytes_of_one_run(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    for attempt in range(3):
        root = tmp_path / f"store{attempt}"
        jobs = [Job(num_jobs=3, index=index) for index in range(3)]
        children = [
            forked(lambda root=root, job=job: run(table(files), root, job=job))  # type: ignore[misc]
            for job in jobs
        ]
        assert [outcome(child) for child in children] == [0, 0, 0]
        assert tree(root) == undisturbed


def test_a_job_killed_beside_the_others_is_resumed(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    def work(root: Path, index: int, event: int | None) -> None:
        if event is not None:
            kill_at(event)
        run(table(files), root, job=Job(num_jobs=3, index=index))

    for event in range(0, 15, 3):
        root = tmp_path / f"store{event}"
        events = (None, event, None)
        children = [
            forked(lambda root=root, i=i, e=e: work(root, i, e))  # type: ignore[misc]
            for i, e in enumerate(events)
        ]
        codes = [outcome(child) for child in children]
        assert codes[0] == codes[2] == 0
        assert codes[1] in (0, KILLED)
        run(table(files), root, job=Job(num_jobs=3, index=1))
        assert tree(root) == undisturbed, event


def test_a_job_resumed_while_another_is_at_work_goes_on(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    with halted(table(files), root, job=Job(num_jobs=2, index=0)) as child:
        resumed = Job(num_jobs=2, index=1)
        assert not run(table(files), root, job=resumed).is_committed
        again = run(table(files), root, job=resumed)
        assert (again.num_computed, again.is_committed) == (0, False)
    assert outcome(child) == 0
    assert tree(root) == undisturbed


def test_a_job_that_another_one_commits_for_tells_the_outcomes_too(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    # Of two shards each job has one: the first has published its own and not looked further.
    requests = table(files).iloc[:4]
    gate = Gate()

    def work() -> None:
        job = Job(num_jobs=2, index=0)
        summary = run(requests, root, reporter=gate, job=job)
        assert summary.is_committed
        assert summary.outcomes == {"ok": 4}

    child = forked(work)
    os.read(gate.arrived, 1)
    other = run(requests, root, job=Job(num_jobs=2, index=1))
    assert other.is_committed
    os.write(gate.pass_on, b"x")
    assert outcome(child) == 0
    assert verify_store(root) == []


def test_a_job_resumed_just_before_another_commits_computes_nothing_again(
    tmp_path: Path,
    files: dict[str, Path],
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "store"
    jobs = [Job(num_jobs=2, index=index) for index in range(2)]
    run(table(files), root, job=jobs[1])
    gate = Gate()
    child = forked(lambda: run(table(files), root, reporter=gate, job=jobs[0]))
    os.read(gate.arrived, 1)

    def plan_late(*args: Any, **kwargs: Any) -> list[Group]:
        if not committed:
            os.write(gate.pass_on, b"xx")
            committed.append(outcome(child))
        return plan_groups(*args, **kwargs)

    committed: list[int] = []
    monkeypatch.setattr(extraction_views, "plan_groups", plan_late)
    summary = run(table(files), root, job=jobs[1])
    assert committed == [0]
    assert (summary.num_computed, summary.outcomes) == (0, {"ok": NUM_CLIPS})
    assert tree(root) == undisturbed


class AtSay(Silence):
    """Does something when a run has planned and is about to work."""

    def __init__(self, deed: Callable[[], None]) -> None:
        self.deed = deed

    def say(self, line: str) -> None:
        self.deed()


def test_a_job_killed_in_its_commit_hinders_no_other(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    jobs = [Job(num_jobs=3, index=index) for index in range(3)]
    for job in jobs[1:]:
        run(table(files), root, job=job)

    def die_in_commit() -> None:
        replace = Path.replace

        def last(path: Path, target: Path) -> Path:
            if path.name == "store.json.next":
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(path, target)

        Path.replace = last  # type: ignore[assignment,method-assign]
        run(table(files), root, job=jobs[0])

    def others() -> None:
        codes.append(outcome(forked(die_in_commit)))
        assert (root / "store.json.next").exists()
        codes.append(outcome(forked(lambda: run(table(files), root, job=jobs[2]))))

    codes: list[int] = []
    assert run(table(files), root, job=jobs[1], reporter=AtSay(others)).is_committed
    assert codes == [KILLED, 0]
    assert tree(root) == undisturbed


def test_jobs_of_another_manifest_are_refused_meanwhile(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    with halted(table(files), root, job=Job(num_jobs=2, index=0)) as child:
        for requests, job in (
            (table(files).iloc[:3], Job(num_jobs=2, index=1)),
            (table(files), Job(num_jobs=3, index=1)),
            (table(files), Job()),
        ):
            with pytest.raises(FeatureStoreError, match="manifest, parameters and --num-shards"):
                run(requests, root, job=job)
        with pytest.raises(FeatureStoreError, match="another run is writing this store"):
            run(table(files), root, job=Job(num_jobs=2, index=0))
    assert outcome(child) == 0
    run(table(files), root, job=Job(num_jobs=2, index=1))
    assert tree(root) == undisturbed


def test_a_job_index_beyond_the_jobs_is_refused() -> None:
    with pytest.raises(ParamsError, match="--shard-index: 3 is not one of 0 to 2"):
        Job(num_jobs=3, index=3)


# Disks


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
