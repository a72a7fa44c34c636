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
from pipeline.language.answers import Prompts, answer_log_probabilities, generated
from pipeline.language.loading import LanguageModel
from pipeline.manifests.descriptors import DESCRIPTORS


class Told(NamedTuple):
    """What was said of a batch.

    Attributes:
        prompts: With all that comes before the emotion's word.
        descriptions: Of each clip; None where there is none.
        scores: log p of each class's word and the end of its line, shape (B, C).
    """

    prompts: Prompts
    descriptions: Sequence[str | None]
    scores: Tensor


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
        """Return what is said up to the emotion's word, and the scores of the words.

        Args:
            batch: Clips.
            soft: Their soft tokens.
            options: How they are scored.

        Raises:
            HeadError: If given descriptions are asked for, and a clip has none.
        """
        descriptions = self._descriptions(batch, soft, options)
        prompts = self._prompt.to_answer(
            soft,
            describe=[one is not None for one in descriptions],
            transcribe=[self._config.transcribe] * len(descriptions),
        ).going_on([self._prompt.begun(one) for one in descriptions])
        _, scores = answer_log_probabilities(self._model, prompts, self._prompt.candidates)
        return Told(prompts, descriptions, scores)

    def transcripts(self, told: Told, options: DescriptorsScoring) -> list[str]:
        """Return what it heard, said after the likeliest word.

        Raises:
            HeadError: If it has not learnt to.
        """
        if not self._config.transcribe:
            raise HeadError(
                "score.descriptors.transcribe: found true, but this head has learnt answers "
                "without transcripts (train.descriptors.transcribe); set it to false."
            )
        words = told.scores.argmax(1).tolist()
        begun = [self._prompt.begun_transcript(word) for word in words]
        return self._line(told.prompts.going_on(begun), options)

    def _descriptions(
        self, batch: Batch, soft: SoftTokens, options: DescriptorsScoring
    ) -> Sequence[str | None]:
        num_clips = batch.num_clips
        if self.describes(options):
            asked = self._prompt.to_answer(
                soft,
                describe=[True] * num_clips,
                transcribe=[self._config.transcribe] * num_clips,
            )
            return self._line(
                asked.going_on([self._prompt.begun_description()] * num_clips), options
            )
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

    def _line(self, prompts: Prompts, options: DescriptorsScoring) -> list[str]:
        """Return what it says after each prompt, up to the end of the line."""
        ends = [self._prompt.line_end]
        said = generated(self._model, prompts, most=options.max_tokens, ends=ends)
        texts = [self._model.tokeniser.decode(one, skip_special_tokens=True) for one in said]
        return [text.strip().partition("\n")[0].strip() for text in texts]
