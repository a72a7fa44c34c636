"""Dropout whose mask costs little on a CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_VALUES = 2**16  # of a short integer: a probability is met to half of one part in this


class Dropout(nn.Dropout):
    """Dropout as PyTorch's, with masks drawn four to a random number on the CPU.

    PyTorch draws a number for each unit there, one after the other, and takes 50 times as long for
    the gradient of bfloat16 units as for that of float32. Here a unit is kept where its 16 random
    bits are not among the first p 2^16, and scaled by the inverse of exactly the share that is
    kept. Elsewhere it is PyTorch's own.
    """

    def forward(self, units: Tensor) -> Tensor:
        """Return units of any shape, each 0 with probability `p` in training and else scaled up."""
        dropped = round(self.p * _VALUES)
        if not self.training or not dropped or dropped == _VALUES or units.device.type != "cpu":
            return functional.dropout(units, self.p, self.training)
        drawn = torch.empty(-(-units.numel() // 4), dtype=torch.int64)
        # From the lowest to beyond the highest: all 64 bits are drawn.
        bits = drawn.random_(-(2**63), None).view(torch.int16)[: units.numel()]
        kept = bits.view(units.shape) >= dropped - _VALUES // 2
        scale = _VALUES / (_VALUES - dropped)
        left: Tensor = _Left.apply(units, kept, scale)  # type: ignore[no-untyped-call]
        return left


class _Left(torch.autograd.Function):
    """The units that are kept, scaled; a byte of each is remembered for the gradient."""

    @staticmethod
    def forward(ctx: Any, units: Tensor, kept: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return units * (kept.to(units.dtype) * scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), (kept,) = gradients, ctx.saved_tensors
        return gradient * (kept.to(gradient.dtype) * ctx.scale), None, None
