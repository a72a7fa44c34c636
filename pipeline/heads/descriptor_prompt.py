"""The prompts that ask a language model how something is said, and the answers in parts.

Each part of an answer is tokenised apart, so that the tokens that are learnt are those that are
said and scored, whatever stands beside them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from pipeline.heads.descriptors_stages import CONTENT, DESCRIPTOR
from pipeline.language.answers import Prompts
from pipeline.language.loading import LanguageModel
from pipeline.language.prompt import Soft, chat_prompt

HEARD = {CONTENT: ("Speech: ", Soft(name=CONTENT)), DESCRIPTOR: ("Voice: ", Soft(name=DESCRIPTOR))}
TRANSCRIBE, DESCRIBE, NAME = "transcribe", "describe the voice", "name the emotion"
DESCRIPTION, EMOTION, TRANSCRIPT = "Description:", "Emotion:", "Transcript:"

SoftTokens = Mapping[str, Sequence[Tensor]]  # by branch, of each clip, shape (S, E)


class DescriptorPrompt:
    """Chat prompts with soft tokens of the branches, and their answers.

        Speech: <content>
        Transcribe.                                         -> text

        Speech: <content>
        Voice: <descriptor>
        Describe the voice, name the emotion, transcribe.   -> Description: ...
                                                               Emotion: word
                                                               Transcript: text

    What a clip has no words for is neither asked nor answered.

    Attributes:
        words: Of the classes, in score order.
        candidates: Token ids of each word, and of what ends it.
        line_end: The last token of the end of a line.
    """

    def __init__(
        self,
        model: LanguageModel,
        words: Sequence[str],
        *,
        system: str,
        word_weight: float,
        max_tokens: int,
        transcribes: bool,
        where: str,
    ) -> None:
        """Render the model's chat template.

        Args:
            model: The model.
            words: Of the classes.
            system: The system's words; `{classes}` becomes the classes' words.
            word_weight: Of a word's tokens in the loss; others weigh 1, and 0 what is not learnt.
            max_tokens: Of a description or a transcript.
            transcribes: Whether a transcript follows the emotion.
            where: The parameter that names the model, for messages.

        Raises:
            EncoderError: If the model has no chat template.
        """
        self.words = list(words)
        self._model = model
        self._word_weight = word_weight
        self._max_tokens = max_tokens
        filled = system.replace("{classes}", ", ".join(words))
        self._chat = chat_prompt(model, system=filled, answer="", where=where)
        self._shared = self._chat.shared_ids(model)
        self._newline = model.token_ids("\n")
        self._end = [int(model.tokeniser.eos_token_id)]
        self._marks = {m: model.token_ids(m) for m in (DESCRIPTION, EMOTION, TRANSCRIPT)}
        self._words = [model.token_ids(f" {word}") for word in words]
        ending = self._newline if transcribes else self._end
        self.candidates = [[*word, *ending] for word in self._words]
        self.line_end = self._newline[-1]

    @property
    def facts(self) -> Mapping[str, Any]:
        """The rendered template, for `head.json`."""
        return {"before": self._chat.before, "after": self._chat.after}

    def to_transcribe(self, soft: SoftTokens) -> Prompts:
        """Return the prompts of stage 1, which the content alone is shown.

        Args:
            soft: Of B clips.
        """
        own = self._asked([CONTENT], [TRANSCRIBE])
        return Prompts(shared=self._shared, own=[own] * len(soft[CONTENT]), soft=soft)

    def to_answer(
        self, soft: SoftTokens, *, describe: Sequence[bool], transcribe: Sequence[bool]
    ) -> Prompts:
        """Return the prompts of stage 2, to be answered from their beginning.

        Args:
            soft: Of B clips.
            describe: Whether each clip is to be described.
            transcribe: Whether each clip is to be transcribed.
        """
        own = [
            self._asked(list(soft), [DESCRIBE] * first + [NAME] + [TRANSCRIBE] * last)
            for first, last in zip(describe, transcribe, strict=True)
        ]
        return Prompts(shared=self._shared, own=own, soft=soft)

    def begun(self, description: str | None) -> list[int]:
        """Return the tokens of an answer up to the emotion's word.

        Args:
            description: Of the clip; None where there is none.
        """
        return [token for token, _ in self._beginning(description)]

    def begun_description(self) -> list[int]:
        """Return the tokens that a description follows."""
        return list(self._marks[DESCRIPTION])

    def after_description(self, description: str) -> list[int]:
        """Return the tokens of an answer from a description up to the emotion's word.

        Args:
            description: Of the clip.
        """
        return self.begun(description)[len(self.begun_description()) :]

    def begun_transcript(self, word: int) -> list[int]:
        """Return the tokens of an answer after `begun` that the transcript follows.

        Args:
            word: The number of the emotion's class.
        """
        return [*self._words[word], *self._newline, *self._marks[TRANSCRIPT]]

    def transcript(self, text: str) -> tuple[list[int], list[float]]:
        """Return the answer of stage 1, token ids and their weights."""
        ids = [*self._plain(text), *self._end]
        return ids, [1.0] * len(ids)

    def answer(
        self, word: int, description: str | None, text: str | None
    ) -> tuple[list[int], list[float]]:
        """Return the answer of stage 2, token ids and their weights.

        Args:
            word: The number of the emotion's class.
            description: Of the clip; None leaves it out.
            text: What is said in it; None leaves it out.
        """
        pieces = self._beginning(description)
        pieces += [(token, self._word_weight) for token in self._words[word]]
        if text is not None:
            pieces += [(token, 1.0) for token in self._newline]
            pieces += [(token, 0.0) for token in self._marks[TRANSCRIPT]]
            pieces += [(token, 1.0) for token in self._plain(text)]
        pieces += [(token, 1.0) for token in self._end]
        return [token for token, _ in pieces], [weight for _, weight in pieces]

    def _asked(self, heard: Sequence[str], tasks: Sequence[str]) -> list[int | Soft]:
        lines: list[tuple[str, str | Soft]] = [
            ("\n" * (i > 0) + HEARD[name][0], HEARD[name][1]) for i, name in enumerate(heard)
        ]
        told = ", ".join(tasks)
        return self._chat.own_ids(self._model, [*lines, (f"\n{told[0].upper()}{told[1:]}.", "")])

    def _beginning(self, description: str | None) -> list[tuple[int, float]]:
        # Marks are given in scoring, so they are not learnt.
        pieces: list[tuple[int, float]] = []
        if description is not None:
            pieces += [(token, 0.0) for token in self._marks[DESCRIPTION]]
            pieces += [(token, 1.0) for token in (*self._plain(description), *self._newline)]
        return pieces + [(token, 0.0) for token in self._marks[EMOTION]]

    def _plain(self, words: str) -> list[int]:
        """Return the tokens of somebody's words on one line, at most `max_tokens`."""
        line = " ".join(words.split())
        return self._model.plain_ids(f" {line}" if line else "")[: self._max_tokens]
