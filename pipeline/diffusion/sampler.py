"""From a clip's embedding back to an estimate of its class code, in a few steps.

Time runs as `pipeline.diffusion.path` says: from t = 1 (or `t_start`) down to 0. A walk draws no
noise; `pipeline.diffusion.draws` sends out several.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pipeline.diffusion.path import Schedule, per_item
from pipeline.errors import ParamsError, ShapeError
from pipeline.parameters import later

SOLVERS = ("printed", "euler", "exponential")
READOUTS = ("estimate", "literal", "state")


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """How the path is walked, and what is taken as its result."""

    num_steps: int = 4  # N, at least 1; the network is asked once per step
    solver: str = "exponential"  # printed: Eq. 9 and 10 as they stand; euler: Eq. 5; exponential
    # estimate: the last x0_hat; literal: asked once more, as Algorithm 2 reads; state: the last xt
    readout: str = "estimate"
    draws: int = later(1, neutral=1)  # walks whose estimates are averaged; 1 starts from x1 itself
    draw_noise: float = later(1.0, neutral=1.0)  # of several: each starts from x1 + draw_noise z

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ParamsError(
                f"num_steps: found {self.num_steps!r}, wanted 1 or more; "
                "the paper tries 1, 2, 4, 10 and 20."
            )
        if self.draws < 1:
            raise ParamsError(f"draws: found {self.draws!r}, wanted 1 or more; 1 draws nothing.")
        if not (math.isfinite(self.draw_noise) and self.draw_noise >= 0):
            raise ParamsError(
                f"draw_noise: found {self.draw_noise!r}, wanted a finite number of at least 0."
            )
        for name, value, allowed in (
            ("solver", self.solver, SOLVERS),
            ("readout", self.readout, READOUTS),
        ):
            if value not in allowed:
                raise ParamsError(
                    f"{name}: found {value!r}, wanted one of {', '.join(allowed)}; pick one."
                )


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a walk along the path leaves.

    Attributes:
        readouts: By name, what is taken as the estimate of each clip's class code, shape (B, D).
        states: xt at t_0 = t_start, ..., t_N = 0, shape (N + 1, B, D), where it was asked for.
    """

    readouts: Mapping[str, Tensor]
    states: Tensor | None = None

    @property
    def readout(self) -> Tensor:
        """The one that was asked for, or the first."""
        return next(iter(self.readouts.values()))


def integrate(
    estimate: Callable[[Tensor, Tensor], Tensor],
    x1: Tensor,
    schedule: Schedule,
    config: SamplerConfig,
    *,
    t_start: float = 1.0,
    keep_states: bool = False,
    readouts: Sequence[str] = (),
) -> Sample:
    """Walk from the sources to the class codes.

    Gen-SER, section 2.6 and Algorithm 2, on the grid
        t_n = T - n T / N,  n = 0 .. N

    Args:
        estimate: The network, conditions bound: xt (B, D) and t (B,) to x0_hat (B, D).
        x1: Sources, shape (B, D); half precision is raised to float32.
        schedule: The path.
        config: Steps, solver and readout.
        t_start: T in (0, 1], where the walk starts from x1.
        keep_states: Whether to keep every xt.
        readouts: Those of the one walk that are wanted; none takes that of `config`.

    Returns:
        The readout, and the states where they were asked for.

    Raises:
        ParamsError: If `t_start` lies outside (0, 1].
        ShapeError: If the estimate is not shaped like `x1`.
    """
    if not 0 < t_start <= 1:
        raise ParamsError(
            f"t_start: found {t_start!r}, wanted above 0 and at most 1; 1 is the paper's start."
        )
    x1 = x1.to(torch.promote_types(x1.dtype, torch.float32))
    times = _grid(x1, config.num_steps, t_start)
    xt = x1
    states = [xt]
    for t, t_next in pairwise(times):
        x0_hat = _ask(estimate, xt, t)
        xt = _step(config.solver, schedule, xt, x0_hat=x0_hat, x1=x1, t=t, t_next=t_next)
        if keep_states:
            states.append(xt)
    # Algorithm 2 ends on "estimate x_theta(x_t, X_c, t)". Taken as the last x0_hat it costs N
    # calls; read literally it is one more call, of the updated state at the time not yet updated.
    found = {"estimate": x0_hat, "state": xt}
    wanted = readouts or (config.readout,)
    if "literal" in wanted:
        found["literal"] = _ask(estimate, xt, times[-2])
    found = {name: found[name] for name in wanted}
    return Sample(readouts=found, states=torch.stack(states) if keep_states else None)


def _grid(x1: Tensor, num_steps: int, t_start: float) -> list[Tensor]:
    """List the times of the walk, each (B,), the first exactly `t_start`, the last exactly 0."""
    # The paper steps by 1/N from T, which ends at T - 1; T/N ends at 0 for every T.
    fractions = [(num_steps - n) / num_steps for n in range(num_steps + 1)]
    return [x1.new_full(x1.shape[:1], t_start * fraction) for fraction in fractions]


def _ask(estimate: Callable[[Tensor, Tensor], Tensor], xt: Tensor, t: Tensor) -> Tensor:
    x0_hat = estimate(xt, t)
    if x0_hat.shape != xt.shape:
        raise ShapeError(
            f"estimate: found shape {tuple(x0_hat.shape)}, wanted {tuple(xt.shape)}; "
            "return one code per clip."
        )
    return x0_hat.to(xt.dtype)


def _step(
    solver: str,
    schedule: Schedule,
    xt: Tensor,
    *,
    x0_hat: Tensor,
    x1: Tensor,
    t: Tensor,
    t_next: Tensor,
) -> Tensor:
    """Take one step of the walk, from t down to t_next.

    Gen-SER, Eq. 5, the drift of xt with a constant estimate:
        dx/dt = mu'_t + (sigma'_t / sigma_t) (x_t - mu_t)

    Args:
        solver: One of `SOLVERS`.
        schedule: Gives mu and sigma.
        xt: Where the step starts, shape (B, D).
        x0_hat: What the network said there, shape (B, D).
        x1: Sources, shape (B, D).
        t: Time of the start, shape (B,).
        t_next: Time of the end, smaller, shape (B,).
    """
    offset = xt - schedule.mean(x0_hat, x1, t)
    if solver == "exponential":
        # Eq. 5 to 7 solved exactly, without the singularity of Eq. 5:
        #     x_s = mu_s + (sigma_s / sigma_t) (x_t - mu_t); at s = 0 that is the estimate itself.
        quotient = schedule.spread_quotient(t_to=t_next, t_from=t)
        return schedule.mean(x0_hat, x1, t_next) + per_item(quotient, xt) * offset
    mean_rate = per_item(schedule.d_mean_coefficient(t), xt) * (x1 - x0_hat)
    # At T = 1 the first step stands on the singularity, with xt = mu_t: 0 times infinity. The
    # paper overlooks it. The ratio vanishes at t = 1/2, so that time stands in for "no spread".
    inside = (t > 0) & (t < 1)
    spread_rate = per_item(schedule.spread_ratio(t.masked_fill(~inside, 0.5)), xt) * offset
    step = per_item(t - t_next, xt)
    if solver == "euler":
        return xt - step * (mean_rate + spread_rate)
    # Eq. 9 and 10 as printed: Eq. 9 swaps the arguments of mu', which turns its sign, and Eq. 10
    # adds where time going down wants a minus. Together the mean moves rightly and the spread term
    # has the wrong sign: it ends at a constant estimate, and drifts off from one that changes.
    return xt + step * (spread_rate - mean_rate)
