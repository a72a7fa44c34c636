"""An encoder under training as a head: waveforms in, class scores out."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.dropout import Dropout
from pipeline.encoders.base import BlockEncoder
from pipeline.finetuning.config import FinetuneConfig
from pipeline.finetuning.tuning import chosen_blocks, trained_parameters, tuned_weights
from pipeline.heads.attentive_pooling import AttentivePooling
from pipeline.heads.base import Head
from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.classifier import logit_loss, reweighted_logits
from pipeline.heads.phase import Phase

WAVEFORMS = "waveforms"  # under which a batch has them: ragged, values (B, samples)
ATTENTION_WIDTH = 128  # of the score by which frames are pooled


class TunedEncoder(Head):
    """Class logits from the last layer of an encoder, some of whose blocks are trained.

    What it keeps is what it trains; all else of the encoder is as it was loaded. Where labels are
    numbers its two outputs are the shares of the ends of their scale, as those of `LogitHead`.

    Attributes:
        model: The encoder's.
        pooling: Over the frames of a clip.
        classifier: One hidden layer.
    """

    takes_numbers = True

    def __init__(self, encoder: BlockEncoder, num_classes: int, config: FinetuneConfig) -> None:
        """Put an encoder under training.

        Raises:
            ParamsError: If it has not so many blocks, or no such layers to adapt.
        """
        super().__init__()
        self.config = config
        self._encoder = encoder
        self._blocks = tuple(chosen_blocks(list(encoder.blocks), config))
        self.model: Any = encoder.model
        family = self.model.config.model_type
        tuned = trained_parameters(self.model, self._blocks, family, config)
        if config.gradient_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.pooling = AttentivePooling(encoder.dim, ATTENTION_WIDTH)
        self.classifier = classifier(encoder.dim, num_classes, config)
        self._tuned = [f"model.{name}" for name in tuned]
        own = [name for name, _ in self.named_parameters() if not name.startswith("model.")]
        names = {*self._tuned, *own}
        self._trained = self.train_only(lambda name: name in names)

    def train(self, mode: bool = True) -> "TunedEncoder":  # noqa: FBT001, FBT002
        """Switch dropout on in what is trained; the rest of the encoder runs as extraction does."""
        super().train(mode)
        self.model.eval()
        for part in self._blocks if self.config.freeze_front else _parts(self.model):
            part.train(mode)
        return self

    def enter(self, phase: Phase) -> dict[str, nn.Parameter]:
        """Return what is trained."""
        del phase
        return dict(self._trained)

    def rate_factor(self, name: str) -> float:
        """Return 1 for the encoder, whose rate is the optimiser's, and the head's over that."""
        if name in self._tuned:
            return 1.0
        return self.config.head_learning_rate / self.config.optimiser.learning_rate

    def kept(self) -> dict[str, Tensor]:
        """Return what is trained, and nothing that is as it was loaded."""
        return {name: parameter.detach() for name, parameter in self._trained.items()}

    @torch.no_grad()
    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Take up what `kept` returned."""
        assert set(kept) == set(self._trained), "kept by another head"
        for name, parameter in self._trained.items():
            parameter.copy_(kept[name])

    def tuned_weights(self) -> dict[str, Tensor]:
        """Return the encoder's own weights that training has changed, adapters merged."""
        names = {name.removeprefix("model."): self._trained[name] for name in self._tuned}
        return tuned_weights(self.model, names)

    def logits(self, waveforms: Ragged, generator: torch.Generator | None = None) -> Tensor:
        """Return logits of waveforms, float32, shape (B, C).

        Args:
            waveforms: Values (B, samples).
            generator: Draws the stretch of clips that are too long; None takes the middle.
        """
        limit = int(self.config.max_s * self._encoder.sample_rate)
        values, lengths = cut(waveforms, limit, generator)
        frames = self._encoder.run(values, lengths)
        counts = torch.tensor([self._encoder.num_frames(n) for n in lengths], device=frames.device)
        mask = Ragged(frames, counts).mask
        # where, not a product: a padded place may hold anything, NaN too.
        own = torch.where(mask[:, :, None], frames, 0.0)
        logits: Tensor = self.classifier(self.pooling(own, mask))
        return logits.float()

    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Return the cross-entropy, or of numbers the squared error, as `logit_loss`."""
        del phase, progress
        logits = self.logits(batch.ragged(WAVEFORMS), generator)
        return logit_loss(logits, batch, self.link)

    def scores(self, batch: Batch, options: Any) -> Tensor:
        """Return the logits."""
        del options
        return self.logits(batch.ragged(WAVEFORMS))

    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        """Add the factors' logarithms to the logits, by Bayes' rule."""
        return reweighted_logits(scores, factors, temperature)


def _parts(model: nn.Module) -> list[nn.Module]:
    """Return all that an encoder is made of, but not the modules that go through its blocks.

    Those would leave blocks out at random, and mask stretches drawn from numpy's own generator.
    """
    parts = dict(model.named_children())
    inner = parts.pop("encoder", None)
    return [*parts.values(), *(inner.children() if inner is not None else ())]


def classifier(dim: int, num_classes: int, config: FinetuneConfig) -> nn.Sequential:
    """Return the layers from pooled frames (B, 2 D) to logits (B, C)."""
    return nn.Sequential(
        nn.Linear(2 * dim, config.hidden),
        nn.GELU(),
        Dropout(config.dropout),
        nn.Linear(config.hidden, num_classes),
    )


def cut(
    waveforms: Ragged, limit: int, generator: torch.Generator | None
) -> tuple[Tensor, list[int]]:
    """Cut clips that are too long to one stretch of theirs.

    Args:
        waveforms: Values (B, samples).
        limit: Samples of the longest that passes.
        generator: Draws where each stretch begins; None takes the middle one.

    Returns:
        Samples, shape (B, at most `limit`), and how many each clip has.
    """
    lengths: list[int] = waveforms.lengths.tolist()
    if max(lengths) <= limit:
        return waveforms.values, lengths
    room = torch.tensor([max(length - limit, 0) for length in lengths])
    middle = torch.full((len(lengths),), 0.5)
    draws = middle if generator is None else torch.rand(len(lengths), generator=generator)
    starts = (draws * (room + 1)).long().clamp(max=room)
    values = torch.stack(
        [
            clip.narrow(0, start, limit)
            for clip, start in zip(waveforms.values, starts.tolist(), strict=True)
        ]
    )
    return values, [min(length, limit) for length in lengths]
