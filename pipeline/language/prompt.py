"""Prompts as token ids: what all clips share, and what each adds, with a place for soft tokens.

The chat template is rendered once, around a mark in place of the user's words, and cut there; the
parts are tokenised apart. So training and scoring see the same ids, and words of a transcript that
look like the template's own marks are plain text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import EncoderError
from pipeline.language.loading import LanguageModel

_MARK = "\u2063user\u2063"  # invisible separators: in no template
_DATE = "1 Jan 2025"  # some templates name today, and a head may not change overnight


@dataclass(frozen=True, kw_only=True)
class Soft:
    """A place of soft tokens within a prompt: so many vectors in place of words."""

    name: str


@dataclass(frozen=True, kw_only=True)
class ChatPrompt:
    """What stands before and after the user's words.

    Attributes:
        before: The system's words and all before the user's, alike for all clips.
        after: What ends the user's words and begins the answer, with its first words.
    """

    before: str
    after: str

    def shared_ids(self, model: LanguageModel) -> list[int]:
        """Return the tokens that every prompt begins with."""
        return model.token_ids(self.before)

    def own_ids(
        self, model: LanguageModel, parts: Sequence[tuple[str, str | Soft]]
    ) -> list[int | Soft]:
        """Return the tokens that one clip adds, and its soft tokens' places among them.

        Args:
            model: Whose tokeniser is used.
            parts: Words of ours, each with somebody's words or a soft place after them.
        """
        ids: list[int | Soft] = []
        for ours, theirs in parts:
            ids += model.token_ids(ours)
            ids += [theirs] if isinstance(theirs, Soft) else model.plain_ids(theirs)
        return [*ids, *model.token_ids(self.after)]


def chat_prompt(model: LanguageModel, *, system: str, answer: str, where: str) -> ChatPrompt:
    """Render a model's chat template.

    Args:
        model: A model that follows instructions.
        system: The system's words; of a template that knows no system, the user's first.
        answer: First words of every answer, such as "Emotion:".
        where: The parameter that names the model, for messages.

    Raises:
        EncoderError: If it has no template, or one that changes the user's words.
    """
    if model.tokeniser.chat_template is None:
        raise EncoderError(
            f"{where}: {model.spelling} has no chat template, wanted a model that follows "
            "instructions, such as an -Instruct checkpoint."
        )
    told = [{"role": "system", "content": system}, {"role": "user", "content": _MARK}]
    folded = [{"role": "user", "content": f"{system}\n{_MARK}"}]
    rendered, _ = _rendered(model, told)
    if rendered.count(_MARK) != 1 or system not in rendered:
        rendered, refused = _rendered(model, folded)
        if refused:
            raise EncoderError(
                f"{where}: the chat template of {model.spelling} cannot be filled in ({refused}); "
                "mend its chat_template.jinja, or use another model."
            )
    before, found, after = rendered.partition(_MARK)
    if not found or _MARK in after:
        raise EncoderError(
            f"{where}: the chat template of {model.spelling} does not give the user's words as "
            "they are; use another model."
        )
    return ChatPrompt(before=before, after=after + answer)


def _rendered(model: LanguageModel, messages: list[dict[str, str]]) -> tuple[str, str]:
    """Return a filled chat template, or "" and why it cannot be filled."""
    from jinja2.exceptions import TemplateError

    try:
        text: str = model.tokeniser.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, date_string=_DATE
        )
    except (TemplateError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        return "", " ".join(str(error).split()) or type(error).__name__
    return text, ""
