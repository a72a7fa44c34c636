"""Draws about a clip's embedding: functions of its name, their mean, and their scatter."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.diffusion.draws import clip_draws, mean_and_scatter
from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import ParamsError
from pipeline.heads.batch import Batch, of_layers
from pipeline.heads.genser import GenSER, GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.trunk import TrunkConfig

SHAPES = {"layers": FeatureShape(num_layers=3, dim=16, last_layer=2, input_layer=0)}
NAMES = ("a", "b/c", "é", "d")


def head(**config) -> GenSER:
    torch.manual_seed(0)
    trunk = TrunkConfig(width=8, num_blocks=1, num_heads=2)
    return GenSER(SHAPES, 3, GenSERConfig(trunk=trunk, **config)).eval()


def batch(names=NAMES) -> Batch:
    generator = torch.Generator().manual_seed(1)
    every = torch.randn(len(NAMES), 3, 16, generator=generator)
    return of_layers(every[[NAMES.index(name) for name in names]], names=names)


def test_a_clip_s_draws_are_a_function_of_its_name_alone():
    drawn = clip_draws(NAMES, 3, 16)
    assert drawn.shape == (3, 4, 16)
    backwards = clip_draws(NAMES[::-1], 3, 16)
    torch.testing.assert_close(backwards.flip(1), drawn, rtol=0, atol=0)
    torch.testing.assert_close(clip_draws(("b/c",), 3, 16)[:, 0], drawn[:, 1], rtol=0, atol=0)
    assert not torch.equal(drawn[:, 0], drawn[:, 1])


def test_draws_are_standard_normal():
    drawn = clip_draws([str(i) for i in range(400)], 4, 50)
    assert drawn.mean().item() == pytest.approx(0, abs=0.02)
    assert drawn.std().item() == pytest.approx(1, abs=0.02)


def test_mean_and_scatter_are_those_of_all_draws_side_by_side():
    draws, x1 = clip_draws(NAMES, 7, 5), torch.randn(4, 5)
    estimate = lambda x: torch.tanh(x) @ torch.linspace(-1, 1, 25).reshape(5, 5)  # noqa: E731
    mean, scatter = mean_and_scatter(estimate, x1, draws, 0.7)
    every = torch.stack([estimate(x1 + 0.7 * z) for z in draws])
    torch.testing.assert_close(mean, every.mean(0))
    torch.testing.assert_close(scatter, (every - every.mean(0)).square().sum(-1).mean(0))


def test_one_draw_is_the_walk_itself_and_says_nothing_besides():
    made = head(link="softmax")
    scores, extras = made.answer(batch(), SamplerConfig(num_steps=2, draw_noise=5.0))
    walked = made.walk(batch(), SamplerConfig(num_steps=2)).readout
    wanted = functional.cosine_similarity(walked[:, None], made.codes[None], dim=2)
    torch.testing.assert_close(scores, wanted)
    assert extras == {}


def test_draws_without_noise_agree():
    options = SamplerConfig(num_steps=2, draws=5, draw_noise=0.0)
    scores, extras = head().answer(batch(), options)
    torch.testing.assert_close(scores, head().scores(batch(), SamplerConfig(num_steps=2)))
    torch.testing.assert_close(extras["uncertainty"], torch.zeros(4), atol=1e-6, rtol=0)


def test_scoring_twice_in_any_order_gives_the_same_scores_and_another_name_others():
    made, options = head(), SamplerConfig(draws=6, draw_noise=1.0)
    scores, extras = made.answer(batch(), options)
    again, _ = made.answer(batch(), options)
    assert torch.equal(again, scores)
    backwards, told = made.answer(batch(NAMES[::-1]), options)
    torch.testing.assert_close(backwards.flip(0), scores, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(told["uncertainty"].flip(0), extras["uncertainty"])
    renamed = replace(batch(), names=("x", *NAMES[1:]))
    assert (made.scores(renamed, options) != scores).any(1).tolist() == [True, False, False, False]
    assert made.extras(batch(), options).keys() == {"uncertainty"}


def test_uncertainty_is_one_minus_the_squared_shares_where_each_draw_is_a_code():
    made = head()
    said = iter(torch.tensor([[0, 1, 2, 0], [0, 1, 1, 0], [0, 2, 0, 0], [0, 2, 0, 1]]))
    made._walk_from = lambda *_: type("S", (), {"readout": made.codes[next(said)]})  # type: ignore[method-assign,assignment]
    _, extras = made.answer(batch(), SamplerConfig(draws=4))
    shares = np.array([[4, 0, 0], [0, 2, 2], [2, 1, 1], [3, 1, 0]]) / 4
    np.testing.assert_allclose(extras["uncertainty"], 1 - np.square(shares).sum(1), atol=1e-5)


def test_dev_is_scored_with_draws_of_its_own():
    assert head().dev_scoring() == SamplerConfig(num_steps=4)
    made = head(dev_draws=8, dev_draw_noise=1.5, dev_num_steps=1)
    assert made.dev_scoring() == SamplerConfig(num_steps=1, draws=8, draw_noise=1.5)


@pytest.mark.parametrize(
    ("values", "named"),
    [({"draws": 0}, "draws: found 0"), ({"draw_noise": -1.0}, r"draw_noise: found -1\.0")],
)
def test_bad_draws_are_refused(values, named):
    with pytest.raises(ParamsError, match=named):
        SamplerConfig(**values)
