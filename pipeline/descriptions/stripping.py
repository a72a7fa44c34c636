"""Descriptions without the clauses that name an emotion."""

import re

from pipeline.descriptions.grammar import Grammar

# White space follows a mark that ends a clause, but for the Chinese marks.
CLAUSE_ENDS, UNSPACED_ENDS = ",;:", "\uff0c\uff1b\uff1a\u3001"
SENTENCE_ENDS, UNSPACED_SENTENCE_ENDS = ".!?", "\u3002\uff01\uff1f"


def without_emotion(text: str, grammar: Grammar) -> str:
    """Return a description without each clause that has a word of emotion; "" if none is left.

    A clause goes from one mark of punctuation, or word of the grammar's `clause_starts`, to the
    next.

    Args:
        text: The description.
        grammar: Whose `emotion_words` and `clause_starts` are those of the text's language.
    """
    starts = "|".join(map(re.escape, grammar.clause_starts))
    clause = re.compile(
        rf"(?<=[{CLAUSE_ENDS}])\s+|(?<=[{UNSPACED_ENDS}])|\s+(?=(?:{starts})\b)", re.IGNORECASE
    )
    sentence = re.compile(rf"(?<=[{SENTENCE_ENDS}])\s+|(?<=[{UNSPACED_SENTENCE_ENDS}])")
    stripped = [(gap, _stripped(part, clause, grammar)) for gap, part in _cut(sentence, text)]
    return _joined([(gap, part) for gap, part in stripped if part])


def _stripped(sentence: str, clause: re.Pattern[str], grammar: Grammar) -> str:
    if not grammar.names_emotion(sentence):
        return sentence
    kept = [pair for pair in _cut(clause, sentence) if not grammar.names_emotion(pair[1])]
    text = _joined(kept).rstrip(CLAUSE_ENDS + UNSPACED_ENDS + " ")
    if not text:
        return ""
    ends = SENTENCE_ENDS + UNSPACED_SENTENCE_ENDS
    end = sentence[-1] if sentence[-1] in ends and text[-1] not in ends else ""
    return text[0].upper() + text[1:] + end


def _cut(edge: re.Pattern[str], text: str) -> list[tuple[str, str]]:
    """Return the parts of a text between edges, each with the white space before it."""
    parts = []
    gap, start = "", 0
    for match in edge.finditer(text.strip()):
        parts.append((gap, text.strip()[start : match.start()]))
        gap, start = match[0], match.end()
    return [pair for pair in [*parts, (gap, text.strip()[start:])] if pair[1]]


def _joined(parts: list[tuple[str, str]]) -> str:
    return "".join(gap * (place > 0) + part for place, (gap, part) in enumerate(parts))
