"""Views of a codec's codes: what is stored, beside which others, and after which stops."""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.codecs import HOP, RATE, save_codec
from helpers.encoding import encode_clip
from helpers.extraction import KILLED, forked, kill_at, outcome, table, tree
from pipeline.audio.segments import Segment
from pipeline.encoders.base import Encoder, Outline
from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.codecs import CodecEncoder
from pipeline.encoders.filterbank import FilterbankEncoder
from pipeline.extraction.extract import Summary, extract
from pipeline.extraction.settings import ExtractConfig, ViewConfig, settings_of_recipe
from pipeline.extraction.views import open_view
from pipeline.files import sha256_bytes
from pipeline.progress import Silence
from pipeline.quantisation.codebooks import Codebooks
from pipeline.store.reader import FeatureStore
from pipeline.store.turns import Job
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

CODES = {"codes": ViewConfig(encoder="codec")}
BESIDE = {"layers": ViewConfig(), "frames": ViewConfig(layers=(2,)), **CODES}


class PlainCodec(CodecEncoder):
    """Codes of 100 samples: how loud they are by three yardsticks; counts the clips it is given."""

    outline = Outline(num_layers=3, dim=2, frames_per_s=80.0, num_codes=5)
    sample_rate = 8000
    min_samples = 100

    def __init__(self) -> None:
        self.identity = {"family": "plain codec", "weights": "w0", "flags": {}}
        self.num_encoded = 0

    def codebooks(self) -> Tensor:
        return torch.arange(30.0).reshape(3, 5, 2)

    def codes(self, waveform: Tensor) -> Tensor:
        self.num_encoded += 1
        cut = waveform[: len(waveform) // 100 * 100].reshape(-1, 100).abs().mean(1)
        return torch.stack([(cut * k).long() % 5 for k in (10, 50, 250)])


def run(
    files: dict[str, Path],
    root: Path,
    views: dict[str, ViewConfig],
    codec: Encoder | None = None,
    **options: Any,
) -> dict[str, Summary]:
    settings = {"encoder": "fbank", "rows_per_shard": 2, **options.pop("config", {})}
    codec, other = codec or PlainCodec(), FilterbankEncoder()
    made = [
        open_view(codec if each.encoder == "codec" else other, each)
        for each in ExtractConfig(**settings, views=views).view_settings()
    ]
    return extract(table(files), root, made, reporter=Silence(), **options)


def read(root: Path, ids: Sequence[str], view: str = "codes") -> list[np.ndarray]:
    return FeatureStore.open(root).view(view).read_ragged(list(ids))


@pytest.mark.parametrize("kind", ["encodec", "dac"])
def test_codes_of_a_store_are_those_of_the_codec(
    tmp_path: Path, files: dict[str, Path], kind: str
) -> None:
    save_codec(tmp_path / kind, kind)
    codec = open_encoder(f"{kind}:{tmp_path / kind}", compute_dtype="float32", device="cpu")
    views = {"tokens": ViewConfig(kind="codes", encoder="codec", codebooks=2)}
    run(files, tmp_path / "store", views, codec)
    view = FeatureStore.open(tmp_path / "store").view("tokens")
    assert (view.kind, view.feature_shape) == ("codes", (2,))
    assert isinstance(codec, CodecEncoder)
    for found, path in zip(view.read_ragged(list(files)), files.values(), strict=True):
        settings = settings_of_recipe("tokens", view.recipe, "codec")
        alone = encode_clip(Segment(path=path), codec, settings, batch_seconds=1.0)
        assert (alone.dtype, found.dtype) == (np.uint16, np.uint16)
        np.testing.assert_array_equal(found, alone)
        num_samples = round(_seconds(path) * RATE)
        assert found.shape == (-(-num_samples // HOP), 2)
    fitted = view.fitted_bytes()
    books = Codebooks.from_bytes(fitted, "here")
    assert torch.equal(books.centroids, codec.codebooks()[:2])
    assert books.inertia.shape == (2, 0)
    assert {
        name: view.recipe[name]
        for name in ("view", "source", "codebooks", "num_codes", "dim", "frames_per_s")
    } == {
        "view": "codes",
        "source": "audio",
        "codebooks": 2,
        "num_codes": 16,
        "dim": codec.dim,
        "frames_per_s": RATE / HOP,
    }
    assert view.recipe["fitted"] == sha256_bytes(fitted)
    assert view.recipe["stored_dtype"] == "uint16"
    assert {"pooling", "layers", "every"}.isdisjoint(view.recipe)
    assert verify_store(tmp_path / "store") == []


def _seconds(path: Path) -> float:
    import soundfile

    return float(soundfile.info(path).duration)


def test_the_recipe_gives_back_the_settings_that_made_it(tmp_path: Path) -> None:
    codec = PlainCodec()
    config = ExtractConfig(encoder="codec", views={"codes": ViewConfig(codebooks=2)})
    view = open_view(codec, config.view_settings()[0])
    again = open_view(codec, settings_of_recipe("codes", view.recipe, "codec"))
    assert again.settings.codebooks == 2
    assert again.recipe == view.recipe


def test_the_first_codebooks_are_a_prefix_and_share_the_pass(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    codec = PlainCodec()
    run(files, tmp_path / "store", CODES | {"two": _first(2)}, codec)
    assert codec.num_encoded == len(files)
    both = zip(read(tmp_path / "store", files), read(tmp_path / "store", files, "two"), strict=True)
    for whole, two in both:
        assert (whole.shape[1], two.shape[1]) == (3, 2)
        np.testing.assert_array_equal(whole[:, :2], two)


def _first(number: int) -> ViewConfig:
    return ViewConfig(kind="codes", encoder="codec", codebooks=number)


def test_codes_of_the_windows_of_a_long_clip_follow_one_another(tmp_path: Path, make_wav) -> None:
    files = {"long": make_wav(tmp_path / "long.wav", 3.0, rate=8000)}
    run(files, tmp_path / "cut", CODES, config={"max_duration_s": 1.0})
    run(files, tmp_path / "whole", CODES)
    (cut,), (whole,) = (read(tmp_path / name, files) for name in ("cut", "whole"))
    assert len(np.unique(whole)) > 1
    np.testing.assert_array_equal(cut, whole)


def test_bytes_are_those_of_views_made_alone_in_any_order(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(files, tmp_path / "together", BESIDE)
    for order in (list(BESIDE), list(BESIDE)[::-1]):
        root = tmp_path / "-".join(order)
        for name in order:
            run(files, root, {name: BESIDE[name]})
        assert tree(root) == tree(tmp_path / "together")


def test_a_second_run_touches_nothing(tmp_path: Path, files: dict[str, Path]) -> None:
    def times() -> dict[str, int]:
        return {p.name: p.stat().st_mtime_ns for p in (tmp_path / "store/views").rglob("*")}

    run(files, tmp_path / "store", CODES)
    before = times()
    assert "fitted.safetensors" in before
    assert run(files, tmp_path / "store", CODES)["codes"].num_computed == 0
    assert times() == before


def test_clips_without_features_leave_an_empty_shard(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no audio")
    done = run({"a": tmp_path / "a.wav"}, tmp_path / "store", CODES)
    assert done["codes"].outcomes == {"decode_error": 1}
    assert verify_store(tmp_path / "store") == []


def test_jobs_give_the_bytes_of_one_run(tmp_path: Path, files: dict[str, Path]) -> None:
    run(files, tmp_path / "one", BESIDE)
    for index in range(2):
        run(files, tmp_path / "jobs", BESIDE, job=Job(num_jobs=2, index=index))
    assert {one.num_computed for one in run(files, tmp_path / "jobs", BESIDE).values()} == {0}
    assert tree(tmp_path / "jobs") == tree(tmp_path / "one")


@pytest.mark.parametrize("begun_with", ["nothing", "layers", "other codes"])
def test_killed_at_every_step_it_ends_with_the_same_bytes(
    tmp_path: Path, files: dict[str, Path], begun_with: str
) -> None:
    few = {name: files[name] for name in list(files)[:3]}
    begin = tmp_path / "begin"
    begin.mkdir()
    if begun_with != "nothing":
        run(few, begin, {"layers": ViewConfig()} if begun_with == "layers" else CODES)

    def bring_up(root: Path) -> None:
        run(few, root, {"codes": _first(2)}, replace=True)

    bring_up(shutil.copytree(begin, tmp_path / "wanted"))
    wanted = tree(tmp_path / "wanted")

    def work(root: Path, event: int) -> None:
        kill_at(event)
        bring_up(root)

    for event in itertools.count():
        root = shutil.copytree(begin, tmp_path / f"store{event}")
        code = outcome(forked(lambda root=root, event=event: work(root, event)))  # type: ignore[misc]
        assert code in (0, KILLED)
        bring_up(root)
        assert tree(root) == wanted, event
        shutil.rmtree(root)
        if code == 0:
            break
    assert event > 10


def test_another_plan_takes_in_what_a_killed_run_had_finished(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    """Its shards are committed as strays, and the fitted file must be there with them."""
    few = {name: files[name] for name in list(files)[:3]}
    codec = PlainCodec()
    assert outcome(forked(lambda: (kill_at(14), run(few, tmp_path / "store", CODES)))) == KILLED
    assert list((tmp_path / "store/views/codes/shards").glob("*.h5"))
    (tmp_path / "store/views/codes/fitted.safetensors").unlink()
    run(files, tmp_path / "store", CODES, codec)
    assert codec.num_encoded < len(files)
    assert verify_store(tmp_path / "store") == []
