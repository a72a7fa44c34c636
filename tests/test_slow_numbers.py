"""A CPU without bfloat16 instructions computes it a hundred times slower: that is told by key."""

import pytest

from helpers.commands import genser
from pipeline.extraction.settings import ExtractConfig
from pipeline.heads.emoq_config import EmoQConfig
from pipeline.training.config import TrainConfig
from stages import options


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setattr(options, "has_bfloat16", lambda: False)


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
    monkeypatch.setattr(options, "has_bfloat16", lambda: True)
    options.torch_device("cpu", extract=ExtractConfig(encoder="x", compute_dtype="bfloat16"))
    assert told(capsys) == []


def test_a_command_goes_on_after_it(here, tmp_path, without):
    words = ["train", "demo.csv", "--store", "store", "--out", tmp_path / "h"]
    result = genser("-S", "train.num_steps=2", "-S", "train.precision=bfloat16", *words)
    assert "about a hundred times slower than -S train.precision=float32" in result.stderr
    assert "step 2 is kept" in result.stdout
