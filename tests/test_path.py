import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.diffusion.path import Schedule, per_item
from pipeline.errors import ParamsError, ShapeError

STEEPNESS = st.floats(0, 1e4)
TIMES = torch.linspace(0, 1, 101, dtype=torch.float64)


def logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def naive_mean_coefficient(k: float, t: float) -> float:
    """The logistic function of k (t - 1/2), moved and scaled to run from 0 to 1."""
    low, high = logistic(-k / 2), logistic(k / 2)
    return (logistic(k * (t - 0.5)) - low) / (high - low)


def pairs(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x0, x1, noise = torch.randn(3, 5, 4, generator=generator, dtype=dtype)
    return x0, x1, noise


@pytest.mark.parametrize("k", [0.5, 1, 2, 10, 20, 100, 600])
def test_mean_is_the_rescaled_logistic_function(k: float) -> None:
    wanted = [naive_mean_coefficient(k, t) for t in TIMES.tolist()]
    assert Schedule(k=k).mean_coefficient(TIMES).tolist() == pytest.approx(wanted, abs=1e-14)


@pytest.mark.parametrize("k", [0.0, 5e-324, 1e-12, 1e-8, 1e-6])
def test_mean_is_a_straight_line_as_k_goes_to_zero(k: float) -> None:
    schedule = Schedule(k=k)
    torch.testing.assert_close(schedule.mean_coefficient(TIMES), TIMES, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        schedule.d_mean_coefficient(TIMES), torch.ones_like(TIMES), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("k", [1e-7, 5e-5, 1e-3])
def test_mean_bends_off_the_straight_line_as_its_series_says(k: float) -> None:
    bend = k**2 / 12 * (TIMES - 0.5) * (0.25 - (TIMES - 0.5) ** 2)
    found = Schedule(k=k).mean_coefficient(TIMES) - TIMES
    torch.testing.assert_close(found, bend, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(k=STEEPNESS)
def test_mean_rises_from_exactly_0_to_exactly_1(dtype: torch.dtype, k: float) -> None:
    mean = Schedule(k=k).mean_coefficient(TIMES.to(dtype))
    assert mean.dtype == dtype
    assert (mean[0], mean[50], mean[100]) == (0, 0.5, 1)
    assert (mean.diff() >= 0).all()
    torch.testing.assert_close(mean + mean.flip(0), torch.ones_like(mean))


@given(k=STEEPNESS)
def test_slope_is_finite_symmetric_and_never_negative(k: float) -> None:
    slope = Schedule(k=k).d_mean_coefficient(TIMES)
    assert slope.isfinite().all()
    assert (slope >= 0).all()
    torch.testing.assert_close(slope, slope.flip(0), rtol=1e-9, atol=1e-300)


@given(k=STEEPNESS)
def test_slope_is_the_derivative_of_the_mean_by_autograd(k: float) -> None:
    t = TIMES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Schedule(k=k).mean_coefficient(t).sum(), t)
    slope = Schedule(k=k).d_mean_coefficient(TIMES)
    torch.testing.assert_close(slope, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("k", [0.0, 1, 10, 100])
def test_slope_is_the_derivative_of_the_mean_by_central_difference(k: float) -> None:
    schedule, step = Schedule(k=k), 1e-6
    ahead, behind = (schedule.mean_coefficient(TIMES + shift) for shift in (step, -step))
    torch.testing.assert_close(
        schedule.d_mean_coefficient(TIMES), (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("k", "at_end"), [(1, 0.960), (2, 0.851), (5, 0.413), (10, 0.067), (20, 0.0009)]
)
def test_slope_has_its_closed_form_at_the_ends_and_the_middle(k: float, at_end: float) -> None:
    left, middle, right = Schedule(k=k).d_mean_coefficient(TIMES[[0, 50, 100]]).tolist()
    assert left == pytest.approx(k / (2 * math.sinh(k / 2)), rel=1e-12)
    assert right == pytest.approx(left, rel=1e-12)
    assert right == pytest.approx(at_end, abs=5e-4)
    assert middle == pytest.approx(k / 4 / math.tanh(k / 4), rel=1e-12)


def test_spread_is_a_bridge_that_is_zero_at_both_ends() -> None:
    sigma = Schedule(sigma=3.0).sigma_at(TIMES)
    wanted = [3 * math.sqrt(t * (1 - t)) for t in TIMES.tolist()]
    assert sigma.tolist() == pytest.approx(wanted, abs=1e-14)
    assert (sigma[0], sigma[50], sigma[100]) == (0, 1.5, 0)


def test_spread_ratio_is_the_logarithmic_derivative_of_the_spread() -> None:
    t = TIMES[1:-1].clone().requires_grad_()
    log_spread = Schedule(sigma=0.7).sigma_at(t).log()
    (gradient,) = torch.autograd.grad(log_spread.sum(), t)
    torch.testing.assert_close(Schedule(sigma=0.0).spread_ratio(TIMES[1:-1]), gradient)


def test_spread_ratio_is_infinite_at_the_ends() -> None:
    ends = torch.tensor([0.0, 1.0])
    assert Schedule().spread_ratio(ends).tolist() == [math.inf, -math.inf]


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_spread_quotient_needs_no_sigma(sigma: float) -> None:
    unit = Schedule(sigma=1.0)
    t_to, t_from = TIMES[1:-1].flip(0), TIMES[1:-1]
    found = Schedule(sigma=sigma).spread_quotient(t_to=t_to, t_from=t_from)
    torch.testing.assert_close(found, unit.sigma_at(t_to) / unit.sigma_at(t_from))


def test_spread_quotient_is_zero_from_and_to_the_ends() -> None:
    t_to, t_from = torch.tensor([0.4, 0.4, 0.0, 0.0]), torch.tensor([1.0, 0.0, 0.4, 1.0])
    assert Schedule().spread_quotient(t_to=t_to, t_from=t_from).tolist() == [0, 0, 0, 0]


@given(k=STEEPNESS, sigma=st.floats(0, 100))
def test_xt_at_time_zero_is_the_target_and_at_time_one_the_source(k: float, sigma: float) -> None:
    x0, x1, noise = pairs()
    schedule = Schedule(k=k, sigma=sigma)
    assert torch.equal(schedule.sample_xt(x0, x1, torch.zeros(5), noise), x0)
    assert torch.equal(schedule.sample_xt(x0, x1, torch.ones(5), noise), x1)


@pytest.mark.parametrize("time_dtype", [torch.float32, torch.float64])
def test_xt_is_the_mean_plus_the_spread_times_noise(time_dtype: torch.dtype) -> None:
    x0, x1, noise = pairs()
    t = torch.tensor([0.1, 0.3, 0.5, 0.8, 0.95], dtype=time_dtype)
    xt = Schedule(k=7, sigma=2.0).sample_xt(x0, x1, t, noise)
    assert xt.dtype == x0.dtype
    for item, time in enumerate(t.tolist()):
        m = naive_mean_coefficient(7, time)
        wanted = x0[item] + m * (x1[item] - x0[item])
        wanted = wanted + 2 * math.sqrt(time * (1 - time)) * noise[item]
        torch.testing.assert_close(xt[item], wanted)


def test_mean_goes_through_the_middle() -> None:
    x0, x1, _ = pairs(torch.float64)
    found = Schedule().mean(x0, x1, torch.full((5,), 0.5, dtype=torch.float64))
    torch.testing.assert_close(found, (x0 + x1) / 2)


def test_a_value_per_item_multiplies_its_own_row() -> None:
    rows = torch.ones(2, 3, 4)
    values = torch.tensor([2.0, 5.0], dtype=torch.float64)
    shaped = per_item(values, rows)
    assert (shaped.shape, shaped.dtype) == ((2, 1, 1), rows.dtype)
    assert (shaped * rows)[1].unique().tolist() == [5.0]


@pytest.mark.parametrize("shape", [(3,), (2, 1), ()])
def test_values_that_are_not_one_per_item_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"beside \(2, 3\), wanted \(2,\)"):
        per_item(torch.ones(shape), torch.ones(2, 3))


def test_tensors_that_would_only_broadcast_are_refused() -> None:
    x0, x1, noise = pairs()
    t = torch.full((5,), 0.5)
    with pytest.raises(ShapeError, match=r"x0 \(5, 4\), x1 \(1, 4\)"):
        Schedule().mean(x0, x1[:1], t)
    with pytest.raises(ShapeError, match=r"noise \(5, 1\)"):
        Schedule().sample_xt(x0, x1, t, noise[:, :1])
    with pytest.raises(ShapeError, match=r"found shape \(1,\)"):
        Schedule().sample_xt(x0, x1, t[:1], noise)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["k", "sigma"])
def test_parameters_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ParamsError, match=rf"{name}: found {value!r}, wanted a finite"):
        Schedule(**{name: value})
