"""Parameters as heads and runs keep them: plain values by name, of which later ones leave no trace.

A parameter that is added to a section names the value at which everything is as before. There it is
not kept, so heads, runs and predictions stay what they were, to the byte; and where a file lacks
it, it has that value, whatever the default has become.
"""

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any, get_type_hints

_NEUTRAL = "neutral"


def later(default: Any, *, neutral: Any) -> Any:
    """Return the field of a parameter that older files lack.

    Args:
        default: What it is unless it is given.
        neutral: What everything was before there was such a parameter.
    """
    return field(default=default, metadata={_NEUTRAL: neutral})


def as_kept(config: Any) -> dict[str, Any]:
    """Return a dataclass as plain values by name, without later parameters that change nothing."""
    values: dict[str, Any] = {}
    for one in fields(config):
        value = getattr(config, one.name)
        if _NEUTRAL not in one.metadata or value != one.metadata[_NEUTRAL]:
            values[one.name] = _plain(value)
    return values


def filled(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `as_kept` left of a dataclass, with the neutral value of what it left out."""
    hints = get_type_hints(kind)
    whole = dict(values)
    for one in fields(kind):
        inner = whole.get(one.name)
        if is_dataclass(hints[one.name]) and isinstance(inner, Mapping):
            whole[one.name] = filled(hints[one.name], inner)
        elif one.name not in whole and _NEUTRAL in one.metadata:
            whole[one.name] = one.metadata[_NEUTRAL]
    return whole


def merged(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values over defaults, sections within sections likewise; None says nothing."""
    whole = dict(defaults)
    for key, value in values.items():
        below = whole.get(key)
        if isinstance(below, Mapping) and (value is None or isinstance(value, Mapping)):
            whole[key] = merged(below, value or {})
        else:
            whole[key] = value
    return whole


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return as_kept(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_plain(one) for one in value)
    return value
