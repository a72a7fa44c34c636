"""The one decoder of JSON and YAML: plain values in, checked dataclasses out.

A value is of its field's very type: "3" is no number, True is none either, and no number is
infinite. What a dataclass asks of its values in `__post_init__` is asked here too.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import GenserError, ParamsError
from pipeline.files import unseal_json

DEEPEST = 64  # values within values
LARGEST = 2**63  # no count, size or seed is as large

_STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
_WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "dataclass_type": "keys and values",
    "mapping_type": "names and what each is",
    "dict_type": "names and what each is",
    "tuple_type": "a list, e.g. [2, 3]",
    "list_type": "a list, e.g. [2, 3]",
}
_UNKNOWN, _MISSING = "unexpected_keyword_argument", "missing"

Kind = TypeVar("Kind")
Place = Sequence[str | int]


def typed(
    kind: type[Kind],
    value: object,
    where: object,
    *,
    section: str = "",
    error: type[GenserError] = ParamsError,
    cure: str = "mend it",
    others: bool = False,
) -> Kind:
    """Return what plain values say, as a dataclass or another type.

    Args:
        kind: What is wanted: a dataclass, or e.g. `dict[str, str]`.
        value: Texts, numbers, booleans, None, and lists and mappings of them.
        where: The file, for messages.
        section: Where in the file the value stands, e.g. `"train"`.
        error: Raised for what does not fit.
        cure: What to do then.
        others: Whether keys that a dataclass does not have are passed over: those of other
            versions of the file.

    Raises:
        GenserError: Of the kind `error`, naming the place, the value found and what was wanted;
            what a dataclass itself raises passes as it is.
    """
    above = [section] if section else []
    require_plain(value, where, section=section, error=error, cure=cure)
    try:
        found = _adapter(typing.cast(Any, kind)).validate_json(
            json.dumps([value]), extra="ignore" if others else "forbid"
        )
    except ValidationError as refused:
        told = refused.errors(include_url=False)
        own = told[0].get("ctx", {}).get("error")
        if isinstance(own, GenserError):
            raise own from None
        place, line = _line(kind, value, told)
        raise error(f"{_at(where, [*above, *place])}: {line}; {cure}.") from None
    return typing.cast(Kind, found[0])


def require_plain(
    value: object,
    where: object,
    *,
    section: str = "",
    error: type[GenserError] = ParamsError,
    cure: str = "mend it",
) -> None:
    """Refuse values that JSON would not give back as they are, and what is nested without end.

    Raises:
        GenserError: Of the kind `error`.
    """
    strange = _strange(value, [])
    if strange is not None:
        place, line = strange
        raise error(f"{_at(where, [section, *place] if section else place)}: {line}; {cure}.")


def typed_json(
    kind: type[Kind],
    data: bytes | str,
    where: object,
    *,
    error: type[GenserError] = ParamsError,
    cure: str = "mend it",
    others: bool = False,
) -> Kind:
    """Return what JSON says, as `typed` does.

    Raises:
        GenserError: Of the kind `error`.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as told:
        raise error(f"{where}: is no JSON ({told}); {cure}.") from None
    return typed(kind, value, where, error=error, cure=cure, others=others)


def unsealed(kind: type[Kind], data: bytes) -> Kind | None:
    """Return what `sealed_json` wrote of a dataclass; None if a byte, or its form, is another.

    For what is made again where it is damaged.
    """
    value = unseal_json(data)
    if value is None:
        return None
    try:
        return typed(kind, value, "")
    except GenserError:
        return None


def require_seed(where: str, seed: int) -> None:
    """Refuse a seed that not every generator of random numbers takes.

    Raises:
        ParamsError: If it is not of 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise ParamsError(f"{where}: found {seed}, wanted 0 to 2**32 - 1; choose another seed.")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # A dataclass takes the settings of what it stands in, and has none of its own here.
    return TypeAdapter(tuple[kind], config=_STRICT)


def _strange(value: object, place: Place) -> tuple[Place, str] | None:
    """Return where and what is no plain value, None if everything is."""
    if len(place) > DEEPEST:
        return place[:3], f"found values {DEEPEST} deep and deeper, wanted fewer"
    if isinstance(value, dict):
        for key, part in value.items():
            # YAML reads a key like 1 as a number; its digits are the text.
            is_text = isinstance(key, str) or (type(key) is int and str(key) not in value)
            if not is_text:
                return place, f"found the key {_shown(key)}, wanted text: put it in quotes"
            name = str(key)
            if found := _strange(name, [*place, name]) or _strange(part, [*place, name]):
                return found
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            if found := _strange(part, [*place, i]):
                return found
    elif isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return place, f"found {value!r}, wanted text of whole characters"
    elif isinstance(value, int) and abs(value) >= LARGEST:
        return place, f"found {_shown(value)}, wanted a number below 2^63"
    elif not (value is None or isinstance(value, int | float)):
        return place, f"found {_shown(value)}, wanted text or a number: put it in quotes"
    return None


def _line(kind: Any, value: object, told: Sequence[ErrorDetails]) -> tuple[Place, str]:
    """Return the place of the first mistake and what is wrong there."""
    unknown = [one for one in told if one["type"] == _UNKNOWN]
    first = (unknown or told)[0]
    if unknown:
        place: Place = first["loc"][1:-1]
        names = sorted(str(one["loc"][-1]) for one in unknown if one["loc"][1:-1] == place)
        known = [field.name for field in dataclasses.fields(_kind_at(kind, place))]
        return place, f"has unknown keys {names}, known are {known}"
    if first["type"] == _MISSING:
        return first["loc"][1:-1], f"found no {first['loc'][-1]!r}, wanted one"
    place = _existing(value, first["loc"][1:])
    wanted = dict.fromkeys(
        _WANTED.get(one["type"], one["msg"].removeprefix("Input should be "))
        for one in told
        if _existing(value, one["loc"][1:]) == place
    )
    return place, f"found {_shown(first['input'])}, wanted {' or '.join(wanted)}"


def _existing(value: Any, place: Place) -> Place:
    """Return as much of a place as there is: the names of a union's types are no part of it."""
    for i, part in enumerate(place):
        try:
            value = value[part]
        except (KeyError, TypeError):
            return place[:i]
    return place


def _kind_at(kind: Any, place: Place) -> Any:
    """Return the dataclass that stands at a place within another type."""
    for part in place:
        if dataclasses.is_dataclass(kind):
            kind = typing.get_type_hints(kind)[str(part)]
        else:  # a mapping, or a list, of one kind
            kind = [k for k in typing.get_args(kind) if k is not Ellipsis][-1]
        if isinstance(kind, types.UnionType):
            kind = next(k for k in typing.get_args(kind) if k is not types.NoneType)
    return kind


def _at(where: object, place: Place) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return f"{where}: {path.removeprefix('.')}" if path else str(where)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
