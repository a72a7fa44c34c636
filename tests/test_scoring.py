"""Priors, and classes that a corpus lacks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.uneven_corpora import CLASSES, SMALL, scored, trained
from pipeline.errors import HeadError, ParamsError
from pipeline.heads.catalogue import build_head
from pipeline.heads.genser import GenSER, GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.scoring.class_priors import masked, with_prior
from pipeline.scoring.score import ScoreConfig


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.integers(0, 7))
def test_a_class_that_is_ruled_out_is_below_all_others(row, ruled) -> None:
    scores = np.array([row], np.float32)
    lacking = np.array([[bool(ruled & 1 << c) for c in range(3)]])
    if lacking.all():
        return
    found = masked(scores, lacking)
    assert not lacking[0, found.argmax(1)[0]]
    assert (found[~lacking] == scores[~lacking]).all()
    if lacking.any():
        assert found[lacking].max() < found[~lacking].min()


def test_a_corpus_gets_only_the_classes_that_its_training_rows_had(uneven, tmp_path: Path) -> None:
    head = trained(uneven, tmp_path / "head")
    assert head.record.corpora == {"a": list(CLASSES), "b": ["angry", "calm"]}
    kept = scored(uneven, head)
    of_b = uneven[0].table["corpus"] == "b"
    assert (kept.loc[of_b, "predicted"] != "sad").all()
    assert (kept.loc[of_b, "probability.sad"] == 0).all()
    columns = [f"probability.{name}" for name in CLASSES]
    np.testing.assert_allclose(kept[columns].sum(axis=1), 1, atol=1e-6)
    free = scored(uneven, head, mask_classes=False)
    pd.testing.assert_frame_equal(kept[~of_b], free[~of_b])
    assert (free.loc[of_b, "probability.sad"] > 0).all()


def test_a_uniform_prior_is_bayes_rule_for_logits(uneven, tmp_path: Path) -> None:
    head = trained(uneven, tmp_path / "head")
    np.testing.assert_allclose(head.prior, [36 / 60, 18 / 60, 6 / 60])
    columns = [f"probability.{name}" for name in CLASSES]
    before = scored(uneven, head, mask_classes=False)[columns].to_numpy()
    after = scored(uneven, head, mask_classes=False, prior="uniform")[columns].to_numpy()
    wanted = before / head.prior
    np.testing.assert_allclose(after, wanted / wanted.sum(1, keepdims=True), atol=1e-5)


def test_a_uniform_prior_reweighs_the_mean_code_of_gen_ser() -> None:
    """The estimate that minimises the loss is the posterior's mean code: its prior divides out."""
    shapes = {"layers": FeatureShape(num_layers=2, dim=16, last_layer=1, input_layer=None)}
    head = build_head("genser", shapes, 3, GenSERConfig(trunk=SMALL))
    assert isinstance(head, GenSER)
    likelihood, prior = torch.tensor([[0.2, 0.5, 0.3]]), torch.tensor([0.7, 0.2, 0.1])
    posterior = likelihood * prior / (likelihood * prior).sum()
    estimate = posterior @ head.codes
    cosines = torch.nn.functional.cosine_similarity(estimate[:, None], head.codes[None], dim=2)
    found = head.reweighted(cosines, 1 / (3 * prior), temperature=0.1)
    plain = likelihood @ head.codes
    wanted = torch.nn.functional.cosine_similarity(plain[:, None], head.codes[None], dim=2)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert head.reweighted(torch.zeros(1, 3), 1 / prior, 1.0).tolist() == [[0.0, 0.0, 0.0]]


def test_rows_of_no_split_are_scored_too(uneven, tmp_path: Path) -> None:
    manifest, store = uneven
    head = trained(uneven, tmp_path / "head")
    table = manifest.table.assign(split=manifest.table["split"].replace("dev", ""))
    found = scored((replace(manifest, table=table), store), head)
    assert found["split"].isna().sum() == (manifest.table["split"] == "dev").sum()
    assert found["predicted"].notna().all()


def test_a_head_without_its_shares_cannot_change_its_prior(uneven, tmp_path: Path) -> None:
    head = trained(uneven, tmp_path / "head")
    head = replace(head, record=replace(head.record, prior=None))
    with pytest.raises(HeadError, match=r"score\.prior: 'uniform' needs the class shares"):
        with_prior(head, np.zeros((1, 3), np.float32), "uniform")
    with pytest.raises(ParamsError, match=r"score\.prior: 'flat' is not one of"):
        ScoreConfig(prior="flat")
