import json
from pathlib import Path

import pytest

from helpers.commands import genser


@pytest.mark.parametrize("what", ["store", "head", "p.parquet", "params.yaml"])
def test_inspect_shows_everything_as_text_and_as_json(here, what):
    assert genser("inspect", what).exit_code == 0
    facts = json.loads(genser("inspect", what, "--json").stdout)
    assert facts["kind"]


def test_inspect_counts_the_paper_s_parameters_without_weights():
    path = Path(__file__).parent.parent / "params/paper.yaml"
    facts = json.loads(genser("inspect", path, "--json").stdout)
    assert facts["parameters"] == "71,360,535 (71.4 M)"
    assert facts["train"]["num_steps"] == 400_000
    assert facts["train"]["batch_size"] == 128
    assert facts["train"]["optimiser"]["learning_rate"] == 5e-4
    assert facts["train"]["select_by"] == "wa"
