"""Heads at the sizes that are asked about, each with a batch of made-up clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.catalogue import build_head
from pipeline.heads.condition import ConditionConfig
from pipeline.heads.emoq import EmoQ
from pipeline.heads.emoq_config import EmoQConfig
from pipeline.heads.former import Former
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.stage1 import Stage1
from pipeline.heads.tokens import TOKENS, TokensConfig
from pipeline.heads.trunk import TrunkConfig
from pipeline.language.seeded import save_seeded_language_model
from pipeline.manifests.texts import TEXT
from pipeline.store.views import FRAMES as FRAMES_NEED
from pipeline.training.config import TrainConfig

CLASSES, DIM = 8, 1024
WORDS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
SENTENCE = "Kids are talking by the door, and dogs are sitting there too."
ANSWERS = 30  # tokens of the prompt and its answer beside those of the sentence
SMOLLM2_135M = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
}
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


@cache
def language_model() -> "TemporaryDirectory[str]":
    """Save random weights of SmolLM2-135M's size, but for its words; gone as Python ends."""
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = TemporaryDirectory()
    save_seeded_language_model(Path(folder.name), answers={SENTENCE: WORDS}, num_steps=1)
    config = AutoConfig.from_pretrained(folder.name)
    config.update(SMOLLM2_135M)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder.name)
    return folder


def second_phase(shape: FeatureShape, precision: str) -> EmoQ:
    """Return EmoQ as its second phase trains it: queries, projector and adapters."""
    config = EmoQConfig(language=language_model().name, base_dtype=precision, stage1_steps=0)
    head = build_head("emoq", {FRAMES_NEED: shape}, CLASSES, config)
    assert isinstance(head, EmoQ)
    head.name_classes(WORDS)
    head.enter(PHASE)
    return head


def made_head(name: str, batch_size: int, frames: int, precision: str = "float32") -> Trained:
    """Return one of `HEADS`, in training; a frozen language model is of a precision."""
    torch.manual_seed(0)
    targets = torch.eye(CLASSES)[torch.arange(batch_size) % CLASSES]
    told = {"targets": targets, "weights": torch.ones(batch_size)}
    if name in GENSER:
        layers = FeatureShape(num_layers=25, dim=DIM, last_layer=24, input_layer=0)
        head = build_head("genser", {"layers": layers}, CLASSES, GENSER[name]).train()
        views = {"layers": torch.randn(batch_size, 25, DIM)}
        return Trained(head, Batch(views=views, **told), batch_size)
    shape = FeatureShape(num_layers=2, dim=DIM, last_layer=1, input_layer=None)
    need, rows = TOKENS, batch_size * frames
    if name == LANGUAGE:
        network: nn.Module = second_phase(shape, precision)
        need = FRAMES_NEED
        rows = batch_size * (ANSWERS + len(SENTENCE.split()))
        told["texts"] = {TEXT: [SENTENCE] * batch_size}
    elif name == FRAMES:
        network = build_head("tokens", {TOKENS: shape}, CLASSES, TokensConfig(input="frames"))
    else:
        network = FirstPhase(shape)
    lengths = torch.linspace(frames // 2, frames, batch_size).long()
    values = torch.randn(batch_size, frames, 2, DIM)
    ragged = Ragged(values, lengths)
    return Trained(network.train(), Batch(views={need: ragged}, **told), rows)


PHASE = TrainConfig(num_steps=1).phase
FRAMES, FORMER = "tokens on frames", "Q-Former, phase 1"
LANGUAGE = "Q-Former, phase 2"
GENSER = {"default": TrainConfig(num_steps=1).head_config, "the paper's": PAPER}
HEADS = (*GENSER, FRAMES, FORMER, LANGUAGE)
