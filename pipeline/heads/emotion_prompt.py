"""The prompt that asks a language model for an emotion, and the answers that it may give."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from pipeline.language.answers import Prompts
from pipeline.language.loading import LanguageModel
from pipeline.language.prompt import Soft, chat_prompt

AUDIO = Soft(name="audio")
ANSWER = "Emotion:"


class EmotionPrompt:
    """A chat prompt with the lines Speaker, Text and Audio as they are there, and "Emotion:".

    Attributes:
        words: Of the classes, in score order.
        answers: Token ids of each word and of the end token.
        weights: Of each of those tokens in the loss.
    """

    def __init__(
        self,
        model: LanguageModel,
        words: Sequence[str],
        *,
        system: str,
        word_weight: float,
        where: str,
    ) -> None:
        """Render the model's chat template.

        Args:
            model: The model.
            words: Of the classes.
            system: The system's words; `{classes}` becomes the classes' words.
            word_weight: Of a word's tokens in the loss; the end token weighs 1.
            where: The parameter that names the model, for messages.

        Raises:
            EncoderError: If the model has no chat template.
        """
        self.words = list(words)
        self._model = model
        filled = system.replace("{classes}", ", ".join(words))
        self._chat = chat_prompt(model, system=filled, answer=ANSWER, where=where)
        self._shared = self._chat.shared_ids(model)
        end = int(model.tokeniser.eos_token_id)
        self.answers = [[*model.token_ids(f" {word}"), end] for word in words]
        self.weights = [[word_weight] * (len(answer) - 1) + [1.0] for answer in self.answers]

    @property
    def facts(self) -> Mapping[str, Any]:
        """The rendered template, for `head.json`."""
        return {"before": self._chat.before, "after": self._chat.after}

    @property
    def firsts_differ(self) -> bool:
        """Whether each word begins with a token of its own."""
        return len({answer[0] for answer in self.answers}) == len(self.answers)

    def of_clips(
        self,
        *,
        speakers: Sequence[str] | None,
        texts: Sequence[str] | None,
        heard: Tensor | None,
    ) -> Prompts:
        """Return the prompts of B clips.

        Args:
            speakers: Their names; None leaves the line out.
            texts: What is said; None leaves the line out.
            heard: Soft tokens in place of <AUDIO>, shape (B, S, D); None leaves the line out.
        """
        lines: list[tuple[str, Sequence[str | Soft]]] = []
        if speakers is not None:
            lines.append(("Speaker: ", speakers))
        if texts is not None:
            lines.append(("Text: ", texts))
        if heard is not None:
            lines.append(("Audio: ", [AUDIO] * len(heard)))
        own = [
            self._chat.own_ids(
                self._model,
                [("\n" * (i > 0) + ours, theirs[clip]) for i, (ours, theirs) in enumerate(lines)],
            )
            for clip in range(len(lines[0][1]))
        ]
        soft = {} if heard is None else {AUDIO.name: heard.unbind()}
        return Prompts(shared=self._shared, own=own, soft=soft)
