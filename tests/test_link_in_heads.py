"""Gen-SER with the power link and with draws, trained, saved, loaded and scored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.uneven_corpora import CLASSES, SMALL, scored, trained
from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import ParamsError
from pipeline.evaluation.links import Power
from pipeline.files import unseal_json
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.saved import load_head, save_head

PROBABILITIES = [f"probability.{name}" for name in CLASSES]
SCORES = [f"score.{name}" for name in CLASSES]


def genser(uneven, out: Path, **config):
    section = GenSERConfig(trunk=SMALL, **config)
    return trained(uneven, out, head="genser", heads={"genser": section})


def test_the_power_link_is_fitted_kept_and_used(uneven, tmp_path: Path) -> None:
    head = genser(uneven, tmp_path / "head", link="power")
    assert isinstance(head.link, Power)
    assert head.record.temperature is None
    found = scored(uneven, head, mask_classes=False)
    wanted = head.link.probabilities(found[SCORES].to_numpy())
    np.testing.assert_allclose(found[PROBABILITIES], wanted, atol=1e-6)
    save_head(tmp_path / "again", head, beside=[])
    again = load_head(tmp_path / "again")
    assert (again.link, again.digest) == (head.link, head.digest)
    description = unseal_json((tmp_path / "head" / "head.json").read_bytes())
    assert description is not None
    assert description["format_version"] == 3


def test_the_link_changes_probabilities_and_no_prediction(uneven, tmp_path: Path) -> None:
    softmax = genser(uneven, tmp_path / "softmax", link="softmax")
    description = unseal_json((tmp_path / "softmax" / "head.json").read_bytes())
    assert description is not None
    assert "link" not in description
    assert description["format_version"] == 2
    plain = scored(uneven, softmax)
    found = scored(uneven, genser(uneven, tmp_path / "power", link="power"))
    assert (found["predicted"] == plain["predicted"]).all()
    assert not np.allclose(found[PROBABILITIES], plain[PROBABILITIES], atol=1e-3)


def test_a_uniform_prior_is_bayes_rule_for_the_power_link(uneven, tmp_path: Path) -> None:
    head = genser(uneven, tmp_path / "head", link="power")
    before = scored(uneven, head, mask_classes=False)[PROBABILITIES].to_numpy()
    after = scored(uneven, head, mask_classes=False, prior="uniform")
    wanted = before / head.prior
    wanted /= wanted.sum(1, keepdims=True)
    np.testing.assert_allclose(after[PROBABILITIES], wanted, atol=1e-5)
    assert (after["predicted"] == np.array(CLASSES)[wanted.argmax(1)]).all()


def test_a_class_that_a_corpus_lacks_has_no_probability(uneven, tmp_path: Path) -> None:
    found = scored(uneven, genser(uneven, tmp_path / "head", link="power"))
    of_b = uneven[0].table["corpus"] == "b"
    assert (found.loc[of_b, "probability.sad"] == 0).all()
    np.testing.assert_allclose(found[PROBABILITIES].sum(axis=1), 1, atol=1e-6)


def test_draws_add_their_scatter_and_the_same_bytes_twice(uneven, tmp_path: Path) -> None:
    head = genser(uneven, tmp_path / "head")
    walk = {"genser": SamplerConfig(draws=6, draw_noise=2.0)}
    found, again = (scored(uneven, head, heads=walk) for _ in range(2))
    pd.testing.assert_frame_equal(found, again, check_exact=True)
    assert found["uncertainty"].between(0, 1).all()
    assert found["uncertainty"].max() > 0.01
    assert "uncertainty" not in scored(uneven, head)


def test_a_link_that_is_none_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"train\.genser\.link: 'probit' is not one of"):
        GenSERConfig(link="probit")
