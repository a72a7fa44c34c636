import json

import numpy as np
import pandas as pd

from helpers.commands import genser
from pipeline.scoring.predictions import read_predictions


def test_predict_says_what_score_says(here):
    table = read_predictions(here / "p.parquet").table.to_pandas()
    manifest = pd.read_csv("demo.csv")
    paths = [f"demo/audio/{path}" for path in manifest["path"][:3]]
    result = genser("predict", *paths, "--head", "head", "--json")
    answers = json.loads(result.stdout)
    assert [a["predicted"] for a in answers] == table["predicted"][:3].tolist()
    columns = [c for c in table if c.startswith("probability.")]
    for answer, row in zip(answers, table[columns].to_numpy(), strict=False):
        # A clip alone and in a batch agree to the last bits of the stored float16.
        np.testing.assert_allclose(list(answer["probabilities"].values()), row, atol=2e-3)


def test_predict_shows_a_bar_for_every_class(here):
    path = "demo/audio/" + pd.read_csv("demo.csv")["path"][0]
    lines = genser("predict", path, "--head", "head").stdout.splitlines()
    assert len(lines) == 6
    assert all("%" in line for line in lines)


def test_predict_keeps_going_after_a_bad_file_and_exits_with_3(here):
    path = "demo/audio/" + pd.read_csv("demo.csv")["path"][0]
    result = genser("predict", "nowhere.wav", path, "--head", "head")
    assert result.exit_code == 3
    assert "nowhere.wav: missing" in result.stderr
    assert path in result.stdout
