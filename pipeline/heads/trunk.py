"""The trunk of the Gen-SER head: a conditional transformer that estimates the class code."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.dropout import Dropout
from pipeline.errors import ParamsError, ShapeError

# Path time runs from 0 to 1, while these sinusoids are made for hundreds of steps: over a range
# of 1 they would hardly move. The usual factor, which the paper does not mention.
_TIME_SCALE = 1000.0
_MAX_PERIOD = 10000.0
_NORM_EPS = 1e-6


MOST_BLOCKS = 1_000  # of any network here; each is made before anything else of it is known


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """Size of the trunk; the paper's is 1024, 4 and 16, for many more clips than most have."""

    width: int = 256  # of the tokens inside; even, and a multiple of num_heads
    num_blocks: int = 2  # transformer blocks, at least 1
    num_heads: int = 4  # of the attention, at least 1; without effect on a single token
    dropout: float = 0.0  # probability in [0, 1); the paper names none

    def __post_init__(self) -> None:
        for name, value in (("num_blocks", self.num_blocks), ("num_heads", self.num_heads)):
            if not 1 <= value <= MOST_BLOCKS:
                raise ParamsError(
                    f"{name}: found {value!r}, wanted 1 to {MOST_BLOCKS}; the default is "
                    f"{getattr(TrunkConfig, name)}."
                )
        if self.width < 2 or self.width % 2 or self.width % self.num_heads:
            raise ParamsError(
                f"width: found {self.width!r} with num_heads {self.num_heads!r}, wanted an even "
                "multiple of num_heads; change one of them."
            )
        if not 0 <= self.dropout < 1:
            raise ParamsError(
                f"dropout: found {self.dropout!r}, wanted at least 0 and below 1; 0 turns it off."
            )


class Trunk(nn.Module):
    """Estimate x0 from xt, the condition and the path time (Gen-SER, section 2.5).

    Linear 2D -> width; blocks with adaptive RMS-norm; RMS-norm; mean over tokens; Linear
    width -> D. The paper leaves the details open; these give its 71.4 million parameters:
    71,360,512 at D = width = 1024, and one weight per encoder layer, which the head owns.

    At the start every gate is 0, so the blocks pass their input through and the trunk is a
    normalised linear map of (xt, condition) that does not depend on t: as good a first guess as a
    linear probe. The first optimiser step opens the gates, and from then on gradients reach all
    parameters. Weights are drawn as PyTorch does, from its default generator.
    """

    def __init__(self, dim: int, config: TrunkConfig) -> None:
        super().__init__()
        self.dim = dim
        self.config = config
        width = config.width
        self.fuse = nn.Linear(2 * dim, width)
        self.embed_time = nn.Linear(width, width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.num_blocks))
        self.norm = nn.RMSNorm(width, eps=_NORM_EPS)
        self.output = nn.Linear(width, dim)

    def forward(self, tokens_in: Tensor, t: Tensor) -> Tensor:
        """Estimate the class codes.

        Args:
            tokens_in: [xt, condition] side by side, shape (B, 2D), or (B, S, 2D) for S tokens,
                whose order has no meaning (there is no position code).
            t: Path times in [0, 1], shape (B,), float32 or float64.

        Returns:
            Estimates x0_hat, shape (B, D); of lower precision under autocast.

        Raises:
            ShapeError: If the tensors are not shaped so.
        """
        self._check_shapes(tokens_in, t)
        tokens = tokens_in if tokens_in.ndim == 3 else tokens_in[:, None]  # (B, S, 2D)
        weight = self.norm.weight
        # The sum that runs through the blocks keeps the weights' precision under autocast.
        tokens = self.fuse(tokens).to(weight.dtype)  # (B, S, width)
        times = time_features(t, self.config.width).to(weight.dtype)
        time_code = functional.silu(self.embed_time(times))  # (B, width)
        for block in self.blocks:
            tokens = block(tokens, time_code)
        estimate: Tensor = self.output(self.norm(tokens).mean(dim=1))
        return estimate

    def _check_shapes(self, tokens_in: Tensor, t: Tensor) -> None:
        wide = 2 * self.dim
        if tokens_in.ndim not in (2, 3) or tokens_in.shape[-1] != wide:
            raise ShapeError(
                f"trunk: found tokens {tuple(tokens_in.shape)}, wanted (B, {wide}) or "
                f"(B, S, {wide}); put xt and condition side by side."
            )
        if t.shape != tokens_in.shape[:1]:
            raise ShapeError(
                f"trunk: found times {tuple(t.shape)} beside tokens {tuple(tokens_in.shape)}, "
                f"wanted {tuple(tokens_in.shape[:1])}; give one time per clip."
            )


class _Block(nn.Module):
    """Pre-norm transformer block, norms and residuals steered by the path time.

    h = h + gate (sub-layer(rms_norm(h) (1 + scale))), for attention and then feed-forward.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        width = config.width
        self.num_heads = config.num_heads
        self.modulate = nn.Linear(width, 4 * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.dropout = Dropout(config.dropout)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, tokens: Tensor, time_code: Tensor) -> Tensor:
        """Pass tokens (B, S, width) on, given the time code (B, width)."""
        modulation: Tensor = self.modulate(time_code)[:, None]  # (B, 1, 4 width)
        scale_attention, gate_attention, scale_feed, gate_feed = modulation.chunk(4, dim=-1)
        tokens = tokens + gate_attention * self._attend(_rms_norm(tokens) * (1 + scale_attention))
        return tokens + gate_feed * self._feed(_rms_norm(tokens) * (1 + scale_feed))

    def _attend(self, tokens: Tensor) -> Tensor:
        B, S, width = tokens.shape
        if S == 1:
            return self._attend_alone(tokens)
        qkv = self.qkv(tokens).reshape(B, S, 3, self.num_heads, width // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind()  # each (B, heads, S, width/heads)
        attended = functional.scaled_dot_product_attention(query, key, value)
        attended = attended.transpose(1, 2).reshape(B, S, width)
        result: Tensor = self.dropout(self.attention_out(attended))
        return result

    def _attend_alone(self, tokens: Tensor) -> Tensor:
        # In the paper layers are averages over time, so a clip is one token: its attention is 1
        # whatever query and key say, and their projections, 12 % of the parameters, learn nothing.
        # So they are not made; their rows of the joint weight get gradients of exactly 0.
        width = tokens.shape[-1]
        value = functional.linear(tokens, self.qkv.weight[-width:], self.qkv.bias[-width:])
        result: Tensor = self.dropout(self.attention_out(value))
        return result

    def _feed(self, tokens: Tensor) -> Tensor:
        result: Tensor = self.narrow(self.dropout(functional.gelu(self.widen(tokens))))
        return result


def time_features(t: Tensor, width: int) -> Tensor:
    """Spread each path time over cosines and sines of many periods.

    "Attention Is All You Need" (2017), section 3.5, of 1000 t instead of a position:
        cos(1000 t w_i), sin(1000 t w_i),  w_i = 10000^(-2i/width),  i = 0 .. width/2 - 1

    Args:
        t: Path times in [0, 1], shape (B,).
        width: Number of features, even.

    Returns:
        Features, shape (B, width), float32: cosines, then sines.
    """
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=t.device) / half
    frequencies = torch.exp(-math.log(_MAX_PERIOD) * exponents)
    angles = _TIME_SCALE * t.to(torch.float32)[:, None] * frequencies
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=1)


def _rms_norm(tokens: Tensor) -> Tensor:
    """Scale each token to root mean square 1; the weight comes from the time instead."""
    result: Tensor = functional.rms_norm(tokens, tokens.shape[-1:], eps=_NORM_EPS)
    return result
