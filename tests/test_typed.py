"""One decoder of JSON and YAML: what it lets in, and where it says that something is wrong."""

import datetime
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.files import sealed_json
from pipeline.typed import DEEPEST, typed, unsealed
from stages.params import parse_yaml


@dataclass(frozen=True, kw_only=True)
class Part:
    rate: float = 0.5
    name: str | None = None

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ParamsError(f"part.rate: {self.rate} is below 0.")


@dataclass(frozen=True, kw_only=True)
class Whole:
    steps: int
    sizes: tuple[int, ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    one: Part = field(default_factory=Part)
    either: int | str = 0


WHOLE = Whole(steps=3, sizes=(1, 2), parts={"a": Part(rate=1.0, name="b")}, either="x")


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_what_a_dataclass_says_comes_back() -> None:
    assert typed(Whole, json.loads(json.dumps(asdict(WHOLE))), "f") == WHOLE
    assert unsealed(Whole, sealed_json(asdict(WHOLE))) == WHOLE


def test_a_whole_number_is_a_number_too() -> None:
    assert typed(Whole, {"steps": 1, "one": {"rate": 2}}, "f").one.rate == 2.0


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ([], "f: s: found [], wanted keys and values; mend it."),
        ({}, "f: s: found no 'steps', wanted one; mend it."),
        ({"steps": "3"}, "f: s.steps: found '3', wanted a whole number; mend it."),
        ({"steps": True}, "f: s.steps: found True, wanted a whole number; mend it."),
        ({"steps": 3.0}, "f: s.steps: found 3.0, wanted a whole number; mend it."),
        ({"steps": 2**63}, f"f: s.steps: found {2**63}, wanted a number below 2^63; mend it."),
        (
            {"steps": 1, "sizes": [1, "x"]},
            "f: s.sizes[1]: found 'x', wanted a whole number; mend it.",
        ),
        ({"steps": 1, "sizes": 2}, "f: s.sizes: found 2, wanted a list, e.g. [2, 3]; mend it."),
        (
            {"steps": 1, "parts": {"a": {"rate": float("inf")}}},
            "f: s.parts.a.rate: found inf, wanted a finite number; mend it.",
        ),
        (
            {"steps": 1, "parts": {"a": {"rat": 1}}},
            "f: s.parts.a: has unknown keys ['rat'], known are ['rate', 'name']; mend it.",
        ),
        ({"steps": 1, "one": {"name": 3}}, "f: s.one.name: found 3, wanted text; mend it."),
        ({"steps": 1, "one": None}, "f: s.one: found None, wanted keys and values; mend it."),
        (
            {"steps": 1, "either": 2.5},
            "f: s.either: found 2.5, wanted a whole number or text; mend it.",
        ),
        ({"steps": 1, "one": {"rate": -1}}, "part.rate: -1.0 is below 0."),
        (
            {"steps": 1, "either": datetime.date(2020, 1, 2)},
            "f: s.either: found datetime.date(2020, 1, 2), wanted text or a number: put it in "
            "quotes; mend it.",
        ),
        (
            {"steps": 1, "either": "\ud800"},
            "f: s.either: found '\\ud800', wanted text of whole characters; mend it.",
        ),
        ({"steps": 1, True: 2}, "f: s: found the key True, wanted text: put it in quotes"),
        ({"steps": 1, "1": 1, 1: 2}, "f: s: found the key 1, wanted text: put it in quotes"),
        ({"steps": nested(3000)}, f"f: s.steps[0][0]: found values {DEEPEST} deep and deeper"),
        ({"steps": "y" * 3000}, f"f: s.steps: found '{'y' * 76}..., wanted a whole number"),
    ],
)
def test_what_does_not_fit_is_said_by_place_and_kind(value: object, line: str) -> None:
    with pytest.raises(ParamsError) as refusal:
        typed(Whole, value, "f", section="s")
    assert str(refusal.value).startswith(line)


def test_the_error_and_the_cure_are_those_of_the_file() -> None:
    with pytest.raises(FeatureStoreError, match=r"^f: steps: found 'x', .*; extract again\.$"):
        typed(Whole, {"steps": "x"}, "f", error=FeatureStoreError, cure="extract again")


def test_keys_of_other_versions_are_passed_over_where_asked() -> None:
    value = {"steps": 1, "old": 2, "one": {"older": 3}}
    assert typed(Whole, value, "f", others=True) == Whole(steps=1)
    with pytest.raises(ParamsError, match="unknown keys"):
        typed(Whole, value, "f")


def test_what_is_sealed_and_of_another_form_is_nothing() -> None:
    assert unsealed(Whole, sealed_json({"steps": "x"})) is None
    assert unsealed(Whole, sealed_json({"steps": 1, "other": 2})) is None
    assert unsealed(Whole, b"[" * 100_000) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers() | st.sampled_from(["steps", "one"]), inner)
    ),
)


@given(anything)
def test_any_value_is_taken_or_refused(value: object) -> None:
    with suppress(ParamsError):
        typed(Whole, value, "f")


@pytest.mark.parametrize(
    "text",
    ["[", "*a", "!!int x", "!!bool x", "2020-13-45", "--- a\n--- b", "[" * 9000, "9" * 5000,
     "&a [*a]", "&a {x: *a}", "? [a]", "{a: 1, a: 2}", "!!python/object:os.system ls", "\0"],
)  # fmt: skip
def test_what_is_no_yaml_is_one_line(text: str) -> None:
    with pytest.raises(ParamsError, match=r"^-S x: [^\n]*; [^\n]*\.$"):
        parse_yaml(text, "-S x")
