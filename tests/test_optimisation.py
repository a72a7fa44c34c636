import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.errors import ParamsError
from pipeline.heads.phase import OptimiserConfig
from pipeline.training.draws import batch_rows, step_generator
from pipeline.training.optimisation import learning_rate, make_optimiser, update_average


@settings(max_examples=50, deadline=None)
@given(num_rows=st.integers(1, 50), batch_size=st.integers(1, 60), seed=st.integers(0, 5))
def test_an_epoch_draws_no_row_twice(num_rows, batch_size, seed):
    size = min(batch_size, num_rows)
    steps = num_rows // size
    drawn = torch.cat([batch_rows(s, num_rows, batch_size, seed) for s in range(steps)])
    assert len(drawn) == steps * size
    assert len(drawn.unique()) == len(drawn)
    assert drawn.min() >= 0
    assert drawn.max() < num_rows


def test_rows_of_a_step_do_not_depend_on_the_steps_before():
    late = batch_rows(17, 40, 8, seed=3)
    for step in range(17):
        batch_rows(step, 40, 8, seed=3)
    assert torch.equal(batch_rows(17, 40, 8, seed=3), late)


def test_epochs_and_seeds_shuffle_differently():
    first = torch.cat([batch_rows(s, 40, 8, seed=0) for s in range(5)])
    second = torch.cat([batch_rows(s, 40, 8, seed=0) for s in range(5, 10)])
    other = torch.cat([batch_rows(s, 40, 8, seed=1) for s in range(5)])
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)


def test_draws_of_neighbouring_steps_and_seeds_differ():
    draws = {
        tuple(torch.rand(3, generator=step_generator(step, seed)).tolist())
        for step in range(20)
        for seed in range(20)
    }
    assert len(draws) == 400


def test_the_rate_rises_then_falls_along_a_cosine():
    config = OptimiserConfig(learning_rate=2.0, warmup_fraction=0.1, schedule="cosine")
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)])
    twin = [1 + math.cos(math.pi * (step - 10) / 90) for step in range(10, 100)]
    assert rates[10:] == pytest.approx(twin)


def test_a_constant_rate_stays_after_the_warm_up():
    config = OptimiserConfig(learning_rate=2.0, warmup_fraction=0.1, schedule="constant")
    assert {learning_rate(step, 100, config) for step in range(10, 100)} == {2.0}


def test_averaged_weights_are_the_naive_recursion():
    average, current = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    nn.init.zeros_(average.weight)
    expected = 0.0
    for step in range(200):
        nn.init.constant_(current.weight, float(step % 7))
        update_average(
            dict(average.named_parameters()),
            dict(current.named_parameters()),
            step=step,
            decay=0.9,
        )
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step % 7)
    torch.testing.assert_close(average.weight, torch.full((1, 2), expected))


def test_only_matrices_decay():
    layer = nn.Linear(3, 3)
    optimiser = make_optimiser(dict(layer.named_parameters()), OptimiserConfig(weight_decay=0.5))
    decays = {id(p): g["weight_decay"] for g in optimiser.param_groups for p in g["params"]}
    assert decays[id(layer.weight)] == 0.5
    assert decays[id(layer.bias)] == 0.0


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"schedule": "linear"}, "schedule: 'linear'"),
        ({"learning_rate": -1.0}, r"learning_rate: -1.0 is not between 0"),
        ({"ema_decay": 1.5}, "ema_decay: 1.5"),
    ],
)
def test_bad_settings_are_refused_by_name(values, named):
    with pytest.raises(ParamsError, match=named):
        OptimiserConfig(**values)
