"""The command `extract` with several views: what it says, chooses and leaves alone."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from pipeline.store.reader import FeatureStore
from stages.cli import main

VIEWS = "{layers: {}, frames: {layers: [0, -1], every: 2, rows_per_shard: 5}}"


Extract = Callable[..., Result]


class Corpus(NamedTuple):
    manifest: Path
    audio: Path


@pytest.fixture
def extract(corpus: Corpus, tmp_path: Path) -> Extract:
    """Return a way to extract the small corpus with log-mel energies in two views."""

    def run(*options: object, views: str = VIEWS) -> Result:
        words = ["-S", "extract.encoder=fbank", "-S", f"extract.views={views}"]
        words += ["extract", corpus.manifest, "--audio-root", corpus.audio]
        words += ["--store", tmp_path / "store", *options]
        return CliRunner().invoke(main, [str(word) for word in words])

    return run


def test_every_view_is_told(extract: Extract, tmp_path: Path) -> None:
    result = extract()
    assert result.exit_code == 0, result.output
    told = [line.split("store: ")[1] for line in result.stdout.splitlines()]
    assert told == ["view layers: 12 ok", "view frames: 12 ok"]
    assert "view frames: 12 clips to extract, 0 in the store already" in result.stderr
    assert FeatureStore.open(tmp_path / "store").views == ["frames", "layers"]


def test_a_view_can_be_extracted_alone(extract: Extract, tmp_path: Path) -> None:
    assert extract("--view", "frames").exit_code == 0
    assert FeatureStore.open(tmp_path / "store").views == ["frames"]
    assert "view layers: 12 clips to extract" in extract("--view", "layers").stderr
    assert FeatureStore.open(tmp_path / "store").views == ["frames", "layers"]


def test_another_view_is_refused_in_one_line(extract: Extract) -> None:
    result = extract("--view", "codes")
    assert result.exit_code == 1
    assert "--view codes: extract.views has ['layers', 'frames']; name" in result.stderr


def test_a_dry_run_tells_each_view_and_does_nothing(extract: Extract, tmp_path: Path) -> None:
    layers, frames, nothing = extract("--dry-run").stdout.splitlines()
    assert "view layers: 12 clips to extract, 0 known" in layers
    assert "0.9 kB a clip, 0.0 MB of disk" in layers
    assert "180,000 frames and 57.6 MB an hour, 0 frames and 0.0 MB of disk for 0 h" in frames
    assert frames.endswith("and more for 12 clips of unknown length")
    assert nothing == "nothing was done"
    assert not (tmp_path / "store").exists()


def test_a_dry_run_takes_lengths_from_another_view(extract: Extract, tmp_path: Path) -> None:
    extract("--view", "layers")
    layers, frames, _ = extract("--dry-run").stdout.splitlines()
    assert "view layers: 0 clips to extract, 12 known" in layers
    seconds = FeatureStore.open(tmp_path / "store").index["duration"].sum()
    assert f"an hour, {seconds * 50:,.0f} frames and" in frames
    extract()
    counted = FeatureStore.open(tmp_path / "store").view("frames").records["num_frames"].sum()
    assert counted == pytest.approx(seconds * 50, rel=0.05)


def test_views_that_an_encoder_cannot_make_are_refused_before_any_work(
    extract: Extract, tmp_path: Path
) -> None:
    result = extract(views="{layers: {}, frames: {layers: [3]}}")
    assert "frames.layers: found [3], the encoder fbank has layers 0 to 2" in result.stderr
    result = extract(views="{f: {kind: frames, layers: [0], encoder: 'opensmile:eGeMAPSv02'}}")
    assert "extract.views.f: the encoder opensmile:eGeMAPSv02 gives no frames" in result.stderr
    assert not (tmp_path / "store").exists()


def test_an_array_of_the_same_command_then_the_command_itself_make_the_store(
    extract: Extract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count, index in (
        ("SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_ID"),
        ("WORLD_SIZE", "RANK"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(count, "2")
            patch.setenv(index, str(int(index == "RANK")))
            result = extract()
        told = "is done; when all are, the same command without --num-jobs and --job-index writes"
        assert told in result.stdout, result.output
        assert not (tmp_path / "store" / "store.json").exists()
    result = extract()
    assert "view layers: 0 clips to extract" in result.stderr
    assert "view frames: 0 clips to extract" in result.stderr
    assert FeatureStore.open(tmp_path / "store").views == ["frames", "layers"]


def test_an_engine_stands_alone(extract: Extract) -> None:
    result = extract("--engine", "ray", "--num-jobs", "2")
    assert "--engine ray: shares the work already, found --num-jobs 2" in result.output
    assert "--num-workers 2: is for --engine processes or ray" in extract("--num-workers", 2).output
