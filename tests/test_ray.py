"""The engine of Ray: an actor is killed, and the bytes are those of a run nobody disturbed."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers.extraction import table, tree
from helpers.work import DiesOnce, Squares
from pipeline.engines.ray_actors import Ray
from pipeline.errors import EngineError, ParamsError
from pipeline.extraction.extract import Summary, extract
from pipeline.extraction.settings import ExtractConfig, ViewConfig
from pipeline.extraction.views import open_views
from pipeline.progress import Silence

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own, in this process


@pytest.fixture(scope="module")
def actors() -> Iterator[Ray]:
    """Two actors of one cluster, which each test joins as one joins a cluster that is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        with Ray(2).joined():
            yield Ray(2)


def extracted(files: dict[str, Path], root: Path, **options: Any) -> Summary:
    views = {"layers": ViewConfig(), "f": ViewConfig(kind="frames", layers=(2,))}
    config = ExtractConfig(encoder="fbank", rows_per_shard=2, views=views)
    opened = open_views(config.view_settings(), "cpu")
    return extract(table(files), root, opened, reporter=Silence(), **options)["layers"]


class Deadly(Ray):
    """Actors, the first of which is killed at its first item."""

    folder: Path

    def map(self, start: Any, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        return super().map(DiesOnce(start, self.folder), items)


def test_a_cluster_that_is_not_there_is_one_line() -> None:
    with (
        pytest.raises(EngineError, match=r"--address 127\.0\.0\.1:1: no Ray cluster can be"),
        Ray(1, "127.0.0.1:1").joined(),
    ):
        pass


def test_an_actor_killed_at_work_changes_no_byte(
    actors: Ray, files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    clips = {**files, "broken": tmp_path / "broken.wav"}
    extracted(clips, tmp_path / "serial")
    deadly = Deadly(2)
    deadly.folder = tmp_path
    summary = extracted(clips, tmp_path / "ray", engine=deadly)
    assert (tmp_path / "died").exists()
    assert summary.outcomes == {"decode_error": 1, "ok": 5}
    assert tree(tmp_path / "ray") == tree(tmp_path / "serial")


def test_results_and_errors_come_back(actors: Ray, tmp_path: Path) -> None:
    items = [("square", number) for number in range(5)]
    assert dict(actors.map(Squares(tmp_path), items)) == {i: i**2 for i in range(5)}
    with pytest.raises(ParamsError, match=r"^7 is wrong\.$"):
        list(actors.map(Squares(tmp_path), [("user", 7)]))
    with pytest.raises(EngineError, match="its worker died 4 times at the same item"):
        list(actors.map(Squares(tmp_path), [("die", 0)]))
