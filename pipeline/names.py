"""Which texts may be part of a path: one rule for all names of a manifest, an option or a package.

Folds, corpora, systems, sweeps, predictions, heads and tasks name files and folders; none of them
can name one elsewhere.
"""

import re
from collections.abc import Iterable

from pipeline.errors import GenserError, ParamsError

# A file's name has at most 255 bytes: two names, a number and a suffix fit in.
MOST_BYTES = 80
_NAME = re.compile(r"[\w+(-](?:[\w .+()-]*[\w.+()-])?")
# Part of the format of a store, hence of fewer signs; `@` sets off an edition.
_VIEW = re.compile(r"[A-Za-z0-9_-]+")


def is_name(text: str) -> bool:
    """Say whether a text may be part of a path."""
    return bool(_NAME.fullmatch(text)) and len(text.encode()) <= MOST_BYTES


def require_names(
    where: object, names: Iterable[str], *, error: type[GenserError] = ParamsError
) -> None:
    """Refuse what may not be part of a path.

    Raises:
        GenserError: Of the kind `error`, naming the first; or that there is none.
    """
    found = list(names)
    strange = [name for name in found if not is_name(name)]
    if strange or not found:
        raise error(
            f"{where}: {_shown(strange[0]) if strange else 'nothing'} cannot name a file; use "
            f"letters, digits, spaces, '.', '+', '-', '_' and brackets, at most {MOST_BYTES} bytes."
        )


def require_view_name(where: object, name: str) -> None:
    """Refuse a name that cannot be a view's folder.

    Raises:
        ParamsError: If it is not of letters, digits, - and _, or too long.
    """
    if not _VIEW.fullmatch(name) or not is_name(name):
        raise ParamsError(
            f"{where}: {_shown(name)} is no name of a view; use letters, digits, - and _, at most "
            f"{MOST_BYTES}."
        )


def _shown(name: str) -> str:
    return repr(name if len(name) <= MOST_BYTES else f"{name[:MOST_BYTES]}...")
