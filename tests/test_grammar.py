"""Grammars of descriptions: what they write they read again, and what they refuse."""

import copy
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.descriptions.grammar import Grammar
from pipeline.descriptions.slots import NUM_LEVELS, SLOTS
from pipeline.errors import ParamsError
from stages.grammars import read_grammar
from stages.params import read_yaml

ENGLISH = read_grammar("")
CONTENT: dict[str, Any] = ENGLISH.content
A_LEVEL = st.integers(0, NUM_LEVELS - 1)
SOME_LEVELS = st.dictionaries(st.sampled_from(SLOTS), A_LEVEL)


def changed(key: str, *path: Any, to: Any) -> dict[str, Any]:
    """Return the English grammar's content with one value changed."""
    content = copy.deepcopy(CONTENT)
    place = content
    for part in (key, *path)[:-1]:
        place = place[part]
    place[(key, *path)[-1]] = to
    return content


def refused(content: Any) -> str:
    with pytest.raises(ParamsError) as caught:
        Grammar.load(content, "mine.yaml")
    message = str(caught.value)
    assert message.startswith("mine.yaml: ")
    assert "\n" not in message
    return message


@given(SOME_LEVELS, st.text(), st.text(st.characters(categories=["L"]), max_size=9))
def test_every_sentence_says_its_levels_again(levels: dict[str, int], name: str, word: str) -> None:
    assert ENGLISH.levels_said(ENGLISH.sentence(levels, name, word)) == levels


@given(SOME_LEVELS, st.text())
def test_no_sentence_has_a_word_of_emotion(levels: dict[str, int], name: str) -> None:
    assert not ENGLISH.names_emotion(ENGLISH.sentence(levels, name))


def test_a_sentence_is_whole_and_follows_from_the_id_alone() -> None:
    levels = dict.fromkeys(SLOTS, 3)
    sentences = {ENGLISH.sentence(levels, f"clip {i}") for i in range(40)}
    assert len(sentences) == len(ENGLISH.templates)
    for text in sentences:
        assert re.fullmatch(r"[A-Z][^{}]*\.", text)
    assert ENGLISH.sentence(levels, "clip 1") == ENGLISH.sentence(levels, "clip 1")
    assert ENGLISH.sentence({}, "clip 1") == ""


def test_a_slot_that_was_not_measured_is_not_said() -> None:
    texts = {ENGLISH.sentence({"tone": 0, "speed": 4}, f"clip {i}") for i in range(40)}
    assert len(texts) == len(ENGLISH.templates)
    for text in texts:
        assert ENGLISH.levels_said(text) == {"tone": 0, "speed": 4}
        assert text[0].isalpha()


def test_the_word_that_stands_out_is_said_unless_it_would_mislead() -> None:
    levels = dict.fromkeys(SLOTS, 2)
    names = [f"clip {i}" for i in range(40)]
    assert all("'by'" in ENGLISH.sentence(levels, name, "by") for name in names)
    for word in ("happy", "Loud"):
        assert ENGLISH.sentence(levels, names[0], word) == ENGLISH.sentence(levels, names[0])


def test_the_first_of_two_levels_and_the_longest_phrase_count() -> None:
    said = ENGLISH.levels_said("VERY LOW pitch; later high pitch. Breakfast, slowly.")
    assert said == {"pitch": 0, "speed": 1}


def test_a_grammar_is_read_from_what_it_writes(tmp_path: Path) -> None:
    again = Grammar.load(CONTENT, "elsewhere")
    assert again == ENGLISH
    assert again.digest == ENGLISH.digest
    assert Grammar.load(changed("vowels", to="aeiou"), "mine").digest != ENGLISH.digest


def test_a_translation_without_spaces_between_words_says_its_levels_too() -> None:
    signs = map(chr, itertools.count(0x4E00))
    levels = {slot: [next(signs) for _ in range(NUM_LEVELS)] for slot in SLOTS}
    parts = [*(f"{{{slot}}}" for slot in SLOTS), "{emphasis}", "。"]
    content = {**CONTENT, "levels": levels, "templates": [parts], "emotion_words": ["悲"]}
    grammar = Grammar.load(content, "zh.yaml")
    every = {slot: i % NUM_LEVELS for i, slot in enumerate(SLOTS)}
    assert grammar.levels_said(grammar.sentence(every, "x")) == every
    assert grammar.names_emotion("他很悲伤")


def test_mistakes_are_told_by_their_place() -> None:
    assert "wanted the keys ['levels', 'templates'" in refused(["no mapping"])
    assert "found ['levels']" in refused({"levels": {}})
    assert "levels: found ['pitch']" in refused(changed("levels", to={"pitch": []}))
    four = CONTENT["levels"]["tone"][:4]
    assert "levels: tone: found 4 phrases, wanted 5" in refused(changed("levels", "tone", to=four))
    assert "levels: tone: 3 is not text" in refused(changed("levels", "tone", 0, to=3))
    assert "vowels: found ''" in refused(changed("vowels", to=""))
    assert "templates: found 'x'" in refused(changed("templates", to="x"))
    same = refused(changed("levels", "speed", 3, to="Loud"))
    assert "'Loud' stands for level 3 of energy and level 3 of speed" in same
    happy = refused(changed("levels", "tone", 4, to="happy tone"))
    assert "'happy tone' has a word of emotion_words" in happy


def test_a_template_has_each_slot_once_in_a_part_of_its_own() -> None:
    parts = CONTENT["templates"][0]
    for wrong in (
        parts[1:],
        [*parts, "{pitch}"],
        [parts[0] + parts[1], *parts[2:]],
        [*parts, "{"],
        [*parts, "{colour}"],
    ):
        assert "templates[0]: has places for" in refused(changed("templates", 0, to=wrong))


def test_a_sentence_that_would_be_read_as_other_levels_is_refused() -> None:
    hidden = changed("templates", 0, 0, to="A loud or {energy} voice")
    message = refused(hidden)
    assert "templates[0]: 'A loud or very soft voice" in message
    assert "says level 3 of energy, wanted 0" in message


def test_a_file_that_is_no_grammar_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("levels: [")
    with pytest.raises(ParamsError, match=r"mine\.yaml: is not YAML"):
        read_grammar(str(path))
    path.write_text("levels: 3")
    with pytest.raises(ParamsError, match=r"mine\.yaml: found \['levels'\], wanted the keys"):
        read_grammar(str(path))
    assert read_yaml(Path(ENGLISH.where)) == CONTENT
