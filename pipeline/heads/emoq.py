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

from pipeline.errors import HeadError
from pipeline.heads.batch import Batch
from pipeline.heads.cost import Part
from pipeline.heads.emoq_config import (
    FIRST_TOKEN,
    SCL,
    EmoQConfig,
    EmoQScoring,
)
from pipeline.heads.emoq_cost import activation_bytes, parts_of
from pipeline.heads.emotion_prompt import EmotionPrompt
from pipeline.heads.language_head import LanguageHead
from pipeline.heads.listening import make_listener
from pipeline.heads.needs import Need, Shapes
from pipeline.heads.phase import LAST, Phase
from pipeline.heads.projector import Projector
from pipeline.heads.stage1 import Stage1
from pipeline.language.adapters import set_training
from pipeline.language.answers import Dialogues, Prompts
from pipeline.manifests.texts import TEXT
from pipeline.store.views import FRAMES

STAGE1, STAGE2 = "mal", "answers"
SPEAKER_COLUMN = "speaker"
AUXILIARY = "auxiliary."
MOST_GENERATED = 8  # tokens of the column `generated`


class EmoQ(LanguageHead):
    """A language model that hears one soft token and answers with an emotion word."""

    config: EmoQConfig
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
        super().__init__(config, is_outline=is_outline)
        self.auxiliary: Stage1 | None = None
        if config.hears:
            self.listen = make_listener(
                config, shapes[FRAMES], self.model.tokeniser, is_outline=is_outline
            )
            self.project = Projector(self.listen.width, self.model.embeddings)
            if self.listen.base is not None:
                self.bases = (*self.bases, self.listen.base)
        if config.has_stage1:
            self.auxiliary = Stage1(self.listen.width, num_classes, config)
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
        return trained | self.enter_adapters(is_trained=is_second)

    def train(self, mode: bool = True) -> "EmoQ":  # noqa: FBT001, FBT002 - torch's own signature
        """Turn dropout on or off, that of the adapters in stage 2 alone."""
        super().train(mode)
        if self.auxiliary is not None:
            set_training(self.model, mode=False)
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
        told = self.prompt
        wanted = self.answers_of_labels(
            self.prompts(batch), batch, lambda _, c: (told.answers[c], told.weights[c])
        )
        return {"answer": self.answer_loss(wanted, batch)}

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
        read = Dialogues(self.model, self.prompts(batch))
        first, whole = read.log_probabilities(self.prompt.answers)
        return first if options.scores == FIRST_TOKEN else whole

    def extras(self, batch: Batch, options: EmoQScoring) -> Mapping[str, Sequence[str] | Tensor]:
        """Return the few words that it says by itself, where they are asked for."""
        if not options.generate or self.auxiliary is not None:
            return {}
        said = Dialogues(self.model, self.prompts(batch)).likeliest(most=MOST_GENERATED)
        return {"generated": [self.model.tokeniser.decode(tokens).strip() for tokens in said]}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Take up what `kept` returned; what is of stage 2 has no MLP."""
        if not any(name.startswith(AUXILIARY) for name in kept):
            self.auxiliary = None
        super().restore(kept)
