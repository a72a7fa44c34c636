"""One zygote and one world for all tests of faults in a session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.launcher import Launcher
from faults.scenes import World, shared_world

HERE = Path(__file__).parent
ELSEWHERE = {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    made = Launcher(tmp_path_factory.mktemp("told") / "run")
    yield made
    made.close()


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Another one, for what runs beside the first, and in other surroundings."""
    made = Launcher(tmp_path_factory.mktemp("told") / "second", **ELSEWHERE)
    yield made
    made.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, launcher: Launcher) -> World:
    base = tmp_path_factory.getbasetemp()
    # The workers of a parallel session share it.
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "faults-world"
    return shared_world(root, launcher)
