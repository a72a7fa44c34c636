"""params.yaml: its sections become frozen dataclasses, strictly.

Read with ruamel (YAML 1.2, as DVC does): PyYAML would read `1e-4` as a text and `no` as False.
"""

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.errors import ParamsError
from pipeline.files import require_regular
from pipeline.typed import DEEPEST, require_plain, typed
from stages.precisions import with_precisions
from stages.shipped import shipped

SECTIONS = (
    "prepare",
    "transcribe",
    "describe",
    "extract",
    "ingest",
    "tokenise",
    "embed",
    "train",
    "finetune",
    "score",
    "segments",
    "report",
)

# The field that holds what a section says of each head, under the head's name.
HEADS = "heads"

# A few hundred bytes of nested aliases can stand for gigabytes.
LONGEST_YAML = 500_000  # characters
MOST_VALUES = 100_000

Config = TypeVar("Config")


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file as plain Python values.

    Where it is not there and genser brings a file of that path along, that one is read.

    Raises:
        ParamsError: If it is absent or not YAML.
    """
    if not path.exists() and (own := shipped(path)):
        _tell_once(f"note: {path} is not here; the one that genser brings along is read.")
        path = own
    try:
        require_regular(path)
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST_YAML + 1)
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror}); name another.") from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: is not YAML ({error}); mend it.") from error
    return parse_yaml(text, path)


def _tell_once(line: str) -> None:
    """Say a line on standard error, once in a call: several trials may stand on one file."""
    context = click.get_current_context(silent=True)
    told = set() if context is None else context.find_root().meta.setdefault("told", set())
    if line not in told:
        told.add(line)
        click.echo(line, err=True)


def parse_yaml(text: str, where: object) -> Any:
    """Return what a text of YAML says as plain Python values.

    Raises:
        ParamsError: If it is not YAML, or says what JSON cannot.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > LONGEST_YAML:
        raise ParamsError(f"{where}: is longer than {LONGEST_YAML} characters; make it shorter.")
    reader = YAML(typ="safe", pure=True)
    try:
        if _num_values(reader.parse(text), where) > MOST_VALUES:
            raise ParamsError(
                f"{where}: its aliases make more than {MOST_VALUES} values of it; write out what "
                "is meant."
            )
        value = reader.load(text)
    except ParamsError:
        raise
    except (YAMLError, ValueError, KeyError, RecursionError) as error:
        # All but the first: what has the tag or the look of a number or a date, and is none.
        line = " ".join(str(error).split())
        raise ParamsError(f"{where}: is not YAML ({line}); mend it.") from error
    require_plain(value, where)
    return value


def _num_values(events: Iterable[Any], where: object) -> float:
    """Return how many values a text of YAML is with its aliases written out.

    Raises:
        ParamsError: If it is nested without end, which takes the parser minutes.
    """
    anchored: dict[str, float] = {}
    above: list[tuple[str | None, float]] = []
    anchor, size = None, 0.0  # of what is being read, and how many values are in it so far
    for event in events:
        kind = type(event).__name__
        if kind == "AliasEvent":
            # An alias of what it stands in has no end.
            size += anchored.get(event.anchor, math.inf)
        elif kind == "ScalarEvent":
            size += 1
            anchored[event.anchor or ""] = 1
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            above.append((anchor, size))
            if len(above) > DEEPEST:
                raise ParamsError(
                    f"{where}: found values {DEEPEST} deep and deeper, wanted fewer; mend it."
                )
            anchor, size = event.anchor, 1.0
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            anchored[anchor or ""] = size
            anchor, around = above.pop()
            size += around
    return size


class Params:
    """The parameters of one call: a file and what `-S` sets over it.

    Attributes:
        path: The file; None for defaults alone.
        where: Its name, for messages.
        overrides: What `-S` gave.
    """

    def __init__(self, path: Path | None, overrides: Sequence[str]) -> None:
        self.path = path
        self.where = str(path) if path else "parameters"
        self.overrides = tuple(overrides)
        content = (read_yaml(path) or {}) if path else {}
        if not isinstance(content, dict):
            raise ParamsError(f"{self.where}: holds {type(content).__name__}, wanted sections.")
        _refuse_unknown(self.where, content, SECTIONS, "sections")
        self.content: dict[str, Any] = content
        for override in overrides:
            self._set(override)

    def section(self, name: str, kind: type[Config]) -> Config:
        """Return a section as its dataclass; what it does not name keeps its default.

        Raises:
            ParamsError: If a key is unknown, of the wrong type, or out of range.
        """
        values = with_precisions(self.content.get(name))
        values = {} if values is None else values
        complete = getattr(kind, "completed", None)
        if complete and isinstance(values, dict):
            values = complete(values)
        return _build(kind, values, self.where, name)

    def _set(self, override: str) -> None:
        key, equals, text = override.partition("=")
        path = key.split(".")
        if not equals or len(path) < 2 or path[0] not in SECTIONS:
            raise ParamsError(
                f"-S {override}: wanted section.key=value with a section of {list(SECTIONS)}."
            )
        place = self.content
        for part in path[:-1]:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[path[-1]] = parse_yaml(text, f"-S {key}")


def _build(kind: type[Config], values: Any, where: str, name: str) -> Config:
    """Make the dataclass of a section, and of the sections of heads within it."""
    heads: Mapping[str, type] = getattr(kind, "subsections", dict)()
    if not heads or not isinstance(values, dict):
        return typed(kind, _with_empty(kind, values), where, section=name)
    known = [field.name for field in dataclasses.fields(typing.cast(Any, kind))]
    known = [*(key for key in known if key != HEADS), *heads]
    _refuse_unknown(f"{where}: {name}", values, known, "keys")
    sections: dict[str, Any] = {
        head: _build(heads[head], values[head] or {}, where, f"{name}.{head}")
        for head in values
        if head in heads
    }
    own = {key: value for key, value in values.items() if key not in heads}
    made = typed(kind, _with_empty(kind, own), where, section=name)
    whole: Config = dataclasses.replace(typing.cast(Any, made), **{HEADS: sections})
    return whole


def _with_empty(kind: Any, values: Any) -> Any:
    """Return a section with {} for each one within that says nothing, its keys commented out."""
    if dataclasses.is_dataclass(kind) and values is None:
        return {}
    if not isinstance(values, dict):
        return values
    hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
    within = typing.get_args(kind)[1] if typing.get_origin(kind) is Mapping else None
    return {key: _with_empty(hints.get(key, within), value) for key, value in values.items()}


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Read different whole numbers between commas.

    Raises:
        ParamsError: If it is something else.
    """
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ParamsError(f"{option} {text}: wanted whole numbers, e.g. 0,1,2.") from error
    if len(set(found)) < len(found):
        raise ParamsError(f"{option} {text}: names one twice.")
    return found


def _refuse_unknown(where: str, values: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    unknown = sorted(str(key) for key in values if key not in known)
    if unknown:
        raise ParamsError(f"{where}: has unknown {what} {unknown}; known are {list(known)}.")
