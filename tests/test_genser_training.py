"""What Gen-SER's loss and batches make of noise."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.errors import ParamsError
from pipeline.heads.batch import of_layers
from pipeline.heads.genser import GenSER, GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.trunk import TrunkConfig
from pipeline.parameters import as_kept, filled
from pipeline.training.batches import Batches, TrainingClips
from pipeline.training.config import TrainConfig
from pipeline.training.targets import one_hot
from pipeline.training.weighting import weigh_rows
from pipeline.typed import typed

SHAPES = {"layers": FeatureShape(num_layers=3, dim=16, last_layer=2, input_layer=0)}
SIZE = 2000
LATER = ("x1_noise", "link", "dev_draws", "dev_draw_noise")


def read(kind, values):
    return typed(kind, filled(kind, values), "head.json", others=True)


def made(**config) -> GenSER:
    torch.manual_seed(0)
    trunk = TrunkConfig(width=8, num_blocks=1, num_heads=2)
    return GenSER(SHAPES, 4, GenSERConfig(trunk=trunk, **{"x1_noise": 0.0, **config})).eval()


def batch():
    layers = torch.randn(SIZE, 3, 16, generator=torch.Generator().manual_seed(1))
    return of_layers(layers, targets=functional.one_hot(torch.arange(SIZE) % 4, 4).float())


def seen_by(head: GenSER) -> dict[str, torch.Tensor]:
    """What the network was asked about in a loss, whose answer is 0 everywhere."""
    seen: dict[str, torch.Tensor] = {}

    def estimate(xt, condition, t):
        seen.update(xt=xt, t=t, condition=condition)
        return torch.zeros_like(xt)

    head.estimate = estimate  # type: ignore[method-assign]
    phase = TrainConfig(num_steps=1).phase
    generator = torch.Generator().manual_seed(0)
    losses = head.loss(batch(), phase=phase, progress=0.0, generator=generator)
    return {**seen, "loss": losses["target"]}


def test_noise_on_x1_moves_the_path_s_source_and_nothing_else():
    plain, noised = seen_by(made(sigma=0.0)), seen_by(made(sigma=0.0, x1_noise=0.6))
    torch.testing.assert_close(noised["t"], plain["t"], rtol=0, atol=0)
    torch.testing.assert_close(noised["condition"], plain["condition"], rtol=0, atol=0)
    m = made().schedule.mean_coefficient(plain["t"])[:, None]
    moved = ((noised["xt"] - plain["xt"]) / m)[m[:, 0] > 0.1]
    assert moved.std().item() == pytest.approx(0.6, rel=0.02)


def test_all_of_it_is_neutral_by_itself_and_leaves_no_trace():
    neutral = GenSERConfig(link="softmax", x1_noise=0.0)
    assert not set(LATER) & set(as_kept(neutral))
    assert "noise" not in TrainConfig().as_json()
    assert {"link", "x1_noise"} <= set(as_kept(GenSERConfig()))
    changed = GenSERConfig(x1_noise=0.5, dev_draws=3)
    for config in (neutral, changed, GenSERConfig()):
        assert read(GenSERConfig, as_kept(config)) == config
    loss = seen_by(made())["loss"]
    weighted = seen_by(made(x1_noise=0.0))["loss"]
    assert torch.equal(loss, weighted)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"x1_noise": -0.1}, r"train\.genser\.x1_noise: -0\.1 is not a finite number"),
        ({"dev_draws": 0}, r"train\.genser\.dev_draws: 0 is below 1"),
        ({"dev_draw_noise": float("nan")}, r"train\.genser\.dev_draw_noise: nan"),
        ({"link": "logit"}, r"train\.genser\.link: 'logit' is not one of"),
    ],
)
def test_bad_settings_are_refused_by_name(values, named):
    with pytest.raises(ParamsError, match=named):
        GenSERConfig(**values)


def steps(source, first: int = 0, **config) -> list[torch.Tensor]:
    labels = np.arange(source.num_clips) % 3
    clips = TrainingClips(
        source=source,
        labels=labels,
        speakers=labels.astype(str),
        targets=one_hot(labels, 3),
        weighting=weigh_rows(
            one_hot(labels, 3), ["c"] * len(labels), balance="none", corpus_temperature=1.0
        ),
    )
    settings = TrainConfig(batch_size=10, **config)
    found = Batches(clips, settings, "cpu").of_phase(settings.phase, 0, first_step=first)
    return [next(found).layers for _ in range(4)]


def test_noise_on_layers_is_a_function_of_seed_and_step(array_source):
    values = np.random.default_rng(0).normal(size=(40, 2, 50)).astype(np.float32)
    plain, noised = steps(array_source(values)), steps(array_source(values), noise=0.5)
    added = [a - b for a, b in zip(noised, plain, strict=True)]
    assert torch.stack(added).std().item() == pytest.approx(0.5, rel=0.03)
    assert not torch.equal(added[0], added[1])
    resumed = steps(array_source(values), first=2, noise=0.5)
    assert torch.equal(resumed[0], noised[2])
    assert not torch.equal(steps(array_source(values), noise=0.5, seed=1)[0], noised[0])


def test_noise_is_refused_where_there_are_frames(array_source):
    source = array_source(np.zeros((40, 2, 5), np.float32))
    source.is_mixable = False
    with pytest.raises(ParamsError, match=r"train\.noise: found 0\.5, but noise is for layers"):
        steps(source, noise=0.5)
    with pytest.raises(ParamsError, match=r"train\.noise: -1\.0 is below 0"):
        TrainConfig(noise=-1.0)
