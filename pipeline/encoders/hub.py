"""How a pretrained model is spelled: a folder of this machine, or a model of the hub.

A folder               a path; one that is not there is no such folder, and never asked of the hub
owner/name@<commit>    a model of the hub at one commit, all 40 digits of it
hf://owner/name[@rev]  a model of the hub, as it is today or at a branch, tag or commit
"""

import re
from pathlib import Path

from pipeline.errors import EncoderError

ENCODER = "extract.encoder"  # the parameter that names an encoder of speech
SPELLINGS = (
    "a folder, or a model of the hub as 'owner/name@' and its whole commit or 'hf://owner/name'"
)
PREFIX = "hf://"
_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def is_local(spelling: str) -> bool:
    """Say whether a spelling names a folder on this machine."""
    try:
        return spelling != "" and Path(spelling).is_dir()
    except OSError:  # a name too long for any folder
        return False


def hub_model(spelling: str, where: str = ENCODER) -> tuple[str, str]:
    """Return name and revision of a model of the hub.

    Args:
        spelling: What is no folder.
        where: The parameter that names it, for messages.

    Raises:
        EncoderError: If it does not say that it is of the hub.
    """
    if not spelling:
        raise EncoderError(f"{where}: names none, wanted {SPELLINGS}; set it.")
    if not spelling.startswith(PREFIX) and not _PINNED.fullmatch(spelling):
        raise EncoderError(f"{where}: {spelling}: no such folder, wanted {SPELLINGS}; name one.")
    name, _, revision = spelling.removeprefix(PREFIX).partition("@")
    return name, revision or "main"


def has_file(spelling: str, file: str = "config.json") -> bool:
    """Say whether a file of a checkpoint is in its folder or in the hub's cache."""
    from transformers.utils import cached_file

    if is_local(spelling):
        return (Path(spelling) / file).is_file()
    try:
        name, revision = hub_model(spelling)
        cached_file(name, file, revision=revision, local_files_only=True)
    except (EncoderError, OSError, ValueError):
        return False
    return True
