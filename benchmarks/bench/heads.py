"""Heads at the sizes that are asked about, each with a batch of made-up clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.catalogue import build_head
from pipeline.heads.condition import ConditionConfig
from pipeline.heads.emoq_config import EmoQConfig
from pipeline.heads.former import Former
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.stage1 import Stage1
from pipeline.heads.tokens import TOKENS, TokensConfig
from pipeline.heads.trunk import TrunkConfig
from pipeline.training.config import TrainConfig

CLASSES, DIM = 8, 1024
PAPER = GenSERConfig(
    condition=ConditionConfig(kind="sum", layer_norm=False, dropout=0.0),
    trunk=TrunkConfig(width=1024, num_blocks=4, num_heads=16),
    x1_noise=0.0,
)


class Trained(NamedTuple):
    """What is trained, on which clips, and how many rows its products of matrices have."""

    network: nn.Module
    batch: Batch
    rows: int


@dataclass(frozen=True)
class _NoWords:
    """The tokeniser of clips of which nothing is read."""

    pad_token_id: int = 0

    def __len__(self) -> int:
        return 1


class FirstPhase(nn.Module):
    """EmoQ's first phase: a Q-Former on frames, and the losses of what it hears."""

    def __init__(self, shape: FeatureShape) -> None:
        super().__init__()
        config = EmoQConfig()
        self.former = Former(shape, tokeniser=_NoWords())
        self.stage = Stage1(self.former.width, CLASSES, config)

    def loss(self, batch: Batch, **_: object) -> Mapping[str, Tensor]:
        """Return the phase's losses."""
        z = self.former(batch.ragged(TOKENS), None)
        return self.stage.losses(z, batch, torch.full((CLASSES,), 1 / CLASSES))


def made_head(name: str, batch_size: int, frames: int) -> Trained:
    """Return one of `HEADS`, in training."""
    torch.manual_seed(0)
    targets = torch.eye(CLASSES)[torch.arange(batch_size) % CLASSES]
    told = {"targets": targets, "weights": torch.ones(batch_size)}
    if name in GENSER:
        layers = FeatureShape(num_layers=25, dim=DIM, last_layer=24, input_layer=0)
        head = build_head("genser", {"layers": layers}, CLASSES, GENSER[name]).train()
        views = {"layers": torch.randn(batch_size, 25, DIM)}
        return Trained(head, Batch(views=views, **told), batch_size)
    shape = FeatureShape(num_layers=2, dim=DIM, last_layer=1, input_layer=None)
    if name == FRAMES:
        network: nn.Module = build_head(
            "tokens", {TOKENS: shape}, CLASSES, TokensConfig(input="frames")
        )
    else:
        network = FirstPhase(shape)
    lengths = torch.linspace(frames // 2, frames, batch_size).long()
    values = torch.randn(batch_size, frames, 2, DIM)
    ragged = Ragged(values, lengths)
    return Trained(network.train(), Batch(views={TOKENS: ragged}, **told), int(batch_size * frames))


FRAMES, FORMER = "tokens on frames", "Q-Former, phase 1"
GENSER = {"default": TrainConfig(num_steps=1).head_config, "the paper's": PAPER}
HEADS = (*GENSER, FRAMES, FORMER)
