import pytest
import torch

from helpers.sampling import STEPS, naive_walk, pair, walk
from pipeline.diffusion.path import Schedule


def residual(solver: str, k: float, num_steps: int, pull: float) -> float:
    """How far along x1 - x0 the state ends, for the estimate x0 + pull t (x1 - x0)."""
    x0, x1 = pair()
    way = x1 - x0
    sample = walk(solver, lambda _, t: x0 + pull * t[:, None] * way, x1, k=k, num_steps=num_steps)
    along = (sample.readout - x0) / way
    torch.testing.assert_close(along, along.mean().expand_as(along), rtol=0, atol=1e-9)
    return float(along.mean())


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
