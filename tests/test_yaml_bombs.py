"""A text of YAML that stands for far more than it says is refused before it is read."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from helpers.commands import refused
from pipeline.errors import ParamsError
from pipeline.typed import DEEPEST
from stages.params import LONGEST_YAML, MOST_VALUES, parse_yaml, read_yaml


def nested(line: str, levels: int) -> str:
    """Each level has nine aliases of the one below; `line` says how it takes them in."""
    text = "l0: &l0 {x: 1, y: 2}\n"
    for level in range(1, levels):
        text += line.format(level, ",".join([f"*l{level - 1}"] * 9)) + "\n"
    return text


BOMBS = {
    "lists": nested("l{0}: &l{0} [{1}]", 9),
    "merged": nested("l{0}: &l{0} {{<<: [{1}]}}", 9),
    "keys": nested("l{0}: &l{0} {{a: [{1}], b: [{1}]}}", 8),
    "within itself": "a: &a [1, *a]\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_nested_aliases_are_refused_in_one_line_and_little_memory(name: str) -> None:
    text = BOMBS[name]
    assert len(text) < 800
    tracemalloc.start()
    with pytest.raises(ParamsError) as caught:
        parse_yaml(text, "here")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6
    assert str(caught.value).startswith(f"here: its aliases make more than {MOST_VALUES} values")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["[", "{a: ", "- ", "? ", "[[],"])
def test_what_is_nested_without_end_is_refused_before_the_parser_is_at_its_end(part: str) -> None:
    # It took the parser 77 s of 3,000 brackets, and four times as long of twice as many.
    with pytest.raises(ParamsError, match=f"here: found values {DEEPEST} deep and deeper"):
        parse_yaml(part * 60_000, "here")
    assert parse_yaml("[" * DEEPEST + "]" * DEEPEST, "here")


def test_a_file_with_a_bomb_is_refused_by_every_command(here, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.yaml"
    bomb.write_text(f"train:\n  head: genser\nreport: {{}}\n{BOMBS['lists']}")
    assert "its aliases make more than" in refused("--params", bomb, "inspect", "head")
    manifest = tmp_path / "m.csv"
    manifest.write_bytes(Path("demo.csv").read_bytes())
    (tmp_path / "label_maps").mkdir()
    bomb.rename(tmp_path / "label_maps" / "emotion.yaml")
    assert "its aliases make more than" in refused("validate", manifest)
    words = ["crossval", "demo.csv", "--store", "store", "--heads", "", "--out", tmp_path / "cv"]
    trials = tmp_path / "label_maps" / "emotion.yaml"
    assert "its aliases make more than" in refused(*words, "--variant", trials)


def test_an_endless_file_is_not_opened_and_a_long_one_read_to_its_bound(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"cannot be read \(a pipe or a device, wanted a regular"):
        read_yaml(Path("/dev/zero"))
    (tmp_path / "long.yaml").write_text("#" * (LONGEST_YAML + 1))
    with pytest.raises(ParamsError, match=f"is longer than {LONGEST_YAML} characters; make it"):
        read_yaml(tmp_path / "long.yaml")


VALUES = st.recursive(
    st.integers(0, 9) | st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=20,
)


@given(VALUES, VALUES)
def test_plain_aliases_mean_what_they_always_did(first, second) -> None:
    text = f"a: &one {first!r}\nb: {second!r}\nc: *one\nd: [*one, &two {second!r}, *two]\n"
    assert parse_yaml(text, "here") == YAML(typ="safe", pure=True).load(text)
