from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import ParamsError
from pipeline.heads.batch import Batch, of_layers
from pipeline.heads.catalogue import build_head
from pipeline.heads.condition import ConditionConfig
from pipeline.heads.genser import GenSER, GenSERConfig
from pipeline.heads.needs import FeatureShape, feature_shape
from pipeline.heads.standardiser import Standardiser
from pipeline.heads.trunk import TrunkConfig
from pipeline.training.config import TrainConfig
from stages.params import Params

SHAPES = {"layers": FeatureShape(num_layers=5, dim=16, last_layer=4, input_layer=0)}
SMALL = TrunkConfig(width=8, num_blocks=2, num_heads=2)
PHASE = TrainConfig(num_steps=1).phase


def make_head(**config) -> GenSER:
    torch.manual_seed(0)
    return GenSER(SHAPES, 4, GenSERConfig(trunk=SMALL, **config)).eval()


def make_batch(size: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    layers = torch.randn(size, 5, 16, generator=generator)
    return of_layers(layers, targets=functional.one_hot(torch.arange(size) % 4, 4).float())


def paper_config() -> GenSERConfig:
    params = Params(Path(__file__).parent.parent / "params" / "paper.yaml", ())
    return params.section("train", TrainConfig).head_config


def test_the_paper_size_has_71_4_million_parameters():
    shape = {"layers": FeatureShape(num_layers=25, dim=1024, last_layer=24, input_layer=0)}
    with torch.device("meta"):
        head = build_head("genser", shape, 7, paper_config())
    count = sum(p.numel() for p in head.parameters())
    assert 71.35e6 <= count < 71.45e6
    assert head.condition.of.weights.numel() == 23


@pytest.mark.parametrize("how", ["raw", "softmax"])
@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("use_input", [True, False])
def test_the_condition_is_the_naive_weighted_sum(how, layer_norm, use_input):
    condition = ConditionConfig(
        kind="sum", layer_weights=how, layer_norm=layer_norm, use_input=use_input
    )
    head = make_head(condition=condition)
    with torch.no_grad():
        head.condition.of.weights.copy_(torch.linspace(-1, 2, len(head.condition.of.weights)))
    layers = make_batch().layers
    weights = (
        head.condition.of.weights.softmax(0) if how == "softmax" else head.condition.of.weights
    )
    expected = torch.zeros(len(layers), 16)
    for weight, row in zip(weights, range(0 if use_input else 1, 4), strict=True):
        x = layers[:, row]
        if layer_norm:
            centred = x - x.mean(-1, keepdim=True)
            x = centred / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        expected = expected + weight * x
    torch.testing.assert_close(head.condition(layers), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("how", ["raw", "softmax"])
def test_layers_start_with_equal_weights(how):
    head = make_head(condition=ConditionConfig(kind="sum", layer_weights=how))
    weights = (
        head.condition.of.weights.softmax(0) if how == "softmax" else head.condition.of.weights
    )
    torch.testing.assert_close(weights, torch.full((3,), 1 / 3))


def test_the_loss_sums_over_dimensions_and_averages_over_the_batch():
    head, batch = make_head(), make_batch()
    x0_hat = torch.full((6, 16), 0.25)
    head.estimate = lambda xt, condition, t: x0_hat  # type: ignore[method-assign]
    generator = torch.Generator().manual_seed(0)
    loss = head.loss(batch, phase=PHASE, progress=0.0, generator=generator)["target"]
    naive = sum(
        sum((0.25 - float(head.codes[label][d])) ** 2 for d in range(16))
        for label in batch.targets.argmax(1).tolist()
    )
    assert loss.item() == pytest.approx(naive / 6, rel=1e-5)


def test_the_network_sees_the_path_between_embedding_and_code():
    head, batch = make_head(sigma=0.0, x1_noise=0.0, t_min=0.2, t_max=0.7), make_batch()
    seen = {}

    def estimate(xt, condition, t):
        seen.update(xt=xt, t=t, condition=condition)
        return xt

    head.estimate = estimate  # type: ignore[method-assign]
    head.loss(batch, phase=PHASE, progress=0.0, generator=torch.Generator().manual_seed(0))
    m = head.schedule.mean_coefficient(seen["t"])[:, None]
    x0, x1 = head.codes[batch.targets.argmax(1)], batch.layers[:, 4]
    torch.testing.assert_close(seen["xt"], x0 + m * (x1 - x0))
    assert seen["t"].min() >= 0.2
    assert seen["t"].max() <= 0.7


def test_a_perfect_estimate_scores_its_class_one():
    head, batch = make_head(), make_batch(4)
    head.estimate = lambda xt, condition, t: head.codes  # type: ignore[method-assign]
    scores = head.scores(batch, SamplerConfig(num_steps=3))
    torch.testing.assert_close(scores, torch.eye(4), atol=1e-5, rtol=0)


def test_a_batch_scores_as_its_clips_do_alone():
    head, batch = make_head(), make_batch()
    together = head.scores(batch, SamplerConfig(num_steps=4))
    alone = torch.cat(
        [
            head.scores(
                of_layers(batch.layers[i : i + 1]),
                SamplerConfig(num_steps=4),
            )
            for i in range(6)
        ]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_the_same_generator_gives_the_same_loss_and_another_another():
    head, batch = make_head(), make_batch()
    losses = [
        head.loss(batch, phase=PHASE, progress=0.0, generator=torch.Generator().manual_seed(s))[
            "target"
        ].item()
        for s in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_more_classes_than_the_width_can_code_are_refused():
    with pytest.raises(ParamsError, match=r"8"):
        GenSER(SHAPES, 8, GenSERConfig(trunk=SMALL))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"t_min": 0.5, "t_max": 0.5}, "t_min 0.5 and t_max 0.5"),
        ({"codes": "morse"}, "codes: 'morse' is not one of"),
        ({"k": -1.0}, "k"),
        ({"sigma": -1.0}, "sigma"),
    ],
)
def test_bad_settings_are_refused_by_name(values, named):
    with pytest.raises(ParamsError, match=named):
        GenSERConfig(**values)


def test_extracted_rows_play_the_paper_s_parts():
    shape = feature_shape({"source": "audio"}, (25, 1024))
    assert shape.last_layer == 24
    assert shape.condition_layers(use_input=False) == list(range(1, 24))
    assert shape.condition_layers(use_input=True) == list(range(24))


def test_ingested_rows_all_but_x1_are_the_condition():
    shape = feature_shape({"source": "table", "last_layer": 7}, (9, 768))
    assert shape.last_layer == 7
    assert shape.condition_layers(use_input=False) == [0, 1, 2, 3, 4, 5, 6, 8]


def test_one_vector_per_clip_has_an_empty_condition():
    shape = feature_shape({"source": "table", "last_layer": 0}, (1, 16))
    head = GenSER(
        {"layers": shape}, 3, GenSERConfig(trunk=SMALL, condition=ConditionConfig(kind="sum"))
    )
    assert head.condition(torch.randn(2, 1, 16)).abs().max() == 0


@pytest.mark.parametrize("kind", ["dimension", "scalar"])
def test_standardised_training_rows_have_mean_zero_and_deviation_one(kind):
    features = np.random.default_rng(0).normal(3, 5, (200, 3, 8)).astype(np.float32)
    standardiser = Standardiser(3, 8, kind=kind)
    standardiser.fit([features])
    out = standardiser(torch.from_numpy(features)).numpy()
    axis = 0 if kind == "dimension" else (0, 2)
    np.testing.assert_allclose(out.mean(axis), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis), 1, atol=1e-4)


def test_a_dimension_without_variance_becomes_zero():
    features = np.random.default_rng(0).normal(size=(2000, 2, 3)).astype(np.float16)
    features[:, 1, 2] = np.float16(0.1)
    standardiser = Standardiser(2, 3)
    standardiser.fit([features])
    other = torch.randn(4, 2, 3) * 100
    assert standardiser(other)[:, 1, 2].abs().max() == 0
    assert standardiser(other)[:, 0, 2].abs().min() > 0


def test_no_standardisation_changes_nothing():
    features = np.random.default_rng(0).normal(3, 5, (20, 3, 8)).astype(np.float32)
    standardiser = Standardiser(3, 8, kind="none")
    standardiser.fit([features])
    assert torch.equal(standardiser(torch.from_numpy(features)), torch.from_numpy(features))
