"""What other packages add to genser: the entry points of a group, by name.

A package says so in its pyproject.toml, e.g. under `[project.entry-points."genser.corpora"]`.
Nothing is imported before a catalogue asks, so that `--help` stays fast.
"""

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pipeline.errors import PluginError
from pipeline.names import require_names


def plugins(group: str, *, kind: type = object, taken: Collection[str] = ()) -> dict[str, Any]:
    """Return what installed packages add to a group, by name, in the order of the names.

    Args:
        group: E.g. `"genser.corpora"`.
        kind: Class that each must be an instance of.
        taken: Names that genser has itself.

    Raises:
        PluginError: If a name is taken or may not be part of a path, a package cannot be imported,
            or what it gives is of another kind.
    """
    found: dict[str, Any] = {}
    whose: dict[str, str] = dict.fromkeys(taken, "genser itself")
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        if point.name in whose:
            raise PluginError(
                f"{_where(point)}: the name {point.name!r} is taken by {whose[point.name]}; "
                "rename it there, or uninstall one of the two."
            )
        require_names(_where(point), [point.name], error=PluginError)
        whose[point.name] = _package(point)
        found[point.name] = _load(point, kind)
    return found


def _load(point: EntryPoint, kind: type) -> Any:
    try:
        loaded = point.load()
    except Exception as error:  # another's code: whatever it raises, its package is what to mend
        raise PluginError(
            f"{_where(point)}: {point.value} cannot be imported ({type(error).__name__}: {error}); "
            "mend or uninstall that package."
        ) from error
    if not isinstance(loaded, kind):
        raise PluginError(
            f"{_where(point)}: {point.value} is of the kind {type(loaded).__name__}, wanted "
            f"{kind.__module__}.{kind.__qualname__}; mend or uninstall that package."
        )
    return loaded


def _where(point: EntryPoint) -> str:
    return f"{_package(point)}, entry point {point.name!r} of {point.group}"


def _package(point: EntryPoint) -> str:
    return "a package" if point.dist is None else f"package {point.dist.name}"
