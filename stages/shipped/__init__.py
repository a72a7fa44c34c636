"""The repository's parameter files and label maps, which an installed genser brings along.

The folders beside this file are links to those of the repository; a wheel holds what they lead to.
"""

from pathlib import Path

HERE = Path(__file__).parent


def shipped(path: Path) -> Path | None:
    """Return genser's own file of a path within the repository, None where it brings none.

    Args:
        path: As documentation spells it, e.g. `params/paper.yaml`.
    """
    if path.is_absolute() or ".." in path.parts:
        return None
    own = HERE / path
    return own if own.is_file() else None
