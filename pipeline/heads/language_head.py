"""What heads share that hold a frozen language model with adapters of their own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from pipeline.errors import ParamsError
from pipeline.heads.base import Base, Head
from pipeline.heads.batch import Batch
from pipeline.heads.classifier import reweighted_logits
from pipeline.heads.cost import FLOAT, Part
from pipeline.heads.language_config import LanguageConfig
from pipeline.heads.needs import Shapes
from pipeline.heads.outline import outlined
from pipeline.language.adapters import add_adapters, set_training
from pipeline.language.answers import Prompts, answer_losses
from pipeline.language.bags import BagOfWords
from pipeline.language.cost import activation_bytes, weight_bytes
from pipeline.language.loading import load_language_model, outline_language_model

ADAPTERS = "adapters."

Answer = tuple[Sequence[int], Sequence[float]]  # token ids, and the weight of each in the loss


class Wanted(NamedTuple):
    """Answers that prompts are to get.

    Attributes:
        prompts: N of them.
        answers: To each.
        clips: Whose prompt each is, by its number in the batch.
        share: Which part of its clip's label each is, shape (N,).
    """

    prompts: Prompts
    answers: Sequence[Answer]
    clips: Sequence[int]
    share: Tensor


class LanguageHead(Head):
    """A head that asks a language model and trains adapters on it.

    The model is no part of the module; its adapters are among what is kept, as `adapters.<name>`.

    Attributes:
        config: Its own section.
        model: The language model, this head's alone.
        adapters: By name.
        bag: What has soft tokens say bags of words; None in heads that do not.
    """

    config: LanguageConfig

    @classmethod
    def outline(cls, shapes: Shapes, num_classes: int, config: Any) -> Self:
        """Return it without weights, of its checkpoints' configurations."""
        make: Any = cls
        with outlined():
            head: Self = make(shapes, num_classes, config, is_outline=True)
        return head

    def __init__(self, config: LanguageConfig, *, is_outline: bool) -> None:
        """Load the language model and put adapters on it.

        Args:
            config: Its own section.
            is_outline: Whether only sizes are wanted: no weights are read.

        Raises:
            ParamsError: If no language model is named.
            EncoderError: If it cannot be loaded.
        """
        super().__init__()
        self.bag: BagOfWords | None = None
        if not config.language:
            raise ParamsError(
                f"{config.section}.language: names no language model, wanted a folder or a model "
                "of the hub of a causal model that follows instructions."
            )
        self.config = config
        load = outline_language_model if is_outline else load_language_model
        self.model = load(
            config.language,
            base_dtype=config.base_dtype,
            gradient_checkpointing=config.gradient_checkpointing,
            where=f"{config.section}.language",
        )
        self.adapters = add_adapters(
            self.model,
            rank=config.lora_rank,
            alpha=config.lora_alpha,
            dropout=config.lora_dropout,
            targets=config.lora_targets,
            where=config.section,
        )
        self.bases = (Base(self.model.spelling, self.model.digest, self.model.network),)

    def enter_adapters(self, *, is_trained: bool) -> dict[str, nn.Parameter]:
        """Let gradients reach the adapters or not; return those that are trained, as `kept`."""
        for adapter in self.adapters.values():
            adapter.requires_grad_(is_trained)
        return {f"{ADAPTERS}{name}": a for name, a in self.adapters.items() if is_trained}

    def rate_factor(self, name: str) -> float:
        """Return `lora_rate_factor` for the adapters."""
        return self.config.lora_rate_factor if name.startswith(ADAPTERS) else 1.0

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's own signature
        """Turn dropout on or off, that of the adapters too."""
        super().train(mode)
        set_training(self.model, mode=mode)
        return self

    def answers_of_labels(
        self, prompts: Prompts, batch: Batch, answer_of: Callable[[int, int], Answer]
    ) -> Wanted:
        """Return the answers of clips' labels; one of several classes has the answer of each.

        Args:
            prompts: Of the clips of the batch.
            batch: With targets.
            answer_of: The answer of a clip that is of a class, by their numbers.
        """
        assert batch.targets is not None
        clips, classes = (found.tolist() for found in batch.targets.nonzero(as_tuple=True))
        return Wanted(
            prompts=prompts.chosen(clips),
            answers=[answer_of(i, c) for i, c in zip(clips, classes, strict=True)],
            clips=clips,
            share=batch.targets[clips, classes],
        )

    def answer_loss(
        self, wanted: Wanted, batch: Batch, *, bag_of: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Return sum_t w_t CE_t / sum_t w_t over the tokens of all answers, by their shares.

        Args:
            wanted: Of clips of the batch.
            batch: Whose weights count.
            bag_of: Soft tokens of each clip of the batch, shape (S, D), that say the answers'
                words as a bag; None asks the model.
        """
        losses, weights = self._answer_losses(wanted, bag_of)
        # Over the weights of tokens alone, so that a clip may count more than another.
        share = (
            wanted.share
            if batch.weights is None
            else wanted.share * batch.weights[list(wanted.clips)]
        )
        return (losses * share).sum() / (weights * wanted.share).sum()

    def answer_losses_by_clip(
        self, wanted: Wanted, num_clips: int, *, bag_of: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Return sum_t w_t CE_t / sum_t w_t of each clip, (B,); 0 of one without an answer.

        Args:
            wanted: Of some of the clips.
            num_clips: B.
            bag_of: As `answer_loss` has it.
        """
        if not wanted.clips:
            return torch.zeros(num_clips, device=wanted.share.device)
        losses, weights = self._answer_losses(wanted, bag_of)
        each = wanted.share * losses / weights
        clips = torch.tensor(wanted.clips, device=each.device)
        return torch.zeros(num_clips, device=each.device).index_add(0, clips, each)

    def _answer_losses(
        self, wanted: Wanted, bag_of: Sequence[Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        ids, weights = zip(*wanted.answers, strict=True)
        if bag_of is None:
            return answer_losses(self.model, wanted.prompts, ids, weights)
        assert self.bag is not None
        found: tuple[Tensor, Tensor] = self.bag([bag_of[i] for i in wanted.clips], ids, weights)
        return found

    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        """Add the factors' logarithms to the log-probabilities, by Bayes' rule."""
        return reweighted_logits(scores, factors, temperature)

    def kept(self) -> dict[str, Tensor]:
        """Return all that is its own, the adapters too."""
        adapters = {f"{ADAPTERS}{name}": value.data for name, value in self.adapters.items()}
        return {**self.state_dict(), **adapters}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Take up what `kept` returned."""
        for name, adapter in self.adapters.items():
            adapter.data.copy_(kept[f"{ADAPTERS}{name}"])
        own = {name: value for name, value in kept.items() if not name.startswith(ADAPTERS)}
        self.load_state_dict(own)

    def parts_with(self, own: Mapping[str, nn.Module | None]) -> dict[str, Part]:
        """Return the language model, its adapters, and modules of its own that are there, by name.

        Args:
            own: By the name that they are called.
        """
        base = sum(p.numel() for n, p in self.model.network.named_parameters() if "lora_" not in n)
        frozen = Part(
            num=base,
            weight_bytes=weight_bytes(self.model, self.config.base_dtype),
            is_frozen=True,
        )
        counts = {"adapters": sum(p.numel() for p in self.adapters.values())}
        for name, module in own.items():
            if module is not None:
                counts[name] = sum(p.numel() for p in module.parameters())
        parts = {name: Part(num=num, weight_bytes=FLOAT * num) for name, num in counts.items()}
        return {"language model": frozen, **parts}

    def language_bytes(self, *, num_clips: int, is_checkpointed: bool, **tokens: int) -> int:
        """Return what a step keeps for its gradients in the language model.

        Args:
            num_clips: B.
            is_checkpointed: Whether gradients are checkpointed.
            **tokens: `own_tokens` and `answer_tokens` of a clip, where they are not EmoQ's.
        """
        blocks = self.model.network.get_decoder().layers
        adapted = sum("lora_A" in name for name, _ in blocks[0].named_parameters())
        return activation_bytes(
            self.model,
            num_clips=num_clips,
            num_adapted=adapted,
            is_checkpointed=is_checkpointed,
            **tokens,
        )
