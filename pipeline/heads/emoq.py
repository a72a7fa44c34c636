"""EmoQ: frames and text through a Q-Former into a language model (arXiv 2509.15775).

    z = Former(frames, text), |z| = 1                      Eq. 1 to 3
    stage 1:  MAL(z) = contrastive(z) + lambda focal(MLP(z))
    stage 2:  prompt(text, <AUDIO> = projector(z)) -> "Emotion:" word, by LoRA

The paper has no code and leaves the prompt, the projector and most sizes open. Its "none" of
Table 5 is read as cross-entropy of the same MLP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import HeadError, ParamsError
from pipeline.heads.base import Base, Head
from pipeline.heads.batch import Batch
from pipeline.heads.classifier import reweighted_logits
from pipeline.heads.emoq_config import (
    FIRST_TOKEN,
    FOCAL,
    MAL_BOTH,
    NONE,
    SCL,
    EmoQConfig,
    EmoQScoring,
)
from pipeline.heads.emotion_prompt import EmotionPrompt
from pipeline.heads.former import Former
from pipeline.heads.mal import class_weights_of, focal, supervised_contrastive
from pipeline.heads.needs import Need, Shapes
from pipeline.heads.phase import Phase
from pipeline.heads.pooled_frames import PooledFrames
from pipeline.heads.projector import Projector
from pipeline.language.adapters import add_adapters, set_training
from pipeline.language.answers import (
    Prompts,
    answer_log_probabilities,
    answer_losses,
    generated,
)
from pipeline.language.loading import load_language_model
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

    def __init__(self, shapes: Shapes, num_classes: int, config: EmoQConfig) -> None:
        """Load the frozen models and make what is trained.

        Raises:
            ParamsError: If no language model is named.
            EncoderError: If a checkpoint cannot be loaded.
        """
        super().__init__()
        if not config.language:
            raise ParamsError(
                "train.emoq.language: names no language model, wanted a folder or 'owner/name@"
                "revision' of a causal model that follows instructions."
            )
        self.config = config
        self.model = load_language_model(
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
        self.auxiliary: nn.Module | None = None
        if config.hears:
            self.listen = self._listener(shapes)
            self.project = Projector(self.listen.width, self.model.embeddings)
            began_from = self.listen.base
            bases += [began_from] if began_from is not None else []
        if config.has_stage1:
            self.auxiliary = nn.Sequential(
                nn.Linear(self.listen.width, self.listen.width),
                nn.GELU(),
                nn.Linear(self.listen.width, num_classes),
            )
        self.bases = tuple(bases)
        self.columns = [TEXT] * config.reads + [SPEAKER_COLUMN] * config.use_speaker
        self.register_buffer("shares", torch.full((num_classes,), 1 / num_classes))

    def _listener(self, shapes: Shapes) -> "Former | PooledFrames":
        config, shape = self.config, shapes[FRAMES]
        if not config.has_former:
            return PooledFrames(shape, config.former_width)
        return Former(
            shape,
            checkpoint=config.former,
            tokeniser=self.model.tokeniser,
            num_queries=config.num_queries,
            cross_every=config.cross_every,
            pooling_heads=config.pooling_heads,
            width=config.former_width,
            num_blocks=config.former_blocks,
            num_heads=config.former_heads,
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
            select_by=self.config.stage1_select_by,
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
            return self._mal(batch, batch.targets)
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

    def _mal(self, batch: Batch, targets: Tensor) -> Mapping[str, Tensor]:
        assert self.auxiliary is not None
        config, z = self.config, self.heard(batch)
        logits = self.auxiliary(z).float()
        if config.mal == NONE:
            plain = functional.cross_entropy(logits, targets, reduction="none")
            return {"cross_entropy": batch.weighted_mean(plain)}
        losses = {}
        if config.mal in (MAL_BOTH, SCL):
            losses["contrastive"] = supervised_contrastive(
                z, targets.argmax(1), temperature=config.temperature
            )
        if config.mal in (MAL_BOTH, FOCAL):
            losses["focal"] = config.focal_weight * focal(
                logits,
                targets,
                class_weights_of(self.shares),
                gamma=config.gamma,
                weights=batch.weights,
            )
        return losses

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
            # Trained by the contrastive loss alone it knows nothing: nearest neighbours would.
            logits: Tensor = self.auxiliary(self.heard(batch))
            return logits.float()
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
