"""What stands at the top of the repository comes with genser, and is found by the same name."""

from configparser import ConfigParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.cli import main
from stages.label_maps import find_label_map, read_label_map
from stages.params import read_yaml, shipped

ROOT = Path(__file__).parent.parent
TOPS = ("params", "data_manifests/label_maps")


def names() -> set[str]:
    return {str(p.relative_to(ROOT)) for top in TOPS for p in (ROOT / top).rglob("*.yaml")}


def test_the_wheel_takes_every_file_along():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    globs = config["options.package_data"]["stages"].split()
    share = ROOT / "stages" / "share"
    taken = {
        str(p.relative_to(share))
        for glob in globs
        for p in share.parent.glob(glob)
        if p.suffix == ".yaml"
    }
    assert taken == names()


def test_every_file_is_found_by_its_name_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in names():
        assert shipped(Path(name)).read_bytes() == (ROOT / name).read_bytes()


def test_a_file_that_is_there_is_the_one_that_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "paper.yaml").write_text("train: {num_steps: 7}\n")
    assert read_yaml(Path("params/paper.yaml")) == {"train": {"num_steps": 7}}


@pytest.mark.parametrize("name", ["paper.yaml", "/params/paper.yaml", "params", "params/x.yaml"])
def test_nothing_else_is_found(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped(Path(name)) == Path(name)


def test_a_command_that_names_one_is_the_same_in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(
        main,
        ["--params", "params/paper.yaml", "inspect", "params/paper.yaml"],
        catch_exceptions=False,
    )
    assert "parameters   71" in shown.output


def test_manifests_in_data_manifests_have_their_maps_in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read_label_map(find_label_map(Path("data_manifests/mine.csv"), "emotion", None))
    assert found is not None
    assert found.mapping["joy"] == "happy"
    assert find_label_map(Path("mine.csv"), "emotion", None) is None
    given = Path("data_manifests/label_maps/meld4.yaml")
    assert len(read_label_map(find_label_map(Path("mine.csv"), "emotion", given)).classes) == 4
