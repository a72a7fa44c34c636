"""Clauses that name an emotion, dropped from descriptions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.descriptions.grammar import Grammar
from pipeline.descriptions.stripping import without_emotion
from stages.grammars import read_grammar

ENGLISH = read_grammar("")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "In a sad tone, a young man speaks slowly with low pitch.",
            "A young man speaks slowly with low pitch.",
        ),
        (
            "A woman with high pitch speaks rapidly, full of joy, and her volume is normal.",
            "A woman with high pitch speaks rapidly, and her volume is normal.",
        ),
        ("A man speaks fast while feeling angry!", "A man speaks fast!"),
        ("He is furious. His voice is loud.", "His voice is loud."),
        ("Happily: sadly, angrily.", ""),
        ("A loud voice at 3.5 times the speed, excited", "A loud voice at 3.5 times the speed"),
        ("A soft voice; it is low.", "A soft voice; it is low."),
    ],
)
def test_the_rest_of_a_description_stays_a_sentence(text: str, wanted: str) -> None:
    assert without_emotion(text, ENGLISH) == wanted


WORDS = ["low", "pitch,", "and", "sad", "with", "Joyful.", "a", "voice;", "calm!", "fast"]


@given(st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join))
def test_no_emotion_is_left_and_nothing_is_added(text: str) -> None:
    left = without_emotion(text, ENGLISH)
    assert not ENGLISH.names_emotion(left)
    assert without_emotion(left, ENGLISH) == left
    bare = [word.strip(",;.!").casefold() for word in text.split()]
    assert {word.strip(",;.!").casefold() for word in left.split()} <= set(bare)


def test_chinese_clauses_end_without_white_space() -> None:
    content = {**ENGLISH.content, "emotion_words": ["悲伤"]}
    grammar = Grammar.load(content, "zh")
    text = "一位青年男性\uff0c悲伤地\uff0c用低音说话\u3002"
    assert without_emotion(text, grammar) == "一位青年男性\uff0c用低音说话\u3002"
