"""Several views of one extraction: one pass where they can share it, the same bytes where not."""

import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.extraction import KILLED, forked, kill_at, outcome, table, tree
from pipeline.encoders.base import Encoded, Encoder, Outline
from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.pooling import Moments
from pipeline.errors import FeatureStoreError
from pipeline.extraction.extract import Summary, extract
from pipeline.extraction.settings import ExtractConfig, ViewConfig
from pipeline.extraction.views import open_view
from pipeline.progress import Lines, Silence
from pipeline.store.reader import FeatureStore
from pipeline.store.turns import Job
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

MakeWav = Callable[..., Path]
BOTH = {"layers": ViewConfig(), "frames": ViewConfig(layers=(0, -1))}
FRAMES = {"frames": BOTH["frames"]}


class PlainEncoder(Encoder):
    """Frames of 400 samples, layers that are powers of them; counts the clips it is given."""

    outline = Outline(num_layers=3, dim=2, frames_per_s=40.0)
    layer_convention = "powers"
    sample_rate = 16000
    min_samples = 400

    def __init__(self) -> None:
        self.identity = {"family": "plain", "weights": "w0", "flags": {}}
        self.num_encoded = 0
        self.asked: set[tuple[int, ...]] = set()

    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        self.num_encoded += len(waveforms)
        self.asked.add(tuple(frames_of))
        return [self._encoded(waveform, frames_of) for waveform in waveforms]

    def _encoded(self, waveform: np.ndarray, frames_of: Sequence[int]) -> Encoded:
        count = len(waveform) // 400
        cut = torch.from_numpy(waveform[: count * 400].reshape(count, 400))
        first = torch.stack([cut.mean(1), cut.abs().mean(1)], dim=-1)
        layers = torch.stack([first**k for k in (1, 2, 3)], dim=1)  # (T, L, D)
        mean = layers.mean(0)
        moments = Moments(count, mean, (layers - mean).square().sum(0))
        return Encoded(moments=moments, frames=layers[:, list(frames_of)] if frames_of else None)


def run(
    files: dict[str, Path],
    root: Path,
    views: dict[str, ViewConfig],
    encoder: Encoder | None = None,
    **options: Any,
) -> dict[str, Summary]:
    config = ExtractConfig(**{"rows_per_shard": 2, **options.pop("config", {})}, views=views)
    opened = encoder or PlainEncoder()
    made = [open_view(opened, settings) for settings in config.view_settings()]
    options.setdefault("reporter", Silence())
    return extract(table(files), root, made, **options)


def naive_frames(path: Path) -> np.ndarray:
    """Return the frames of layers 0 and 2 of a clip, by the textbook."""
    import soundfile

    samples, _ = soundfile.read(path, dtype="float32")
    rows = [samples[i : i + 400] for i in range(0, len(samples) - 399, 400)]
    first = np.array([[row.mean(), np.abs(row).mean()] for row in rows])
    return np.stack([first, first**3], axis=1)


@pytest.fixture
def files(tmp_path: Path, make_wav: MakeWav) -> dict[str, Path]:
    """Five clips of .1 to .5 s."""
    return {
        name: make_wav(tmp_path / "audio" / f"{name}.wav", 0.1 * (i + 1), seed=i)
        for i, name in enumerate("baecd")
    }


def test_frames_are_those_of_the_clip_and_their_means_are_the_layers(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(files, tmp_path / "store", BOTH, config={"stored_dtype": "float32"})
    store = FeatureStore.open(tmp_path / "store")
    frames, layers = store.view("frames"), store.view("layers")
    assert (frames.is_ragged, layers.is_ragged) == (True, False)
    assert frames.num_frames(list(files)).tolist() == [4, 8, 12, 16, 20]
    means = layers.read(list(files))
    for found, mean, path in zip(
        frames.read_ragged(list(files)), means, files.values(), strict=True
    ):
        np.testing.assert_allclose(found, naive_frames(path), rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(found.mean(0), mean[[0, 2]], rtol=1e-5, atol=1e-8)
    assert frames.recipe["layers"] == [0, 2]
    assert verify_store(tmp_path / "store") == []


def test_views_of_one_encoder_share_a_pass(tmp_path: Path, files: dict[str, Path]) -> None:
    encoder = PlainEncoder()
    done = run(files, tmp_path / "store", BOTH, encoder)
    assert {name: summary.num_computed for name, summary in done.items()} == {
        "layers": 5,
        "frames": 5,
    }
    assert encoder.num_encoded == 5
    assert encoder.asked == {(0, 2)}


def test_bytes_are_those_of_views_made_alone_in_any_order(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(files, tmp_path / "together", BOTH)
    for order in (("layers", "frames"), ("frames", "layers")):
        root = tmp_path / "-".join(order)
        for name in order:
            run(files, root, {name: BOTH[name]})
        assert tree(root) == tree(tmp_path / "together")


def test_views_of_other_shard_sizes_run_in_turn_and_say_so(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    encoder, said = PlainEncoder(), Lines()
    views = {**BOTH, "frames": ViewConfig(layers=(0, 2), rows_per_shard=1)}
    run(files, tmp_path / "store", views, encoder, reporter=said)
    assert encoder.num_encoded == 9  # the last clip is a whole shard of both, and shares its pass
    assert "runs once for each number of clips per shard (layers 2, frames 1)" in said.lines[-1]
    store = FeatureStore.open(tmp_path / "store")
    assert [len(store.view(n).records["shard"].unique()) for n in store.views] == [5, 3]


def test_a_real_encoder_gives_the_same_bytes_in_one_pass_and_in_two(
    tmp_path: Path, files: dict[str, Path], tiny_encoder_folder: Path
) -> None:
    encoder = open_encoder(str(tiny_encoder_folder), compute_dtype="float32", device="cpu")
    run(files, tmp_path / "together", BOTH, encoder)
    for name, view in BOTH.items():
        run(files, tmp_path / "in turn", {name: view}, encoder)
    assert tree(tmp_path / "in turn") == tree(tmp_path / "together")


def test_a_layers_view_has_the_bytes_it_has_without_others(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(files, tmp_path / "alone", {"layers": ViewConfig()})
    run(files, tmp_path / "both", BOTH)
    alone = tree(tmp_path / "alone")
    mine = {name: data for name, data in alone.items() if name.startswith("views/layers/")}
    assert len(mine) == 5
    assert mine.items() <= tree(tmp_path / "both").items()


def test_adding_a_view_computes_only_it(tmp_path: Path, files: dict[str, Path]) -> None:
    run(files, tmp_path / "store", {"layers": ViewConfig()})
    done = run(files, tmp_path / "store", BOTH)
    assert [summary.num_computed for summary in done.values()] == [0, 5]
    assert all(summary.outcomes == {"ok": 5} for summary in done.values())


def test_a_failed_clip_has_its_outcome_in_every_view(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    bad = {**files, "broken": tmp_path / "broken.wav"}
    done = run(bad, tmp_path / "store", BOTH)
    assert all(s.outcomes == {"decode_error": 1, "ok": 5} for s in done.values())
    store = FeatureStore.open(tmp_path / "store")
    for name in BOTH:
        assert store.view(name).lookup(["broken"])["outcome"].item() == "decode_error"
    with pytest.raises(FeatureStoreError, match="'broken', has outcome 'decode_error'"):
        store.view("frames").read_ragged(["broken"])


def test_a_changed_file_is_computed_anew_in_each_view_when_that_is_next_extracted(
    tmp_path: Path, files: dict[str, Path], make_wav: MakeWav
) -> None:
    root = tmp_path / "store"
    run(files, root, BOTH)
    make_wav(files["a"], 0.3, seed=20)
    assert run(files, root, FRAMES)["frames"].num_computed == 1
    assert FeatureStore.open(root).view("frames").num_frames(["a"]).tolist() == [12]
    assert run(files, root, BOTH)["layers"].num_computed == 1
    assert [s.num_computed for s in run(files, root, BOTH).values()] == [0, 0]


def test_windows_of_a_long_clip_follow_one_another(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "long.wav", 3.0)
    config = {"max_duration_s": 1.0, "stored_dtype": "float32"}
    run({"long": path}, tmp_path / "store", BOTH, config=config)
    store = FeatureStore.open(tmp_path / "store")
    found = store.view("frames").read_ragged(["long"])[0]
    np.testing.assert_allclose(found, naive_frames(path), rtol=1e-4, atol=1e-7)
    mean = store.view("layers").read(["long"])[0]
    np.testing.assert_allclose(found.mean(0), mean[[0, 2]], rtol=1e-5, atol=1e-8)


def test_means_of_every_k_frames_are_stored(tmp_path: Path, files: dict[str, Path]) -> None:
    views = {"f": ViewConfig(kind="frames", layers=(0, 2), every=3, stored_dtype="float32")}
    run(files, tmp_path / "store", views)
    view = FeatureStore.open(tmp_path / "store").view("f")
    assert view.num_frames(list(files)).tolist() == [2, 3, 4, 6, 7]
    for found, path in zip(view.read_ragged(list(files)), files.values(), strict=True):
        frames = naive_frames(path)
        groups = [frames[i : i + 3].mean(0) for i in range(0, len(frames), 3)]
        np.testing.assert_allclose(found, groups, rtol=1e-5, atol=1e-8)


def test_jobs_of_two_views_give_the_bytes_of_one_run(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(files, tmp_path / "one", BOTH)
    for index in range(2):
        run(files, tmp_path / "jobs", BOTH, job=Job(num_jobs=2, index=index))
    assert {one.num_computed for one in run(files, tmp_path / "jobs", BOTH).values()} == {0}
    assert tree(tmp_path / "jobs") == tree(tmp_path / "one")


@pytest.mark.parametrize("begun_with", ["nothing", "layers", "other audio"])
def test_two_views_killed_at_every_step_end_with_the_same_bytes(
    tmp_path: Path, files: dict[str, Path], make_wav: MakeWav, begun_with: str
) -> None:
    few = {name: files[name] for name in "bae"}
    begin = tmp_path / "begin"
    begin.mkdir()
    if begun_with != "nothing":
        run(few, begin, BOTH if begun_with == "other audio" else {"layers": ViewConfig()})
    if begun_with == "other audio":
        make_wav(files["e"], 0.2, seed=20)  # the only clip of a shard of either view
    run(few, shutil.copytree(begin, tmp_path / "wanted"), BOTH)
    wanted = tree(tmp_path / "wanted")

    def work(root: Path, event: int) -> None:
        kill_at(event)
        run(few, root, BOTH)

    for event in itertools.count():
        root = shutil.copytree(begin, tmp_path / f"store{event}")
        code = outcome(forked(lambda root=root, event=event: work(root, event)))  # type: ignore[misc]
        assert code in (0, KILLED)
        run(few, root, BOTH)
        assert tree(root) == wanted, event
        shutil.rmtree(root)
        if code == 0:
            break
    assert event > 10
