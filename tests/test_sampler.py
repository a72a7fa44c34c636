import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers.sampling import SOLVERS, naive_walk, pair, walk
from pipeline.diffusion.path import Schedule
from pipeline.diffusion.sampler import SamplerConfig, integrate
from pipeline.errors import ParamsError, ShapeError


def curved(c: float, x: float, t: float) -> float:
    return c + 0.3 * t * (x - c) + 0.1 * math.sin(x)


def curved_like(c: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, t: c + 0.3 * t[:, None] * (x - c) + 0.1 * torch.sin(x)


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
