"""A head that does everything the contract allows, and whose answer is known.

A clip's frames say high or low (dimension 0 of layer 1), its text says whether that is meant: the
class is "yes" where both agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import HeadError
from pipeline.files import sha256_file
from pipeline.heads.base import Base, Head
from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import HeadKind
from pipeline.heads.needs import Need, Shapes
from pipeline.heads.phase import Phase


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """Where the frozen part is, and how long it listens."""

    base: str = "base.safetensors"
    view: str = "frames"
    listen_steps: int = 12
    listen_patience: int = 0


@dataclass(frozen=True, kw_only=True)
class ToyScoring:
    """How loud the answer is."""

    gain: float = 1.0


class Toy(Head):
    """Listens first, then decides; the frozen base turns the frames before."""

    columns = ("text",)

    @classmethod
    def needs(cls, config: ToyConfig) -> Sequence[Need]:
        return (Need(name="heard", kind="frames", view=config.view, layers=(1,)),)

    def __init__(self, shapes: Shapes, num_classes: int, config: ToyConfig) -> None:
        super().__init__()
        assert num_classes == 2
        self.config = config
        path = Path(config.base)
        if not path.exists():
            raise HeadError(f"{path}: no such base model, wanted its file; put it back.")
        turn = load_file(path)["turn"]
        self.bases = [Base(spelling=config.base, digest=sha256_file(path), model=turn)]
        self.listen = nn.Sequential(nn.Dropout(0.2), nn.Linear(shapes["heard"].dim, 1))
        self.decide = nn.Linear(1, 1)

    def phases(self, default: Phase) -> Sequence[Phase]:
        listen = replace(
            default,
            name="listen",
            num_steps=self.config.listen_steps,
            batch_size=6,
            optimiser=replace(default.optimiser, learning_rate=0.3),
            select_by="gap",
            patience=self.config.listen_patience,
        )
        return [listen, replace(default, name="decide", sampler="pairs")]

    def enter(self, phase: Phase) -> dict[str, nn.Parameter]:
        return self.train_only(lambda name: name.startswith(phase.name))

    def heard(self, batch: Batch) -> Tensor:
        frames = batch.ragged("heard")
        mean = frames.values.sum(1)[:, 0] / frames.lengths[:, None]
        return torch.tanh(self.listen(mean @ self.bases[0].model))[:, 0]

    def meant(self, batch: Batch) -> Tensor:
        signs = [-1.0 if text == "not" else 1.0 for text in batch.texts["text"]]
        return self.heard(batch) * torch.tensor(signs)

    def gaps(self, batch: Batch) -> Tensor:
        assert batch.targets is not None
        return (self.meant(batch) - (2 * batch.targets[:, 1] - 1)).square()

    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        if phase.name == "listen":
            small = 1e-3 * self.listen[1].weight.square().sum()
            return {"gap": batch.weighted_mean(self.gaps(batch)), "size": small}
        logits = self.scores(batch, ToyScoring())
        losses = functional.cross_entropy(logits, batch.targets, reduction="none")
        return {"cross_entropy": batch.weighted_mean(losses)}

    def watch(self, batch: Batch, *, phase: Phase) -> Mapping[str, Tensor]:
        return {"gap": 1 - self.meant(batch).abs()} if phase.name == "listen" else {}

    def dev_scoring(self) -> ToyScoring:
        return ToyScoring()

    def scores(self, batch: Batch, options: ToyScoring) -> Tensor:
        value = options.gain * self.decide(self.meant(batch)[:, None])
        return torch.cat([-value, value], dim=1)

    def extras(self, batch: Batch, options: Any) -> Mapping[str, Sequence[str] | Tensor]:
        heard = self.heard(batch)
        return {"heard": ["high" if value > 0 else "low" for value in heard], "loudness": heard}

    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        return scores + temperature * factors.log()


KIND = HeadKind(Toy, ToyConfig, ToyScoring)
