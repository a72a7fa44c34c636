"""Cross-validations under conditions: runs, their scores on a new class, tables and page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.uneven_corpora import CLASSES, HEAD_CONFIGS
from pipeline.errors import ParamsError, PredictionsError
from pipeline.experiments import crossval, running
from pipeline.experiments.condition_tables import CONDITIONS, under_conditions
from pipeline.experiments.conditions import Condition, conditions_of
from pipeline.experiments.crossval import cross_validate
from pipeline.experiments.plan import Plan, System
from pipeline.experiments.tables import write_tables
from pipeline.heads.batch import of_layers
from pipeline.heads.catalogue import build_head
from pipeline.heads.genser import GenSER
from pipeline.heads.needs import FeatureShape
from pipeline.progress import Silence
from pipeline.report.conditions import condition_sections
from pipeline.scoring.score import ScoreConfig
from pipeline.training.config import TrainConfig

LEVELS = conditions_of([0.5], [4], "sad", [1, 4])
SHAPES = {"layers": FeatureShape(num_layers=2, dim=16, last_layer=1, input_layer=None)}


def systems(*heads: str, conditions=LEVELS) -> dict[str, System]:
    train = TrainConfig(num_steps=40, heads=HEAD_CONFIGS, standardise_over="speaker")
    plain = {
        head: System(train=replace(train, head=head), score=ScoreConfig(mask_classes=False))
        for head in heads
    }
    return under_conditions(plain, conditions)


def run(uneven, out: Path, *heads: str, conditions=LEVELS) -> list[crossval.Run]:
    manifest, store = uneven
    plan = Plan(
        systems=systems(*heads, conditions=conditions),
        seeds=(0, 1),
        task="emotion",
        label_map=None,
        allow_overlap=False,
        device="cpu",
    )
    return cross_validate({"own": manifest}, {"": store}, plan, out, reporter=Silence())


def test_conditions_change_the_training_and_tests_stay_what_they_are(uneven, tmp_path, monkeypatch):
    seen, train_rows = [], running.train_rows

    def noted(features, rows, **kwargs):
        seen.append((len(rows.train), rows.classes))
        return train_rows(features, rows, **kwargs)

    monkeypatch.setattr(running, "train_rows", noted)
    runs = run(uneven, tmp_path / "cv", "logreg")
    # One training serves every number of shown clips.
    assert seen == 2 * [(60, CLASSES), (60, CLASSES), (40, CLASSES), (54, ("angry", "calm"))]
    test = uneven[0].table[uneven[0].table["split"] == "test"]
    for one in runs:
        frame = one.predictions.frame
        assert frame["label"].tolist() == test["emotion"].tolist()
        assert one.predictions.classes == CLASSES
        told = one.predictions.metadata.get("condition")
        assert (told is None) == (one.system == "logreg")
    again = run(uneven, tmp_path / "cv", "logreg")
    assert len(seen) == 8
    for one, other in zip(runs, again, strict=True):
        pd.testing.assert_frame_equal(other.predictions.frame, one.predictions.frame)


# Logits of two classes lie on a line, where there is no room for a third.
@pytest.mark.parametrize("head", ["mlp", "genser", "twin"])
def test_a_new_class_is_told_by_the_clips_that_are_shown(uneven, tmp_path: Path, head: str):
    runs = run(uneven, tmp_path / "cv", head, conditions=conditions_of([], [], "sad", [1, 4]))
    mine = [one.predictions.frame for one in runs if one.system == f"{head}-new4"]
    frame = pd.concat(mine)
    recall = (frame["predicted"] == frame["label"]).groupby(frame["label"]).mean()
    assert recall["sad"] > 0.5
    assert recall.drop("sad").mean() > 0.6
    columns = [f"probability.{name}" for name in CLASSES]
    np.testing.assert_allclose(frame[columns].sum(axis=1), 1, atol=1e-6)


def test_embeddings_are_what_classes_are_told_apart_by():
    batch = of_layers(torch.randn(5, 2, 16, generator=torch.Generator().manual_seed(0)))
    made = {
        name: build_head(name, SHAPES, 3, HEAD_CONFIGS[name]).eval()
        for name in ("genser", "twin", "mlp", "linear")
    }
    genser = made["genser"]
    assert isinstance(genser, GenSER)
    options = genser.dev_scoring()
    torch.testing.assert_close(
        genser.embedding(batch, options), genser.walk(batch, options).readout
    )
    twin, mlp = made["twin"], made["mlp"]
    torch.testing.assert_close(twin.classify(twin.embedding(batch, None)), twin.logits(batch))
    torch.testing.assert_close(mlp.network[-1](mlp.embedding(batch, None)), mlp.logits(batch))
    logits = made["linear"].logits(batch)
    torch.testing.assert_close(
        made["linear"].embedding(batch, None), logits - logits.mean(1, keepdim=True)
    )


def test_tables_and_page_have_every_system_under_every_condition(uneven, tmp_path: Path):
    out = tmp_path / "cv"
    runs = run(uneven, out, "logreg", "linear")
    settings = {"cluster": "speaker", "margin": 0.02, "is_matrix": False}
    write_tables(
        out, runs, uneven[0], None, **settings, conditions=LEVELS, names=["logreg", "linear"]
    )
    found = pd.read_csv(out / CONDITIONS, keep_default_na=False, na_values=[""])
    assert found["system"].tolist() == list(systems("logreg", "linear"))
    standings = pd.read_csv(out / "standings.csv").drop_duplicates("system").set_index("system")
    np.testing.assert_allclose(found["ua"], standings.loc[found["system"], "ua"])
    by_name = found.set_index("system")
    assert np.isnan(by_name.loc["logreg", "difference"])
    assert by_name.loc["linear-noise0.5", "difference"] == pytest.approx(
        by_name.loc["logreg-noise0.5", "ua"] - by_name.loc["linear-noise0.5", "ua"], abs=1e-5
    )
    assert by_name.loc["logreg-new4", "new_recall"] >= by_name.loc["logreg-new1", "new_recall"]
    (section,) = condition_sections("cv", out)
    assert section.tables[0].caption.startswith("cv: a share of the training labels")
    assert len(section.tables) == 3
    cells = section.tables[2].frame.set_index("system")
    assert set(cells.columns) >= {"as it is", "1", "4", "4: new, known", "4: error at 80 %"}
    assert condition_sections("cv", tmp_path) == []
    (out / CONDITIONS).write_text("a,b\n1,2\n")
    with pytest.raises(PredictionsError, match="is not what 'genser crossval' writes now"):
        condition_sections("cv", out)


def test_noise_beside_votes_is_refused():
    with pytest.raises(ParamsError, match=r"label noise: train\.targets is 'votes'"):
        System(
            train=TrainConfig(targets="votes"),
            score=ScoreConfig(),
            condition=Condition(label_noise=0.2),
        )
