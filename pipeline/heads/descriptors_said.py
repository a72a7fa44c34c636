"""What the head of descriptors says of clips: descriptions, then scores, then transcripts."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from pipeline.errors import HeadError
from pipeline.heads.batch import Batch
from pipeline.heads.descriptor_prompt import DescriptorPrompt, SoftTokens
from pipeline.heads.descriptors_config import (
    GOLD,
    PREDICTED,
    DescriptorsConfig,
    DescriptorsScoring,
)
from pipeline.language.answers import Dialogues, Prompts
from pipeline.language.loading import LanguageModel
from pipeline.manifests.descriptors import DESCRIPTORS


class Told(NamedTuple):
    """What was said of a batch.

    Attributes:
        descriptions: Of each clip; None where there is none.
        scores: log p of each class's word and the end of its line, shape (B, C).
        transcripts: What it heard, said after the likeliest word; none where they are not asked
            for.
    """

    descriptions: Sequence[str | None]
    scores: Tensor
    transcripts: Sequence[str]


class Speaker:
    """Says what is asked of a batch."""

    def __init__(
        self, model: LanguageModel, prompt: DescriptorPrompt, config: DescriptorsConfig
    ) -> None:
        self._model = model
        self._prompt = prompt
        self._config = config

    def describes(self, options: DescriptorsScoring) -> bool:
        """Say whether clips are described by itself under these options."""
        return self._config.describe and options.condition == PREDICTED

    def told(self, batch: Batch, soft: SoftTokens, options: DescriptorsScoring) -> Told:
        """Return what is said before the emotion's word, the words' scores, and what comes after.

        Args:
            batch: Clips.
            soft: Their soft tokens.
            options: How they are scored.

        Raises:
            HeadError: If given descriptions are asked for, and a clip has none; if a transcript is
                asked for that it has not learnt to say.
        """
        if options.transcribe and not self._config.transcribe:
            raise HeadError(
                "score.descriptors.transcribe: found true, but this head has learnt answers "
                "without transcripts (train.descriptors.transcribe); set it to false."
            )
        if self.describes(options):
            asked = self._asked(soft, describe=[True] * batch.num_clips)
            begun = [self._prompt.begun_description()] * batch.num_clips
            read = Dialogues(self._model, asked.going_on(begun))
            said = self._line(read, options)
            read.go_on([self._prompt.after_description(one) for one in said])
            descriptions: Sequence[str | None] = said
        else:
            descriptions = self._given(batch, options)
            asked = self._asked(soft, describe=[one is not None for one in descriptions])
            begun = [self._prompt.begun(one) for one in descriptions]
            read = Dialogues(self._model, asked.going_on(begun))
        _, scores = read.log_probabilities(self._prompt.candidates)
        transcripts: Sequence[str] = ()
        if options.transcribe:
            words = scores.argmax(1).tolist()
            read.go_on([self._prompt.begun_transcript(word) for word in words])
            transcripts = self._line(read, options)
        return Told(descriptions, scores, transcripts)

    def _asked(self, soft: SoftTokens, *, describe: Sequence[bool]) -> Prompts:
        transcribe = [self._config.transcribe] * len(describe)
        return self._prompt.to_answer(soft, describe=describe, transcribe=transcribe)

    def _given(self, batch: Batch, options: DescriptorsScoring) -> Sequence[str | None]:
        num_clips = batch.num_clips
        if options.condition != GOLD:
            return [None] * num_clips
        given = batch.words(DESCRIPTORS)
        if not self._config.describe or None in given:
            found = (
                f"{given.count(None)} of {num_clips} clips have no {DESCRIPTORS}"
                if self._config.describe
                else "this head has learnt none"
            )
            raise HeadError(
                f"score.descriptors.condition: gold wants a description of each clip, but {found}; "
                "write them with 'genser describe', or set it to predicted or none."
            )
        return given

    def _line(self, read: Dialogues, options: DescriptorsScoring) -> list[str]:
        """Return what it says after each prompt, up to the end of the line."""
        said = read.likeliest(most=options.max_tokens, ends=[self._prompt.line_end])
        texts = [self._model.tokeniser.decode(one, skip_special_tokens=True) for one in said]
        return [text.strip().partition("\n")[0].strip() for text in texts]
