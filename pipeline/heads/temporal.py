"""Temporal models of frames, none of which lets padding reach a clip's own frames."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pipeline.dropout import Dropout

NONE, CONV, GRU, TRANSFORMER = "none", "conv", "gru", "transformer"
TEMPORALS = (NONE, CONV, GRU, TRANSFORMER)
_MAX_PERIOD = 10000.0


def make_temporal(
    kind: str, width: int, *, num_blocks: int, kernel_size: int, num_heads: int, dropout: float
) -> nn.Module:
    """Return a temporal model: called with frames (B, T, W) and lengths (B,), gives (B, T, W).

    What it gives beyond a clip's length has no meaning.

    Args:
        kind: One of `TEMPORALS`.
        width: W; even.
        num_blocks: How many of it follow one another.
        kernel_size: Frames that a convolution sees, odd.
        num_heads: Of a transformer, a divisor of the width.
        dropout: Of what each block adds.
    """
    if kind == CONV:
        return ConvBlocks(width, num_blocks=num_blocks, kernel_size=kernel_size, dropout=dropout)
    if kind == GRU:
        return Gru(width, num_blocks=num_blocks, dropout=dropout)
    if kind == TRANSFORMER:
        return Transformer(width, num_blocks=num_blocks, num_heads=num_heads, dropout=dropout)
    assert kind == NONE, kind
    return AsTheyAre()


class AsTheyAre(nn.Module):
    """Frames as they are: their order has no meaning then."""

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the frames."""
        del lengths
        return frames


class ConvBlocks(nn.Module):
    """Blocks h + dropout(V ReLU(depthwise convolution(LN(h)))), a cheap look at the neighbours."""

    def __init__(self, width: int, *, num_blocks: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(num_blocks))
        self.along = nn.ModuleList(
            nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
            for _ in range(num_blocks)
        )
        self.across = nn.ModuleList(nn.Linear(width, width) for _ in range(num_blocks))

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return frames that have seen their neighbours."""
        mask = _mask(frames, lengths)[..., None]
        for norm, along, across in zip(self.norms, self.along, self.across, strict=True):
            # Zeros beyond a clip are what a convolution pads its end with.
            seen = along((norm(frames) * mask).transpose(1, 2)).transpose(1, 2)
            frames = frames + self.dropout(across(functional.relu(seen)))
        return frames


class Gru(nn.Module):
    """h + GRU(LN(h)) in both directions, half of the width each."""

    def __init__(self, width: int, *, num_blocks: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)
        self.gru = nn.GRU(
            width,
            width // 2,
            num_layers=num_blocks,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if num_blocks > 1 else 0.0,
        )

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return frames that have seen those before and after."""
        packed = pack_padded_sequence(
            self.norm(frames), lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        seen, _ = pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, total_length=frames.shape[1]
        )
        heard: Tensor = frames + self.dropout(seen)
        return heard


class Transformer(nn.Module):
    """Transformer blocks, normed before; positions are sinusoids (Vaswani et al. 2017, 3.5)."""

    def __init__(self, width: int, *, num_blocks: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                num_heads,
                dim_feedforward=2 * width,
                dropout=dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(num_blocks)
        )

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return frames that have seen all of their clip's."""
        padding = ~_mask(frames, lengths)
        # A clip without frames would attend to nothing, which is not a number.
        padding[:, 0] = False
        frames = frames + _positions(frames)
        for block in self.blocks:
            frames = block(frames, src_key_padding_mask=padding)
        return frames


def _mask(frames: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(frames.shape[1], device=frames.device)[None, :] < lengths[:, None]


def _positions(frames: Tensor) -> Tensor:
    """Return a sinusoid for each place, shape (T, W)."""
    num_frames, width = frames.shape[1:]
    steps = torch.arange(0, width, 2, device=frames.device)
    rates = torch.exp(-math.log(_MAX_PERIOD) / width * steps)
    angles = torch.arange(num_frames, device=frames.device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(frames.dtype)
