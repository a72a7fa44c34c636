"""Benchmarks are run by hand; here they are held to what they import."""

from pathlib import Path
from runpy import run_path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_benchmark_can_be_imported(path: Path) -> None:
    assert callable(run_path(str(path))["main"])


def test_there_are_benchmarks() -> None:
    assert BENCHMARKS
