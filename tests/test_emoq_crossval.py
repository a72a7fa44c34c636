"""EmoQ in a cross-validation: what it says of each system, and the page of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser
from helpers.emoq import make
from pipeline.experiments.costs import Cost, count_parameters, read_cost, write_cost
from pipeline.experiments.crossval import RUNS, Run
from pipeline.experiments.systems import systems_table
from pipeline.heads.catalogue import build_head
from pipeline.heads.needs import FeatureShape

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

SECTION = """
train:
  head: emoq
  num_steps: 2
  batch_size: 8
  eval_every: 2
  frames_in: memory
  emoq:
    language: {language}
    base_dtype: float32
    num_queries: 3
    cross_every: 1
    pooling_heads: 2
    former_width: 16
    former_blocks: 1
    former_heads: 2
    stage1_steps: 2
"""
TRIALS = """
whole: {train.emoq.mal: both}
text: {train.emoq.input: text}
audio: {train.emoq.input: audio}
one: {train.emoq.stage1_steps: 0}
bar: {train.head: logreg, train.logreg.strength: 0.01, train.logreg.view: frames}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emoq")
    made = make(folder, 40)
    (folder / "params.yaml").write_text(SECTION.replace("{language}", str(made.language)))
    (folder / "trials.yaml").write_text(TRIALS)
    return folder
