"""EmoQ: frames and text through a Q-Former into a language model (arXiv 2509.15775).

    z = Former(frames, text), |z| = 1                      Eq. 1 to 3
    stage 1:  MAL(z) = contrastive(z) + lambda focal(MLP(z))
    stage 2:  prompt(text, <AUDIO> = projector(z)) -> "Emotion:" word, by LoRA

The paper has no code and leaves the prompt, the projector and most sizes open. Its "none" of
Table 5 is read as cross-entropy of the same MLP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from pipeline.errors import HeadError, ParamsError
from pipeline.heads.base import Base, Head
from pipeline.heads.batch import Batch
from pipeline.heads.classifier import reweighted_logits
from pipeline.heads.cost import Part
from pipeline.heads.emoq_config import (
    FIRST_TOKEN,
    SCL,
    EmoQConfig,
    EmoQScoring,
)
from pipeline.heads.emoq_cost import activation_bytes, parts_of
from pipeline.heads.emotion_prompt import EmotionPrompt
from pipeline.heads.listening import make_listener
from pipeline.heads.needs import Need, Shapes
from pipeline.heads.phase import LAST, Phase
from pipeline.heads.projector import Projector
from pipeline.heads.stage1 import Stage1
from pipeline.language.adapters import add_adapters, set_training
from pipeline.language.answers import (
    Prompts,
    answer_log_probabilities,
    answer_losses,
    generated,
)
from pipeline.language.loading import load_language_model, outline_language_model
from pipeline.manifests.texts import TEXT
from pipeline.store.views import FRAMES

STAGE1, STAGE2 = "mal", "answers"
SPEAKER_COLUMN = "speaker"
ADAPTERS, AUXILIARY = "adapters.", "auxiliary."
MOST_GENERATED = 8  # tokens of the column `generated`


class EmoQ(Head):
    """A language model that hears one soft token and answers with an emotion word."""

    prompt: EmotionPrompt
    shares: Tensor

    @classmethod
    def needs(cls, config: EmoQConfig) -> Sequence[Need]:
        """Return its frames, where it hears."""
        if not config.hears:
            return ()
        return (Need(name=FRAMES, kind=FRAMES, view=config.view, layers=config.layers or None),)

    @classmethod
    def checkpoints(cls, config: EmoQConfig) -> Sequence[str]:
        """Return the language model, and the one that the former begins from."""
        return [config.language] + [config.former] * bool(config.former and config.has_former)

    @classmethod
    def outline(cls, shapes: Shapes, num_classes: int, config: EmoQConfig) -> Self:
        """Return it without weights, of its checkpoints' configurations."""
        with torch.device("meta"):
            return cls(shapes, num_classes, config, is_outline=True)

    def __init__(
        self,
        shapes: Shapes,
        num_classes: int,
        config: EmoQConfig,
        *,
        is_outline: bool = False,
    ) -> None:
        """Load the frozen models and make what is trained.

        Args:
            shapes: Of the frames, where it hears.
            num_classes: C.
            config: Its own section.
            is_outline: Whether only sizes are wanted: no weights are read.

        Raises:
            ParamsError: If no language model is named.
            EncoderError: If a checkpoint cannot be loaded.
        """
        super().__init__()
        if not config.language:
            raise ParamsError(
                "train.emoq.language: names no language model, wanted a folder or a model "
                "of the hub of a causal model that follows instructions."
            )
        self.config = config
        load = outline_language_model if is_outline else load_language_model
        self.model = load(
            config.language,
            base_dtype=config.base_dtype,
            gradient_checkpointing=config.gradient_checkpointing,
            where="train.emoq.language",
        )
        self.adapters = add_adapters(
            self.model,
            rank=config.lora_rank,
            alpha=config.lora_alpha,
            dropout=config.lora_dropout,
            targets=config.lora_targets,
            where="train.emoq",
        )
        bases = [Base(self.model.spelling, self.model.digest, self.model.network)]
        self.auxiliary: Stage1 | None = None
        if config.hears:
            self.listen = make_listener(
                config, shapes[FRAMES], self.model.tokeniser, is_outline=is_outline
            )
            self.project = Projector(self.listen.width, self.model.embeddings)
            began_from = self.listen.base
            bases += [began_from] if began_from is not None else []
        if config.has_stage1:
            self.auxiliary = Stage1(self.listen.width, num_classes, config)
        self.bases = tuple(bases)
        self.columns = [TEXT] * config.reads + [SPEAKER_COLUMN] * config.use_speaker
        self.register_buffer("shares", torch.full((num_classes,), 1 / num_classes))

    def parts(self) -> Mapping[str, Part]:
        """Return the language model, its adapters, what hears, the projector and stage 1's MLP."""
        return parts_of(self)

    def activation_bytes(self, phase: Phase, *, itemsize: int, is_checkpointed: bool) -> int:
        """Return what the former keeps of a batch, and in stage 2 the language model."""
        return activation_bytes(
            self,
            phase,
            itemsize=itemsize,
            is_checkpointed=is_checkpointed,
            in_words=phase.name == STAGE2,
        )

    def name_classes(self, classes: Sequence[str]) -> None:
        """Make the prompt and the answers of the classes' words.

        Raises:
            ParamsError: If a word is for no class, or for two.
            EncoderError: If the model has no chat template.
        """
        self.prompt = EmotionPrompt(
            self.model,
            self.config.words_of(tuple(classes)),
            system=self.config.system,
            word_weight=self.config.word_weight,
            where="train.emoq.language",
        )
        self.facts = {
            "prompt": self.prompt.facts,
            "words": dict(zip(classes, self.prompt.words, strict=True)),
            "former": (self.config.former or "random") if self.config.has_former else None,
            "language": self.model.spelling,
        }

    def learn_shares(self, shares: Tensor) -> None:
        """Take the classes' shares, of which the focal loss has its weights 1 / (C share)."""
        self.shares.copy_(shares)

    def phases(self, default: Phase) -> Sequence[Phase]:
        """Return stage 1, unless it is left out, and stage 2, the section `train`'s own."""
        stage2 = replace(default, name=STAGE2)
        if not self.config.has_stage1:
            return [stage2]
        rate = self.config.stage1_learning_rate
        stage1 = replace(
            default,
            name=STAGE1,
            num_steps=self.config.stage1_steps,
            batch_size=self.config.stage1_batch_size,
            optimiser=replace(default.optimiser, learning_rate=rate),
            sampler=self.config.stage1_sampler,
            # By the contrastive loss alone the MLP learns nothing to select by.
            select_by=LAST if self.config.mal == SCL else self.config.stage1_select_by,
        )
        return [stage1, stage2]

    def enter(self, phase: Phase) -> dict[str, nn.Parameter]:
        """Train the former and the MLP; or drop the MLP and train all but the base."""
        is_second = phase.name == STAGE2
        if is_second:
            self.auxiliary = None
        trained = self.train_only(lambda name: is_second or name.startswith(("listen.", AUXILIARY)))
        for name, adapter in self.adapters.items():
            adapter.requires_grad_(is_second)
            trained |= {f"{ADAPTERS}{name}": adapter} if is_second else {}
        return trained

    def rate_factor(self, name: str) -> float:
        """Return `lora_rate_factor` for the adapters."""
        return self.config.lora_rate_factor if name.startswith(ADAPTERS) else 1.0

    def train(self, mode: bool = True) -> "EmoQ":  # noqa: FBT001, FBT002 - torch's own signature
        """Turn dropout on or off, that of the adapters too."""
        super().train(mode)
        set_training(self.model, mode=mode and self.auxiliary is None)
        return self

    def heard(self, batch: Batch) -> Tensor:
        """Return z, float32, shape (B, W)."""
        texts = batch.texts[TEXT] if self.config.reads else None
        z: Tensor = self.listen(batch.ragged(FRAMES), texts).float()
        return z

    def prompts(self, batch: Batch) -> Prompts:
        """Return each clip's prompt, its soft token in place of <AUDIO>."""
        config = self.config
        return self.prompt.of_clips(
            speakers=batch.texts[SPEAKER_COLUMN] if config.use_speaker else None,
            texts=batch.texts[TEXT] if config.reads else None,
            heard=self.project(self.heard(batch))[:, None] if config.hears else None,
        )

    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Return stage 1's contrastive and focal losses, or stage 2's of the answers."""
        del progress, generator
        assert batch.targets is not None
        if phase.name == STAGE1:
            assert self.auxiliary is not None
            return self.auxiliary.losses(self.heard(batch), batch, self.shares)
        # A label of several classes has each of their answers, counted by its share.
        clips, classes = batch.targets.nonzero(as_tuple=True)
        prompts = self.prompts(batch).chosen(clips.tolist())
        chosen = classes.tolist()
        losses, weights = answer_losses(
            self.model,
            prompts,
            [self.prompt.answers[c] for c in chosen],
            [self.prompt.weights[c] for c in chosen],
        )
        share = batch.targets[clips, classes]
        if batch.weights is not None:
            share = share * batch.weights[clips]
        # Over the weights of tokens alone, so that a clip may count more than another.
        plain = batch.targets[clips, classes]
        return {"answer": (losses * share).sum() / (weights * plain).sum()}

    def dev_scoring(self) -> EmoQScoring:
        """Return whole words."""
        return EmoQScoring()

    def scores(self, batch: Batch, options: EmoQScoring) -> Tensor:
        """Return log p of each class's answer, (B, C); in stage 1 the MLP's logits.

        Eq. 9 of the paper takes the word's first token, which must then differ between classes.

        Raises:
            HeadError: If first tokens are asked for and two classes share one.
        """
        if self.auxiliary is not None:
            return self.auxiliary.logits(self.heard(batch))
        if options.scores == FIRST_TOKEN and not self.prompt.firsts_differ:
            raise HeadError(
                f"score.emoq.scores: first_token, but of the words {self.prompt.words} two begin "
                "with one token; use whole_word, or other words in train.emoq.words."
            )
        first, whole = answer_log_probabilities(
            self.model, self.prompts(batch), self.prompt.answers
        )
        return first if options.scores == FIRST_TOKEN else whole

    def extras(self, batch: Batch, options: EmoQScoring) -> Mapping[str, Sequence[str] | Tensor]:
        """Return the few words that it says by itself, where they are asked for."""
        if not options.generate or self.auxiliary is not None:
            return {}
        said = generated(self.model, self.prompts(batch), most=MOST_GENERATED)
        return {"generated": [self.model.tokeniser.decode(tokens).strip() for tokens in said]}

    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        """Add the factors' logarithms to the log-probabilities, by Bayes' rule."""
        return reweighted_logits(scores, factors, temperature)

    def kept(self) -> dict[str, Tensor]:
        """Return all that is its own: what hears, the projector and the adapters."""
        adapters = {f"{ADAPTERS}{name}": value.data for name, value in self.adapters.items()}
        return {**self.state_dict(), **adapters}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Take up what `kept` returned; what is of stage 2 has no MLP."""
        if not any(name.startswith(AUXILIARY) for name in kept):
            self.auxiliary = None
        for name, adapter in self.adapters.items():
            adapter.data.copy_(kept[f"{ADAPTERS}{name}"])
        own = {name: value for name, value in kept.items() if not name.startswith(ADAPTERS)}
        self.load_state_dict(own)
