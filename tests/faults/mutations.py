"""What can be wrong with a text, and with what JSON or YAML says."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_WORD = re.compile(r"[\w./-]+")
_NEST = 5_000

# What stands where something else is wanted.
TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "1e999",
    ".nan",
    "-.inf",
    "null",
    "true",
    "9" * 40,
    "1_000",
    "2026-13-45",
    "../../../etc/passwd",
    "/dev/zero",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    r"$\frac{$",
    "{k}",
    "%s%n",
    "\x00",
    "\ufeff",
    "\u202eabc",
    "\ud800",
    "e\u0301" * 50,
    "x" * 100_000,
    "'",
    '"',
    '"\n"',
    "\r",
    "\t",
    ",",
    ",,,,",
    ":",
    "- ",
    "? ",
    "#",
    "&a [*a, *a]",
    "*a",
    "!!python/object/apply:os.system [id]",
    "!!float x",
    "!!timestamp 2026-99-99",
    "[" * _NEST,
    "{" * _NEST,
    "a: " * _NEST,
    "- " * _NEST,
)
VALUES = (
    None,
    True,
    0,
    -1,
    3,
    1e308,
    -0.5,
    2**31,
    2**63,
    10**30,
    float("nan"),
    float("inf"),
    *TEXTS[:40],
    [],
    {},
    [[]],
    [None],
    ["x"] * 10_000,
    {"": ""},
    {"x": {"x": {"x": 0}}},
    [1, "1", None],
)


def mutated(text: str, generator: np.random.Generator) -> bytes:
    """Change a text at one to three places, and perhaps how it is encoded."""
    for _ in range(int(generator.integers(1, 4))):
        change = CHANGES[int(generator.integers(len(CHANGES)))]
        text = change(text, generator)
    encoding = ("utf-8",) * 12 + ("utf-16", "utf-8-sig", "latin-1", "utf-32")
    chosen = encoding[int(generator.integers(len(encoding)))]
    return text.encode(chosen, errors="surrogatepass" if chosen != "latin-1" else "replace")


def other(value: Any, generator: np.random.Generator) -> Any:
    """Return what JSON says with one part of it another, gone, or more."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    inside, key = places[int(generator.integers(len(places)))]
    what = int(generator.integers(8))
    if what == 0:
        del inside[key]
    elif what == 1 and isinstance(inside, dict):
        inside[_text(generator)] = inside.pop(key)
    elif what == 2 and isinstance(inside, list):
        inside.append(inside[key])
    elif what == 3:
        there, at = places[int(generator.integers(len(places)))]
        inside[key] = copy.deepcopy(there[at])
    else:
        inside[key] = copy.deepcopy(VALUES[int(generator.integers(len(VALUES)))])
    return value


def written(value: Any) -> bytes:
    """Return any value as JSON, what JSON has no name for too."""
    return json.dumps(value).encode()


def _text(generator: np.random.Generator) -> str:
    return TEXTS[int(generator.integers(len(TEXTS)))]


def _places(value: Any) -> Any:
    """Yield every list or mapping within a value, with each index or key of it."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _words(text: str, generator: np.random.Generator) -> str:
    found = list(_WORD.finditer(text))
    if not found:
        return text + _text(generator)
    one = found[int(generator.integers(len(found)))]
    return text[: one.start()] + _text(generator) + text[one.end() :]


def _insert(text: str, generator: np.random.Generator) -> str:
    place = int(generator.integers(len(text) + 1))
    return text[:place] + _text(generator) + text[place:]


def _character(text: str, generator: np.random.Generator) -> str:
    place = int(generator.integers(len(text) + 1))
    return text[:place] + chr(int(generator.integers(1, 0xD7FF))) + text[place + 1 :]


def _cut(text: str, generator: np.random.Generator) -> str:
    return text[: int(generator.integers(len(text) + 1))]


def _lines(text: str, generator: np.random.Generator) -> str:
    lines = text.splitlines(keepends=True) or [""]
    one, two = (int(i) for i in generator.integers(len(lines), size=2))
    what = int(generator.integers(4))
    if what == 0:
        del lines[one]
    elif what == 1:
        lines.insert(two, lines[one])
    elif what == 2:
        lines[one], lines[two] = lines[two], lines[one]
    else:
        lines[one] = "  " + lines[one]
    return "".join(lines)


def _line_ends(text: str, generator: np.random.Generator) -> str:
    return text.replace("\n", ("\r\n", "\r", "\n\n", "\x85")[int(generator.integers(4))])


CHANGES: tuple[Callable[[str, np.random.Generator], str], ...] = (
    _words,
    _words,
    _words,
    _insert,
    _character,
    _cut,
    _lines,
    _lines,
    _line_ends,
)
