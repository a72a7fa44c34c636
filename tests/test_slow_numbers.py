"""A CPU without bfloat16 instructions: the slow keys are told, and `auto` is not one of them."""

import json
from pathlib import Path

import pytest

from helpers.commands import genser
from pipeline.extraction.settings import ExtractConfig
from pipeline.heads.emoq_config import EmoQConfig
from pipeline.training.config import TrainConfig
from stages import options, precisions
from stages.params import SECTIONS, Params


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setattr(precisions, "has_bfloat16", lambda: False)


def told(capsys):
    return [line.split(" is bfloat16")[0] for line in capsys.readouterr().err.splitlines()]


def test_every_key_of_bfloat16_is_told_once(without, capsys):
    train = TrainConfig(head="emoq", precision="bfloat16", heads={"emoq": EmoQConfig()})
    assert options.torch_device("cpu", train=[train, train]) == "cpu"
    assert told(capsys) == ["note: train.precision", "note: train.emoq.base_dtype"]


def test_the_sections_of_other_heads_are_not(without, capsys):
    options.torch_device("cpu", train=TrainConfig(heads={"emoq": EmoQConfig()}))
    assert told(capsys) == []


def test_float32_and_a_cpu_that_can_are_not(capsys, monkeypatch, without):
    options.torch_device("cpu", extract=ExtractConfig(encoder="x"))
    monkeypatch.setattr(precisions, "has_bfloat16", lambda: True)
    options.torch_device("cpu", extract=ExtractConfig(encoder="x", compute_dtype="bfloat16"))
    assert told(capsys) == []


def test_a_command_goes_on_after_it(here, tmp_path, without):
    words = ["train", "demo.csv", "--store", "store", "--out", tmp_path / "h"]
    result = genser("-S", "train.num_steps=2", "-S", "train.precision=bfloat16", *words)
    assert "about a hundred times slower than -S train.precision=float32, or auto" in result.stderr
    assert "step 2 is kept" in result.stdout


def found_in(values):
    """What a section says of precisions, at any depth."""
    if not isinstance(values, dict):
        return []
    own = [value for key, value in values.items() if key in precisions.KEYS]
    return own + [one for value in values.values() for one in found_in(value)]


@pytest.mark.parametrize("can", [False, True])
def test_auto_is_what_this_cpu_can(can, monkeypatch):
    monkeypatch.setattr(precisions, "has_bfloat16", lambda: can)
    settings = ["train.precision=auto", "train.head=emoq", "train.emoq.base_dtype=auto"]
    train = Params(None, settings).section("train", TrainConfig)
    wanted = "bfloat16" if can else "float32"
    assert (train.precision, train.heads["emoq"].base_dtype) == (wanted, wanted)


@pytest.mark.parametrize("path", sorted(Path("params").glob("*_small.yaml")), ids=str)
def test_the_small_presets_are_slow_nowhere(path, without):
    content = Params(path, []).content
    said = [one for name in SECTIONS for one in found_in(content.get(name))]
    assert "auto" in said
    assert set(said) <= {"auto", "float32"}


def test_a_head_keeps_what_auto_came_to(here, tmp_path, without):
    words = ["train", "demo.csv", "--store", "store", "--out", tmp_path / "h"]
    result = genser("-S", "train.num_steps=2", "-S", "train.precision=auto", *words)
    assert "note:" not in result.stderr
    assert json.loads((tmp_path / "h" / "head.json").read_text())["train"]["precision"] == "float32"
