"""Encoders in workers: the bytes of a run without them; a worker that is another's refuses."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.extraction import table, tree
from helpers.work import Pickled
from pipeline.errors import EngineError, FeatureStoreError
from pipeline.extraction.extract import Summary, extract
from pipeline.extraction.settings import ExtractConfig, ViewConfig
from pipeline.extraction.views import OpenView, open_views
from pipeline.extraction.workers import ShardMaker
from pipeline.progress import Silence

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

VIEWS = {"layers": ViewConfig(), "f": ViewConfig(kind="frames", layers=(2,))}


@pytest.fixture(autouse=True)
def stays_here() -> Iterator[None]:
    """A worker goes where its driver is; here they are one process."""
    here = Path.cwd()
    yield
    os.chdir(here)


@pytest.fixture(scope="module")
def views() -> list[OpenView]:
    config = ExtractConfig(encoder="fbank", rows_per_shard=2, views=VIEWS)
    return open_views(config.view_settings(), "cpu")


def run(files: dict[str, Path], root: Path, views: list[OpenView], **options: Any) -> Summary:
    options.setdefault("reporter", Silence())
    return extract(table(files), root, views, **options)["layers"]


def test_shards_from_workers_are_the_bytes_of_those_made_here(
    tmp_path: Path, files: dict[str, Path], views: list[OpenView], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    clips = {**files, "broken": Path("broken.wav")}  # relative: its message names it as it is
    run(clips, tmp_path / "here", views)
    summary = run(clips, tmp_path / "away", views, engine=Pickled())
    assert summary.outcomes == {"decode_error": 1, "ok": 5}
    assert tree(tmp_path / "away") == tree(tmp_path / "here")


def maker(views: list[OpenView]) -> ShardMaker:
    return ShardMaker.of(views, device="cpu", workers=1, batch_seconds=32.0)


def test_a_worker_of_other_packages_or_another_recipe_refuses(views: list[OpenView]) -> None:
    mine = maker(views)
    assert callable(mine())
    with pytest.raises(EngineError, match=r"worker on .*: found torch .*, the driver has 0\.1;"):
        replace(mine, versions={**mine.versions, "torch": "0.1"})()
    other = {**mine.recipes, "f": {**mine.recipes["f"], "sample_rate": 8000}}
    with pytest.raises(FeatureStoreError, match=r"worker on .*: view 'f': .*sample_rate"):
        replace(mine, recipes=other)()
    with pytest.raises(EngineError, match=r"/nowhere cannot be entered \(No such file"):
        replace(mine, folder=Path("/nowhere"))()
