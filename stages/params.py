"""params.yaml: its sections become frozen dataclasses, strictly.

Read with ruamel (YAML 1.2, as DVC does): PyYAML would read `1e-4` as a text and `no` as False.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import ParamsError

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
    "report",
)

# The field that holds what a section says of each head, under the head's name.
HEADS = "heads"

Config = TypeVar("Config")


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file as plain Python values.

    Raises:
        ParamsError: If it is absent or not YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror}); name another.") from error
    except (YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise ParamsError(f"{path}: is not YAML ({line}); mend it.") from error


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
        return build(kind, self.content.get(name) or {}, f"{self.where}: {name}")

    def _set(self, override: str) -> None:
        from ruamel.yaml import YAML

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
        place[path[-1]] = YAML(typ="safe", pure=True).load(text)


def build(kind: type[Config], values: Any, where: str) -> Config:
    """Make a dataclass of a mapping, and of the mappings within it.

    Raises:
        ParamsError: If a key is unknown or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ParamsError(f"{where}: holds {values!r}, wanted keys and values.")
    fields = [field.name for field in dataclasses.fields(typing.cast(Any, kind))]
    heads: dict[str, type] = getattr(kind, "subsections", dict)()
    known = [name for name in fields if name != HEADS] if heads else fields
    _refuse_unknown(where, values, (*known, *heads), "keys")
    hints = typing.get_type_hints(kind)
    made: dict[str, Any] = {}
    sections: dict[str, Any] = {}
    for key, value in values.items():
        if key in heads:
            sections[key] = build(heads[key], value or {}, f"{where}.{key}")
        else:
            made[key] = _value(hints[key], value, f"{where}.{key}")
    return kind(**made, **({HEADS: sections} if heads else {}))


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


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value or {}, where)
    origin = typing.get_origin(hint)
    if origin is Mapping:
        return _mapping(typing.get_args(hint)[1], value, where)
    if origin is tuple:
        return _tuple(typing.get_args(hint)[0], value, where)
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for kind in allowed:
        # A whole number is a float; True is not a number, although Python thinks so.
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is kind:
            return value
    names = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in allowed)
    raise ParamsError(f"{where}: found {value!r}, wanted {names}.")


def _mapping(kind: Any, value: Any, where: str) -> dict[str, Any]:
    """Make a value of each key; which keys there may be is for the section to say."""
    if not isinstance(value, Mapping):
        raise ParamsError(f"{where}: found {value!r}, wanted names and what each is.")
    # YAML reads a key like 1 as a number.
    return {str(key): _value(kind, part, f"{where}.{key}") for key, part in value.items()}


def _tuple(kind: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ParamsError(f"{where}: found {value!r}, wanted a list, e.g. [2, 3].")
    return tuple(_value(kind, part, f"{where}[{i}]") for i, part in enumerate(value))


def _refuse_unknown(where: str, values: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    unknown = sorted(str(key) for key in values if key not in known)
    if unknown:
        raise ParamsError(f"{where}: has unknown {what} {unknown}; known are {list(known)}.")
