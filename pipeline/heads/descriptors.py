"""Emotion descriptors: what is said and how, apart, into a language model (arXiv 2505.23236).

    x_b = sum_l softmax(w_b)_l f_l          of each branch b, content and descriptor
    mu_b, log s_b^2 = MLP_b(x_b);  z_b = mu_b + s_b eps in training, mu_b in scoring
    L = -log q(answer | z) + beta KL(N(mu_b, s_b^2) || N(0, I)),  beta from 1 to 1e-4
    stage 1:  <content> -> transcript                      content branch and LoRA
    stage 2:  <content>, <descriptor> -> description, emotion, transcript
              descriptor branch and LoRA; the content branch is frozen

The paper has no code. What it leaves open is a parameter, both readings where there are two:

- The weighted sum of layers is each branch's own, or one for both (`shared_layers`), as its summary
  says. One for both belongs to the content branch, and rests with it.
- "Alternating" is one stage after the other, once or more often (`rounds`), or batches of both in
  turn (`alternate: batches`). In either LoRA is one for both, so freezing a branch does not keep
  what LoRA has learnt of stage 1: every `replay_every`-th batch of stage 2 is one of stage 1.
- Bags of words are ours (`bag_of_words`): the mean of a branch's soft tokens is to say, by the
  language model's own embeddings, the words of the answer. Few steps do not teach a branch through
  a language model what this teaches it at once, in steps that do not run the model (`bag_steps`).
- The KL is summed over dimensions and averaged over valid frames, which gives beta its meaning.

Its ablations: `bottleneck: false` has z = mu and no KL, `branches: one` hears all through one
branch that nothing freezes, `stages: joint` trains all at once, `describe: false` never describes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.bottleneck import beta_at, kl_to_normal
from pipeline.heads.branches import Branches, Heard
from pipeline.heads.cost import Part
from pipeline.heads.descriptor_prompt import DescriptorPrompt, SoftTokens
from pipeline.heads.descriptors_config import (
    BAG_LOSS,
    CROSS_ENTROPY,
    DescriptorsConfig,
    DescriptorsScoring,
)
from pipeline.heads.descriptors_cost import activation_bytes
from pipeline.heads.descriptors_said import Speaker, Told
from pipeline.heads.descriptors_stages import (
    CONTENT,
    STAGE1,
    answers_in,
    is_of_bags,
    phases_of,
    trained_in,
    turn_of,
)
from pipeline.heads.language_head import LanguageHead, Wanted
from pipeline.heads.needs import Need, Shapes
from pipeline.heads.phase import Phase
from pipeline.language.bags import BagOfWords
from pipeline.manifests.descriptors import DESCRIPTORS
from pipeline.manifests.texts import TEXT
from pipeline.store.views import FRAMES

TRANSCRIPT = "transcript"  # the extra column


class Descriptors(LanguageHead):
    """A language model that hears content and voice apart, and says how, what, which emotion."""

    config: DescriptorsConfig
    columns: Sequence[str] = (DESCRIPTORS,)
    watched: ClassVar[Sequence[str]] = (CROSS_ENTROPY,)
    prompt: DescriptorPrompt
    speaker: Speaker

    @classmethod
    def needs(cls, config: DescriptorsConfig) -> Sequence[Need]:
        """Return its frames."""
        return (Need(name=FRAMES, kind=FRAMES, view=config.view, layers=config.layers or None),)

    @classmethod
    def checkpoints(cls, config: DescriptorsConfig) -> Sequence[str]:
        """Return the language model."""
        return [config.language]

    def __init__(
        self,
        shapes: Shapes,
        num_classes: int,
        config: DescriptorsConfig,
        *,
        is_outline: bool = False,
    ) -> None:
        """Load the frozen model and make what is trained.

        Args:
            shapes: Of the frames.
            num_classes: Unused, as classes are words.
            config: Its own section.
            is_outline: Whether only sizes are wanted: no weights are read.

        Raises:
            ParamsError: If no language model is named.
            EncoderError: If it cannot be loaded.
        """
        del num_classes
        super().__init__(config, is_outline=is_outline)
        self.shape = shapes[FRAMES]
        self.branches = Branches(self.shape, self.model.embeddings, config)
        self.bag = BagOfWords(self.model.embeddings) if config.bag_of_words else None
        self.columns = (DESCRIPTORS,) * config.describe
        self.learns = [TEXT] * config.learns_transcripts + [DESCRIPTORS] * config.describe

    def parts(self) -> Mapping[str, Part]:
        """Return the language model, its adapters and the branches."""
        return self.parts_with(
            {f"{name} branch": one for name, one in self.branches.named_children()}
        )

    def activation_bytes(self, phase: Phase, *, itemsize: int, is_checkpointed: bool) -> int:
        """Return what the branches keep of a batch, and the language model."""
        return activation_bytes(self, phase, itemsize=itemsize, is_checkpointed=is_checkpointed)

    def name_classes(self, classes: Sequence[str]) -> None:
        """Make the prompts and the answers of the classes' words.

        Raises:
            ParamsError: If a word is for no class, or for two.
            EncoderError: If the model has no chat template.
        """
        config = self.config
        self.prompt = DescriptorPrompt(
            self.model,
            config.words_of(tuple(classes)),
            system=config.system,
            word_weight=config.word_weight,
            max_tokens=config.max_tokens,
            transcribes=config.transcribe,
            where=f"{config.section}.language",
        )
        self.speaker = Speaker(self.model, self.prompt, config)
        self.facts = {
            "prompt": self.prompt.facts,
            "words": dict(zip(classes, self.prompt.words, strict=True)),
            "language": self.model.spelling,
        }

    def phases(self, default: Phase) -> Sequence[Phase]:
        """Return stage 1 and stage 2, as often as there are rounds, or one phase of both."""
        return phases_of(self.config, default)

    def enter(self, phase: Phase) -> dict[str, nn.Parameter]:
        """Train the adapters and the branches of the phase; freeze the other one."""
        wanted = tuple(f"branches.{name}." for name in trained_in(self.config, phase))
        trained = self.train_only(lambda name: name.startswith(wanted))
        return trained | self.enter_adapters(is_trained=not is_of_bags(phase))

    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Return cross-entropy of what the step is to say, and beta KL of what it trains."""
        config = self.config
        step = round(progress * phase.num_steps)
        has_texts = any(text is not None for text in batch.words(TEXT))
        turn = turn_of(config, phase, step, has_texts=has_texts)
        names = None if turn.answers else (CONTENT,)
        frames = batch.ragged(FRAMES)
        heard = self.branches(frames, names=names, trains=turn.trains, generator=generator)
        losses = {}
        asks = not is_of_bags(phase)
        if turn.transcribes and has_texts:
            wanted = self._transcripts(batch, _soft(heard))
            if asks:
                losses["transcript"] = self.answer_loss(wanted, batch)
            if config.bag_of_words and CONTENT in turn.trains:
                bag = self.answer_loss(wanted, batch, bag_of=heard[CONTENT].soft)
                losses["bag_transcript"] = config.bag_of_words * bag
        elif turn.transcribes:
            # Nothing to learn, yet something to take gradients of.
            losses["transcript"] = 0 * torch.cat(list(heard[CONTENT].soft)).sum()
        if turn.answers:
            wanted = self._answers(batch, _soft(heard))
            if asks:
                losses["answer"] = self.answer_loss(wanted, batch)
            if config.bag_of_words:
                bag = self.answer_loss(wanted, batch, bag_of=heard[turn.trains[-1]].soft)
                losses["bag_answer"] = config.bag_of_words * bag
        if config.bottleneck:
            beta = beta_at(progress, config.beta_first, config.beta_last)
            for name in turn.trains:
                losses[f"kl_{name}"] = beta * kl_to_normal(heard[name].latent, frames.mask)
        return losses

    def _transcripts(self, batch: Batch, soft: SoftTokens) -> Wanted:
        """Return stage 1's answers, of the clips that have a text."""
        texts = [(i, text) for i, text in enumerate(batch.words(TEXT)) if text is not None]
        clips = [i for i, _ in texts]
        return Wanted(
            prompts=self.prompt.to_transcribe(soft).chosen(clips),
            answers=[self.prompt.transcript(text) for _, text in texts],
            clips=clips,
            share=torch.ones(len(clips), device=batch.ragged(FRAMES).values.device),
        )

    def _answers(self, batch: Batch, soft: SoftTokens) -> Wanted:
        """Return stage 2's answers, each of the parts that its clip has."""
        nothing = [None] * batch.num_clips
        described = batch.words(DESCRIPTORS) if self.config.describe else nothing
        texts = batch.words(TEXT) if self.config.transcribe else nothing
        prompts = self.prompt.to_answer(
            soft,
            describe=[one is not None for one in described],
            transcribe=[one is not None for one in texts],
        )
        return self.answers_of_labels(
            prompts, batch, lambda i, c: self.prompt.answer(c, described[i], texts[i])
        )

    def watch(self, batch: Batch, *, phase: Phase) -> Mapping[str, Tensor]:
        """Return cross-entropy of each dev clip's answer, in stage 1 of its transcript.

        Of a phase of bags it is their loss; of stage 2 nothing where scores select.
        """
        asks = not is_of_bags(phase)
        if asks and answers_in(phase) and phase.select_by != CROSS_ENTROPY:
            return {}
        soft = _soft(self.branches(batch.ragged(FRAMES)))
        transcribes = phase.name.startswith(STAGE1)
        wanted = (self._transcripts if transcribes else self._answers)(batch, soft)
        name = CROSS_ENTROPY if asks else BAG_LOSS
        heard = None if asks else soft[trained_in(self.config, phase)[-1]]
        return {name: self.answer_losses_by_clip(wanted, batch.num_clips, bag_of=heard)}

    def dev_scoring(self) -> DescriptorsScoring:
        """Return its own descriptions before the emotion, no longer than what it learns."""
        usual = DescriptorsScoring()
        return replace(usual, max_tokens=min(usual.max_tokens, self.config.max_tokens))

    def scores(self, batch: Batch, options: DescriptorsScoring) -> Tensor:
        """Return log p of each class's word and the end of its line, after the description, (B, C).

        Raises:
            HeadError: If given descriptions are asked for, and a clip has none.
        """
        return self._told(batch, replace(options, transcribe=False)).scores

    def extras(
        self, batch: Batch, options: DescriptorsScoring
    ) -> Mapping[str, Sequence[str] | Tensor]:
        """Return its descriptions, and where they are asked for what it heard.

        Raises:
            HeadError: As `answer`.
        """
        return self.answer(batch, options)[1]

    def answer(
        self, batch: Batch, options: DescriptorsScoring
    ) -> tuple[Tensor, Mapping[str, Sequence[str] | Tensor]]:
        """Return `scores` and `extras` of what is said once.

        Raises:
            HeadError: If given descriptions are asked for, and a clip has none; if a transcript is
                asked for that it has not learnt to say.
        """
        told = self._told(batch, options)
        said: dict[str, Sequence[str] | Tensor] = {}
        if self.speaker.describes(options):
            said[DESCRIPTORS] = [one or "" for one in told.descriptions]
        if options.transcribe:
            said[TRANSCRIPT] = told.transcripts
        return told.scores, said

    def _told(self, batch: Batch, options: DescriptorsScoring) -> Told:
        return self.speaker.told(batch, _soft(self.branches(batch.ragged(FRAMES))), options)

    def representations(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the mean of mu over each clip's frames, of each branch, (B, Z)."""
        frames = batch.ragged(FRAMES)
        return {name: _mean(heard, frames) for name, heard in self.branches(frames).items()}


def _mean(heard: Heard, frames: Ragged) -> Tensor:
    inside = frames.mask[..., None]
    return (heard.latent.mean * inside).sum(1) / inside.sum(1)


def _soft(heard: Mapping[str, Heard]) -> SoftTokens:
    return {name: one.soft for name, one in heard.items()}
