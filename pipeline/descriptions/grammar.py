"""The grammar of descriptions: from levels to a sentence, and from a sentence to levels.

A grammar is a file that people edit and translate (`english.yaml` beside this module). It is
checked when it is read: whatever it can write it must read again, and never a word of emotion.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from string import Formatter
from typing import Any

from pipeline.descriptions.slots import NUM_LEVELS, SLOTS, Levels
from pipeline.errors import ParamsError
from pipeline.files import fingerprint, sha256_bytes

EMPHASIS = "emphasis"  # the place of a word that stands out, which has no levels
KEYS = ("levels", "templates", "vowels", "emotion_words", "clause_starts")
UNSPACED = 0x2E80  # scripts from here on write no spaces between words


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """The words of descriptions, in one language.

    Attributes:
        where: Where it was read from, for messages.
        levels: Of each slot its phrases, from the lowest level to the highest.
        templates: Sentences in parts, each part with the place of one slot at most.
        vowels: Characters that make a syllable where they stand together.
        emotion_words: What no description says: whole words, or their beginnings before a `*`.
        clause_starts: Words before which a clause begins.
    """

    where: str = field(compare=False)
    levels: Mapping[str, tuple[str, ...]]
    templates: tuple[tuple[str, ...], ...]
    vowels: str
    emotion_words: tuple[str, ...]
    clause_starts: tuple[str, ...]

    @classmethod
    def load(cls, content: Any, where: str) -> "Grammar":
        """Make a grammar of what its file holds, and check it.

        Args:
            content: Mappings, lists and texts, as YAML or JSON gives them.
            where: The file, for messages.

        Raises:
            ParamsError: If something is absent or no text, a phrase stands for two levels, a
                sentence does not say its levels again, or a word of emotion is in it.
        """
        if not isinstance(content, Mapping) or set(content) != set(KEYS):
            found = sorted(map(str, content)) if isinstance(content, Mapping) else content
            raise ParamsError(f"{where}: found {found!r}, wanted the keys {list(KEYS)}.")
        levels = content["levels"]
        if not isinstance(levels, Mapping) or set(levels) != set(SLOTS):
            found = sorted(map(str, levels)) if isinstance(levels, Mapping) else levels
            raise ParamsError(f"{where}: levels: found {found!r}, wanted the slots {list(SLOTS)}.")
        vowels = content["vowels"]
        if not isinstance(vowels, str) or not vowels:
            raise ParamsError(f"{where}: vowels: found {vowels!r}, wanted letters in one text.")
        templates = content["templates"]
        if not isinstance(templates, Sequence) or isinstance(templates, str) or not templates:
            raise ParamsError(f"{where}: templates: found {templates!r}, wanted sentences.")
        grammar = cls(
            where=where,
            levels={slot: _texts(levels[slot], f"{where}: levels: {slot}") for slot in SLOTS},
            templates=tuple(
                _texts(parts, f"{where}: templates[{i}]") for i, parts in enumerate(templates)
            ),
            vowels=vowels,
            emotion_words=_texts(content["emotion_words"], f"{where}: emotion_words"),
            clause_starts=_texts(content["clause_starts"], f"{where}: clause_starts"),
        )
        grammar._check()
        return grammar

    def with_first(self, templates: int) -> "Grammar":
        """Return the grammar with its first templates alone.

        Args:
            templates: How many; 0 keeps all.

        Raises:
            ParamsError: If it has fewer.
        """
        if templates > len(self.templates):
            raise ParamsError(
                f"describe.templates: {templates} is more than the {len(self.templates)} of "
                f"{self.where}; lower it, or set it to 0 for all."
            )
        return replace(self, templates=self.templates[: templates or None])

    @property
    def content(self) -> dict[str, Any]:
        """What `load` makes the same grammar of, as JSON has it."""
        return {
            "levels": {slot: list(self.levels[slot]) for slot in SLOTS},
            "templates": [list(parts) for parts in self.templates],
            "vowels": self.vowels,
            "emotion_words": list(self.emotion_words),
            "clause_starts": list(self.clause_starts),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of its content."""
        return fingerprint(self.content)

    def sentence(self, levels: Levels, utterance_id: str, emphasis: str = "") -> str:
        """Return a clip's levels as a sentence, the same at every call; "" where there are none.

        Args:
            levels: Of each slot that was measured.
            utterance_id: Its hash chooses the template.
            emphasis: The word that stands out, "" for none; it is not said where it names an
                emotion, or would be read as a level.
        """
        if self.names_emotion(emphasis) or self.levels_said(emphasis):
            emphasis = ""
        number = int(sha256_bytes(utterance_id.encode())[:8], 16) % len(self.templates)
        return self._written(self.templates[number], levels, emphasis)

    def levels_said(self, text: str) -> dict[str, int]:
        """Return the level of each slot that a text has a phrase for; the first where it has two.

        Args:
            text: Of this grammar, or what a head has learnt to write in its words.
        """
        said: dict[str, int] = {}
        for match in self._phrases.finditer(text):
            slot, level = self._meanings[match[0].casefold()]
            said.setdefault(slot, level)
        return {slot: said[slot] for slot in SLOTS if slot in said}

    def names_emotion(self, text: str) -> bool:
        """Return whether a text has a word of emotion."""
        return self._emotions.search(text) is not None

    def _written(self, template: Sequence[str], levels: Levels, emphasis: str) -> str:
        if not levels:
            return ""
        words = {slot: self.levels[slot][level] for slot, level in levels.items()}
        if emphasis:
            words[EMPHASIS] = emphasis
        kept = [part for part in template if set(_places(part)) <= set(words)]
        text = "".join(part.format(**words) for part in kept).lstrip(" ,;:-")
        return text[:1].upper() + text[1:]

    @cached_property
    def _meanings(self) -> dict[str, tuple[str, int]]:
        return {
            phrase.casefold(): (slot, level)
            for slot in SLOTS
            for level, phrase in enumerate(self.levels[slot])
        }

    @cached_property
    def _phrases(self) -> re.Pattern[str]:
        longest_first = sorted(self._meanings, key=len, reverse=True)
        return re.compile("|".join(map(_bounded, longest_first)), re.IGNORECASE)

    @cached_property
    def _emotions(self) -> re.Pattern[str]:
        words = (
            _bounded(word.removesuffix("*"), open_end=word.endswith("*"))
            for word in self.emotion_words
        )
        return re.compile("|".join(words), re.IGNORECASE)

    def _check(self) -> None:
        for slot in SLOTS:
            if len(self.levels[slot]) != NUM_LEVELS:
                raise ParamsError(
                    f"{self.where}: levels: {slot}: found {len(self.levels[slot])} phrases, wanted "
                    f"{NUM_LEVELS}, from the lowest level to the highest."
                )
        seen: dict[str, tuple[str, int]] = {}
        for slot in SLOTS:
            for level, phrase in enumerate(self.levels[slot]):
                first = seen.setdefault(phrase.casefold(), (slot, level))
                if first != (slot, level):
                    raise ParamsError(
                        f"{self.where}: levels: {phrase!r} stands for level {first[1]} of "
                        f"{first[0]} and level {level} of {slot}; take two phrases."
                    )
        texts = [p for phrases in self.levels.values() for p in phrases]
        texts += [part for parts in self.templates for part in parts]
        for text in texts:
            if self.names_emotion(text):
                raise ParamsError(
                    f"{self.where}: {text!r} has a word of emotion_words; say how it sounds."
                )
        for number, parts in enumerate(self.templates):
            self._check_template(f"{self.where}: templates[{number}]", parts)

    def _check_template(self, where: str, parts: Sequence[str]) -> None:
        places = [place for part in parts for place in _places(part)]
        wanted = {*SLOTS, EMPHASIS}
        if any(len(list(_places(part))) > 1 for part in parts) or sorted(places) != sorted(wanted):
            raise ParamsError(
                f"{where}: has places for {places}, wanted each of {sorted(wanted)} once, in a "
                "part of its own."
            )
        for levels in _examples():
            text = self._written(parts, levels, "")
            said = self.levels_said(text)
            if said != levels:
                slot = next(s for s in SLOTS if said.get(s) != levels.get(s))
                raise ParamsError(
                    f"{where}: {text!r} says level {said.get(slot)} of {slot}, wanted "
                    f"{levels.get(slot)}; no phrase may begin or end within another's words."
                )


def _examples() -> Iterator[dict[str, int]]:
    """Yield levels whose sentences show whether phrases run into one another."""
    for slot in SLOTS:
        for level in range(NUM_LEVELS):
            yield {slot: level}
            for others in range(NUM_LEVELS):
                yield {one: level if one == slot else others for one in SLOTS}


def _places(part: str) -> Iterator[str]:
    """Yield the names in braces of a part of a template."""
    try:
        yield from (name for _, name, _, _ in Formatter().parse(part) if name is not None)
    except ValueError:
        yield part  # a brace that is open: no slot has such a name


def _bounded(text: str, *, open_end: bool = False) -> str:
    """Return an expression for a text that stands there as whole words."""
    spaced = [ord(edge) < UNSPACED for edge in (text[0], text[-1])]
    return r"(?<!\w)" * spaced[0] + re.escape(text) + r"(?!\w)" * (spaced[1] and not open_end)


def _texts(values: Any, where: str) -> tuple[str, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ParamsError(f"{where}: found {values!r}, wanted a list of texts.")
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise ParamsError(f"{where}: {value!r} is not text; put it in quotes.")
    return tuple(values)
