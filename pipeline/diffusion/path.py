"""The path between a clip's embedding and the code of its class: mean, spread, derivatives.

The direction of time, for the whole project (the paper's):

    x0  target: code of the class, at t = 0
    x1  source: time-averaged last layer of the encoder, at t = 1
    xt  point of the path at time t; training draws it, sampling walks it from t = 1 to t = 0

`t` is path time in [0, 1], never audio time, one value per clip: shape (B,), float32 or float64.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import ParamsError, ShapeError

# Below this the logistic mean differs from the straight line by less than float64 can show.
_SMALLEST_K = 1e-8


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Logistic mean and bridge spread of the path (Gen-SER, Eq. 6 and 7).

    The paper gives neither number.
    """

    k: float = 10.0  # steepness of the mean around t = 1/2; 0 is a straight line
    sigma: float = 1.0  # scale of the spread, in units of the features; sigma/2 at t = 1/2

    def __post_init__(self) -> None:
        for name, value in (("k", self.k), ("sigma", self.sigma)):
            if not (math.isfinite(value) and value >= 0):
                raise ParamsError(
                    f"{name}: found {value!r}, wanted a finite number of at least 0; "
                    f"mend the schedule's {name}."
                )

    def mean_coefficient(self, t: Tensor) -> Tensor:
        """Say how far the mean has gone from x0 to x1.

        Gen-SER, Eq. 6, as a fraction of the way:
            m(t) = (1 + tanh(k (t - 1/2) / 2) / tanh(k / 4)) / 2,  and m(t) = t for k -> 0

        Args:
            t: Path times in [0, 1].

        Returns:
            Fractions in [0, 1], shape and dtype of `t`; exactly 0 at t = 0 and 1 at t = 1.
        """
        if self.k < _SMALLEST_K:
            return t.clone()
        # Eq. 6 is printed with exponentials of k/2, which overflow in float32 from k = 178 on
        # and cancel for small k; the same function through tanh does neither. Float64, because
        # the two terms cancel near t = 0.
        wide = t.to(torch.float64)
        bend = torch.tanh(self.k * (wide - 0.5) / 2)
        # By the same routine as above, so that the quotient is exactly 1 at both ends.
        bend_at_end = torch.tanh(torch.full_like(wide, self.k / 4))
        return ((1 + bend / bend_at_end) / 2).to(t.dtype)

    def d_mean_coefficient(self, t: Tensor) -> Tensor:
        """Differentiate `mean_coefficient` by t.

        From Gen-SER, Eq. 6:
            m'(t) = k s (1 - s) / tanh(k / 4),  s = sigmoid(k (t - 1/2)),  and 1 for k -> 0

        Args:
            t: Path times in [0, 1].

        Returns:
            Derivatives, at least 0, shape and dtype of `t`.
        """
        if self.k < _SMALLEST_K:
            return torch.ones_like(t)
        z = self.k * (t.to(torch.float64) - 0.5)
        # sigmoid(-z) instead of 1 - sigmoid(z), which would lose its digits for large z.
        slope = torch.sigmoid(z) * torch.sigmoid(-z)
        return (self.k / math.tanh(self.k / 4) * slope).to(t.dtype)

    def sigma_at(self, t: Tensor) -> Tensor:
        """Give the spread of the path.

        Gen-SER, Eq. 7:
            sigma_t = sigma sqrt(t (1 - t))

        Args:
            t: Path times in [0, 1].

        Returns:
            Standard deviations, shape and dtype of `t`.
        """
        # The paper says that sigma_t stays above zero; by Eq. 7 it is zero at both ends.
        return self.sigma * torch.sqrt(t * (1 - t))

    def spread_ratio(self, t: Tensor) -> Tensor:
        """Give the relative rate of change of the spread; never ask for it at t = 0 or 1.

        From Gen-SER, Eq. 7:
            sigma'_t / sigma_t = (1 - 2 t) / (2 t (1 - t))

        Args:
            t: Path times in (0, 1), both ends excluded: there the value is infinite.

        Returns:
            Ratios, shape and dtype of `t`; the same for every `sigma`, 0 among them.
        """
        return (1 - 2 * t) / (2 * t * (1 - t))

    def spread_quotient(self, *, t_to: Tensor, t_from: Tensor) -> Tensor:
        """Give the factor by which the spread changes from one time to another.

        From Gen-SER, Eq. 7:
            sigma_to / sigma_from = sqrt(t_to (1 - t_to) / (t_from (1 - t_from)))

        Args:
            t_to: Path times in [0, 1].
            t_from: Path times in [0, 1], same shape.

        Returns:
            Quotients, 0 where sigma_from is 0: no distance from the mean is left to be scaled.
        """
        # sigma itself is left out, or sigma = 0 would give 0/0.
        before = t_from * (1 - t_from)
        after = t_to * (1 - t_to)
        return torch.sqrt(after / before.masked_fill(before == 0, math.inf))

    def mean(self, x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
        """Give the mean of the path.

        Gen-SER, Eq. 6:
            mu_t = x0 + m(t) (x1 - x0)

        Args:
            x0: Targets, shape (B, D).
            x1: Sources, shape and dtype of `x0`.
            t: Path times in [0, 1], shape (B,).

        Returns:
            Means, shape (B, D); exactly x0 at t = 0 and x1 at t = 1.

        Raises:
            ShapeError: If the tensors do not agree in shape.
        """
        _check_same_shape("schedule mean", x0=x0, x1=x1)
        weight = per_item(self.mean_coefficient(t), x0)
        return torch.lerp(x0, x1, weight)  # unlike the bare sum, exact at both ends

    def sample_xt(self, x0: Tensor, x1: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Draw the point of each pair's path at its time.

        Gen-SER, Eq. 6 and 7:
            xt = mu_t + sigma_t noise

        Args:
            x0: Targets, shape (B, D).
            x1: Sources, shape and dtype of `x0`.
            t: Path times in [0, 1], shape (B,).
            noise: Standard normal draws, shape (B, D).

        Returns:
            Points on the paths, shape (B, D).

        Raises:
            ShapeError: If the tensors do not agree in shape.
        """
        _check_same_shape("schedule sample_xt", x0=x0, x1=x1, noise=noise)
        return self.mean(x0, x1, t) + per_item(self.sigma_at(t), noise) * noise


def per_item(values: Tensor, like: Tensor) -> Tensor:
    """Shape one number per clip so that it multiplies that clip's row.

    Args:
        values: One number per clip, shape (B,).
        like: What is to be multiplied, shape (B, ...).

    Returns:
        The numbers, shape (B, 1, ...), dtype of `like`.

    Raises:
        ShapeError: If `values` is not one number per row of `like`.
    """
    if values.shape != like.shape[:1]:
        raise ShapeError(
            f"value per clip: found shape {tuple(values.shape)} beside {tuple(like.shape)}, "
            f"wanted {tuple(like.shape[:1])}; give one number per row."
        )
    return values.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)


def _check_same_shape(where: str, **tensors: Tensor) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    first, *others = shapes.values()  # compared, not hashed: sizes are symbols while exporting
    if any(shape != first for shape in others):
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(f"{where}: found {found}, wanted one shape; line up clips and widths.")
