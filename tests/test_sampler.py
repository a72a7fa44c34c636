import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.diffusion.path import Schedule
from pipeline.diffusion.sampler import Sample, SamplerConfig, integrate
from pipeline.errors import ParamsError, ShapeError

SOLVERS = ("printed", "euler", "exponential")
STEPS = (1, 2, 4, 10, 20)


def naive_mean(k: float, t: float) -> float:
    return 0.5 * (1 + math.tanh(k * (t - 0.5) / 2) / math.tanh(k / 4))


def naive_slope(k: float, t: float) -> float:
    s = 1 / (1 + math.exp(-k * (t - 0.5)))
    return k * s * (1 - s) / math.tanh(k / 4)


def naive_walk(
    solver: str,
    estimate: Callable[[float, float], float],
    x1: float,
    *,
    k: float,
    num_steps: int,
    t_start: float = 1.0,
) -> list[float]:
    """Walk one number down the path in plain Python; also by Eq. 5 with a plus."""
    x, h, walked = x1, t_start / num_steps, [x1]
    for n in range(num_steps):
        t = t_start - n * h
        target = estimate(x, t)
        mean = target + naive_mean(k, t) * (x1 - target)
        slope = naive_slope(k, t) * (x1 - target)
        spread = 0.0 if t == 1 else (1 - 2 * t) / (2 * t * (1 - t)) * (x - mean)
        if solver == "euler":
            x = x - h * (slope + spread)
        elif solver == "printed":
            x = x + h * (-slope + spread)
        elif solver == "plus":
            x = x + h * (slope + spread)
        else:
            s = 0.0 if n == num_steps - 1 else t - h
            shrink = 0.0 if t == 1 else math.sqrt(s * (1 - s) / (t * (1 - t)))
            x = target + naive_mean(k, s) * (x1 - target) + shrink * (x - mean)
        walked.append(x)
    return walked


def walk(
    solver: str,
    estimate: Callable[[Tensor, Tensor], Tensor],
    x1: Tensor,
    *,
    k: float = 10.0,
    num_steps: int = 4,
    readout: str = "state",
    t_start: float = 1.0,
    sigma: float = 1.0,
) -> Sample:
    config = SamplerConfig(num_steps=num_steps, solver=solver, readout=readout)
    schedule = Schedule(k=k, sigma=sigma)
    return integrate(estimate, x1, schedule, config, t_start=t_start, keep_states=True)


def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x0, x1 = torch.randn(2, 3, 8, generator=generator, dtype=torch.float64)
    return x0, x1


def residual(solver: str, k: float, num_steps: int, pull: float) -> float:
    """How far along x1 - x0 the state ends, for the estimate x0 + pull t (x1 - x0)."""
    x0, x1 = pair()
    way = x1 - x0
    sample = walk(solver, lambda _, t: x0 + pull * t[:, None] * way, x1, k=k, num_steps=num_steps)
    along = (sample.readout - x0) / way
    torch.testing.assert_close(along, along.mean().expand_as(along), rtol=0, atol=1e-9)
    return float(along.mean())


def curved(c: float, x: float, t: float) -> float:
    return c + 0.3 * t * (x - c) + 0.1 * math.sin(x)


def curved_like(c: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, t: c + 0.3 * t[:, None] * (x - c) + 0.1 * torch.sin(x)


@pytest.mark.parametrize(
    ("solver", "k", "wanted", "digits"),
    [
        ("euler", 10, (0.93, -0.30, -0.03, 0, 0), 2),
        ("euler", 1, (0.04, 0.01, 0.001, 0, 0), 3),
        ("euler", 5, (0.59, 0.06, 0, 0, 0), 2),
        ("euler", 20, (1.00, -1.50, -0.22, 0, 0), 2),
        ("printed", 10, (0.93, -0.30, 0.005, 0.005, 0.002), 3),
        ("exponential", 1, (0, 0, 0, 0, 0), 12),
        ("exponential", 10, (0, 0, 0, 0, 0), 12),
        ("exponential", 20, (0, 0, 0, 0, 0), 12),
    ],
)
def test_a_constant_estimate_leaves_the_tabulated_residual(
    solver: str, k: float, wanted: tuple[float, ...], digits: int
) -> None:
    for num_steps, number in zip(STEPS, wanted, strict=True):
        # Numbers known to two digits only stand beside some known to three.
        places = 2 if abs(number) >= 0.01 else digits
        found = residual(solver, k, num_steps, pull=0)
        assert found == pytest.approx(number, abs=0.51 * 10**-places), (num_steps, found)


@pytest.mark.parametrize(
    ("solver", "wanted"),
    [
        ("euler", (0.100, 0.081, 0.059, 0.027)),
        ("printed", (0.186, 0.249, 0.325, 0.679)),
        ("exponential", (0.075, 0.030, 0.015, 0.003)),
    ],
)
def test_a_changing_estimate_leaves_the_tabulated_residual(
    solver: str, wanted: tuple[float, ...]
) -> None:
    for num_steps, number in zip((4, 10, 20, 100), wanted, strict=True):
        found = residual(solver, 10, num_steps, pull=0.3)
        assert found == pytest.approx(number, abs=0.51e-3), (num_steps, found)


def test_equation_5_with_a_plus_runs_away() -> None:
    constant = [naive_walk("plus", lambda *_: 0, 1, k=10, num_steps=n)[-1] for n in STEPS]
    assert constant == pytest.approx([1.07, 2.30, 2.55, 3.67, 4.99], abs=0.51e-2)
    changing = [
        naive_walk("plus", lambda _, t: 0.3 * t, 1, k=10, num_steps=n)[-1] for n in (4, 100)
    ]
    assert changing == pytest.approx([2.3, 9.8], abs=0.051)


def test_a_start_just_below_one_feels_half_the_slope_in_one_euler_step() -> None:
    x0, x1 = pair()
    sample = walk("euler", lambda *_: x0, x1, k=1, num_steps=1, t_start=0.999)
    torch.testing.assert_close(sample.readout, x0 + 0.52 * (x1 - x0), rtol=0, atol=0.02)


@pytest.mark.parametrize("t_start", [1.0, 0.9])
@pytest.mark.parametrize("num_steps", [1, 2, 7])
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_state_is_that_of_the_plain_python_twin(
    solver: str, num_steps: int, t_start: float
) -> None:
    c, x1 = pair()
    sample = walk(solver, curved_like(c), x1, k=3, num_steps=num_steps, t_start=t_start)
    assert sample.states is not None
    for b in range(3):
        for d in range(8):
            target = float(c[b, d])
            twin = naive_walk(
                solver,
                lambda x, t, target=target: curved(target, x, t),
                float(x1[b, d]),
                k=3,
                num_steps=num_steps,
                t_start=t_start,
            )
            assert sample.states[:, b, d].tolist() == pytest.approx(twin, abs=1e-10)


@given(k=st.floats(0, 1e4), num_steps=st.integers(1, 12), t_start=st.floats(0.01, 1))
def test_the_exponential_step_follows_the_path_of_a_constant_estimate(
    k: float, num_steps: int, t_start: float
) -> None:
    x0, x1 = pair()
    schedule = Schedule(k=k)
    sample = walk("exponential", lambda *_: x0, x1, k=k, num_steps=num_steps, t_start=t_start)
    start = torch.full((3,), t_start, dtype=torch.float64)
    offset = x1 - schedule.mean(x0, x1, start)
    assert sample.states is not None
    for n, state in enumerate(sample.states):
        t = start * (1 - n / num_steps)
        factor = schedule.spread_quotient(t_to=t, t_from=start)[:, None]
        torch.testing.assert_close(
            state, schedule.mean(x0, x1, t) + factor * offset, rtol=1e-7, atol=1e-7
        )
    assert torch.equal(sample.states[0], x1)
    assert torch.equal(sample.states[-1], x0)


@pytest.mark.parametrize("num_steps", [3, 49, 98, 103])  # 49 (1 / 49) is not 1
def test_the_walk_ends_at_exactly_zero_for_awkward_numbers_of_steps(num_steps: int) -> None:
    x0, x1 = pair()
    readout = walk("exponential", lambda *_: x0, x1, num_steps=num_steps, t_start=0.7).readout
    assert torch.equal(readout, x0)


def test_halving_the_step_halves_the_error_of_euler_inside_the_path() -> None:
    # Read half-way to t = 0, where the spread ratio is still smooth.
    x0, x1 = pair()
    schedule = Schedule(k=4)
    ends = torch.tensor([[0.45] * 3, [0.9] * 3], dtype=torch.float64)
    factor = schedule.spread_quotient(t_to=ends[0], t_from=ends[1])[:, None]
    exact = schedule.mean(x0, x1, ends[0]) + factor * (x1 - schedule.mean(x0, x1, ends[1]))
    errors = []
    for num_steps in (64, 128, 256):
        states = walk("euler", lambda *_: x0, x1, k=4, num_steps=num_steps, t_start=0.9).states
        assert states is not None
        errors.append(float((states[num_steps // 2] - exact).norm()))
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.1)
    assert errors[1] / errors[2] == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("solver", ["euler", "exponential"])
def test_more_steps_come_nearer_to_a_changing_estimate(solver: str) -> None:
    residuals = [residual(solver, 10, num_steps, pull=0.3) for num_steps in (10, 40, 160)]
    assert residuals[0] > 1.5 * residuals[1] > 2 * residuals[2] > 0


def test_the_printed_step_drifts_off_from_a_changing_estimate() -> None:
    assert residual("printed", 10, 160, pull=0.3) > 2 * residual("printed", 10, 20, pull=0.3)


@pytest.mark.parametrize(("readout", "calls"), [("estimate", 4), ("literal", 5), ("state", 4)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_readouts_are_the_estimate_the_extra_estimate_and_the_state(
    solver: str, readout: str, calls: int
) -> None:
    c, x1 = pair()
    seen: list[tuple[Tensor, Tensor]] = []

    def estimate(xt: Tensor, t: Tensor) -> Tensor:
        seen.append((xt, t))
        return curved_like(c)(xt, t)

    sample = walk(solver, estimate, x1, readout=readout, num_steps=4)
    assert sample.states is not None
    assert [float(t[0]) for _, t in seen] == [1, 0.75, 0.5, 0.25, 0.25][:calls]
    last_estimate = curved_like(c)(sample.states[3], seen[3][1])
    extra_estimate = curved_like(c)(sample.states[4], seen[3][1])
    wanted = {"estimate": last_estimate, "literal": extra_estimate, "state": sample.states[4]}
    assert torch.equal(sample.readout, wanted[readout])
    if solver == "exponential":
        assert torch.equal(sample.states[4], last_estimate)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("k", [0.0, 1e4])
def test_no_spread_and_extreme_steepness_stay_finite_in_float32(solver: str, k: float) -> None:
    c, x1 = (tensor.float() for tensor in pair())
    plain = walk(solver, curved_like(c), x1, k=k, sigma=0.0)
    wide = walk(solver, curved_like(c), x1, k=k, sigma=5.0)
    assert plain.states is not None
    assert plain.states.isfinite().all()
    assert torch.equal(plain.readout, wide.readout)


@pytest.mark.parametrize("t_start", [1.0, 0.999, 0.1, 1 - 1e-12])
@pytest.mark.parametrize("num_steps", [1, 3, 20])
def test_the_walk_starts_at_t_start_and_never_asks_at_zero(t_start: float, num_steps: int) -> None:
    c, x1 = (tensor.float() for tensor in pair())
    times: list[float] = []

    def estimate(xt: Tensor, t: Tensor) -> Tensor:
        times.append(float(t[0]))
        return c

    sample = walk("euler", estimate, x1, num_steps=num_steps, t_start=t_start)
    assert times[0] == pytest.approx(t_start, abs=1e-7)
    assert times[-1] == pytest.approx(t_start / num_steps, rel=1e-6)
    assert sample.readout.isfinite().all()


def test_sampling_twice_gives_the_same_bytes_and_leaves_its_input_alone() -> None:
    c, x1 = (tensor.float() for tensor in pair())
    before = x1.clone()
    first, second = (walk("euler", curved_like(c), x1).readout for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(x1, before)


def test_states_are_kept_only_when_asked_for() -> None:
    c, x1 = pair()
    assert integrate(lambda *_: c, x1, Schedule(), SamplerConfig()).states is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sources_and_estimates_are_walked_in_float32(dtype: torch.dtype) -> None:
    c, x1 = (tensor.to(dtype) for tensor in pair())
    found = walk("euler", lambda *_: c, x1).readout
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, walk("euler", lambda *_: c.float(), x1.float()).readout)


def test_an_estimate_of_another_shape_is_refused() -> None:
    _, x1 = pair()
    with pytest.raises(ShapeError, match=r"found shape \(1, 8\), wanted \(3, 8\)"):
        integrate(lambda xt, _: xt[:1], x1, Schedule(), SamplerConfig())


@pytest.mark.parametrize("t_start", [0.0, -0.5, 1.1, math.nan])
def test_a_start_outside_the_path_is_refused(t_start: float) -> None:
    _, x1 = pair()
    with pytest.raises(ParamsError, match=f"t_start: found {t_start!r}"):
        integrate(lambda xt, _: xt, x1, Schedule(), SamplerConfig(), t_start=t_start)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("num_steps", 0, "1 or more"),
        ("solver", "heun", "one of printed, euler, exponential"),
        ("readout", "mean", "one of estimate, literal, state"),
    ],
)
def test_config_refuses_what_it_does_not_know(name: str, value: object, wanted: str) -> None:
    with pytest.raises(ParamsError, match=f"{name}: found {value!r}, wanted {wanted}"):
        SamplerConfig(**{name: value})
