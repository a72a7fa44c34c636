"""What an installed genser brings along beside its modules."""

from pathlib import Path

import pytest
from setuptools import Distribution

from helpers.commands import genser
from stages.shipped import shipped

ROOT = Path(__file__).parent.parent


def files_of_a_wheel() -> set[str]:
    """The files beside modules that setuptools puts into the package `stages.shipped`."""
    distribution = Distribution()
    distribution.parse_config_files([str(ROOT / "setup.cfg")])
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    data = {package: files for package, _, _, files in build.data_files}
    return {Path(name).as_posix() for name in data["stages.shipped"]}


def test_a_wheel_carries_every_parameter_file_and_label_map(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    wanted = [*ROOT.glob("params/**/*.yaml"), *ROOT.glob("data_manifests/label_maps/*")]
    assert len(wanted) > 30
    assert files_of_a_wheel() == {path.relative_to(ROOT).as_posix() for path in wanted}


def test_a_path_of_the_documentation_is_read_where_it_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = genser("inspect", "params/paper.yaml", "--json")
    assert own.stdout == genser("inspect", ROOT / "params" / "paper.yaml", "--json").stdout
    assert own.stderr == (
        "note: params/paper.yaml is not here; the one that genser brings along is read.\n"
    )
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "paper.yaml").write_text("train: {head: linear}\n")
    mine = genser("inspect", "params/paper.yaml", "--json")
    assert (mine.stderr, mine.stdout == own.stdout) == ("", False)


def test_a_file_that_several_trials_stand_on_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trials = "params/trials/emoq_text.yaml"
    (tmp_path / "m.csv").write_text("utterance_id,path,speaker\na,a.wav,s\n")
    run = genser("crossval", "m.csv", "--heads", "", "--variant", trials, "--out", "x")
    told = [line for line in run.stderr.splitlines() if line.startswith("note: ")]
    assert [line.split()[1] for line in told] == [trials, "params/emoq_small.yaml"]


@pytest.mark.parametrize("path", ["/params/paper.yaml", "../params/paper.yaml", "params", "x.yaml"])
def test_nothing_else_is_brought_along(path: str) -> None:
    assert shipped(Path(path)) is None
