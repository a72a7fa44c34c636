"""Heads in repositories of the hub: pushed whole, and fetched at one commit.

A repository holds what a head's folder holds, with a model card as README.md. Nothing that it
brings is run: a head is JSON and tensors, held to their digests when it is loaded.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.encoders.hub import hub_model
from pipeline.errors import HeadError
from pipeline.heads.folder import DESCRIPTION, file_names, read_description, verify_head

CARD = "README.md"


def fetch_head(spelling: str) -> Path:
    """Return the folder of the hub's cache with a head, all its files of one commit.

    Args:
        spelling: `hf://OWNER/NAME`, as it is today, or with `@` and a branch, tag or commit.

    Raises:
        HeadError: If it is not to be had, or is no head.
    """
    name, revision = hub_model(spelling, "--head")
    with _mendable(spelling):
        found = Path(_download(name, DESCRIPTION, revision))
        folder = found.parent  # named by its commit
        for file in file_names(folder, read_description(folder)):
            _download(name, file, folder.name)
    return folder


def push_head(folder: Path, repository: str, card: str, *, private: bool) -> str:
    """Put a head and its card into a repository, as one commit; return that commit's address.

    Args:
        folder: Of the head.
        repository: `OWNER/NAME`; made if it is not there.
        card: Its README.md.
        private: Whether a repository that is made is for its owner alone.

    Raises:
        HeadError: If the head is damaged, or the hub does not take it.
    """
    from huggingface_hub import HfApi

    verify_head(folder)
    description = read_description(folder)
    with TemporaryDirectory() as place, _mendable(repository):
        for file in (DESCRIPTION, *file_names(folder, description)):
            shutil.copyfile(folder / file, Path(place, file))
        Path(place, CARD).write_text(card, "utf-8")
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=place,
            commit_message=f"A {description['kind']} head of genser",
            # Weights of earlier heads have other names.
            delete_patterns="weights-*.safetensors",
        )
    return str(done.commit_url)


def _download(name: str, file: str, revision: str) -> str:
    from huggingface_hub import hf_hub_download

    return hf_hub_download(name, file, revision=revision)


@contextmanager
def _mendable(what: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    http: Any = HfHubHTTPError.__mro__[1]  # of whichever HTTP library the hub's client is built on
    known: Any = (http, HFValidationError, LocalEntryNotFoundError, OSError)
    try:
        yield
    except HeadError:
        raise
    except known as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise HeadError(
            f"{what}: the hub does not answer as wanted ({reason.strip()}); see that the name is "
            "right, the hub reachable, and that 'hf auth login' was done where it is private."
        ) from error
