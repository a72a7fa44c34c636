"""The files of a trained head: `head.json`, which names the others and has their digests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from pipeline.errors import HeadError
from pipeline.files import read_bytes, sha256_bytes, sha256_file, unseal_json
from pipeline.heads.record import CURE, HeadRecord, read_record
from pipeline.names import is_name
from pipeline.typed import typed

DESCRIPTION = "head.json"
_WEIGHTS = re.compile(r"weights-[0-9a-f]{12}\.safetensors")


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """The file of a head's tensors, and its digest."""

    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class _Files:
    """What `head.json` says beside the record: the tensors' file, and digests of those beside."""

    weights: _Weights
    files: dict[str, str]


def read_description(folder: Path) -> dict[str, Any]:
    """Return the content of `head.json`.

    Raises:
        HeadError: If there is no head, or its description is damaged.
    """
    path = folder / DESCRIPTION
    try:
        data = read_bytes(path)
    except OSError as error:
        raise HeadError(
            f"{folder}: no trained head there ({error.strerror}); make one with 'genser train'."
        ) from error
    value = unseal_json(data)
    if value is None:
        raise HeadError(f"{path}: damaged, its digest does not match; train the head again.")
    return value


def read_head_record(folder: Path) -> HeadRecord:
    """Return what a trained head says of itself, without its tensors.

    Raises:
        HeadError: If there is no head, or its description is damaged or of another version.
    """
    return read_record(folder / DESCRIPTION, read_description(folder))


def read_weights(folder: Path, description: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return a head's tensors after holding them to their digest.

    Raises:
        HeadError: If the file is absent or damaged.
    """
    told = _files(folder, description).weights
    path = folder / told.file
    try:
        data = read_bytes(path)
    except OSError as error:
        raise HeadError(f"{path}: cannot be read ({error.strerror}); train again.") from error
    found, wanted = sha256_bytes(data), told.sha256
    if found != wanted:
        raise HeadError(
            f"{path}: damaged, found digest {found[:12]}, {DESCRIPTION} says {wanted[:12]}; "
            "train the head again."
        )
    try:
        return load_tensors(data)
    except (SafetensorError, ValueError) as error:
        raise HeadError(f"{path}: holds no tensors ({error}); {CURE}.") from error


def _files(folder: Path, description: Mapping[str, Any]) -> _Files:
    where = folder / DESCRIPTION
    told = typed(_Files, description, where, error=HeadError, cure=CURE, others=True)
    # A file elsewhere is never opened: not even its digest is anybody's business.
    strange = [name for name in told.files if not is_name(name)]
    strange += [told.weights.file] * (not _WEIGHTS.fullmatch(told.weights.file))
    if strange:
        raise HeadError(f"{where}: names {strange[0]!r}, no file of a head; do not use it.")
    return told


def file_names(folder: Path, description: Mapping[str, Any]) -> list[str]:
    """Return the files of a head beside its description.

    Raises:
        HeadError: If it is of another form, or names a file elsewhere.
    """
    told = _files(folder, description)
    return [told.weights.file, *told.files]


def read_beside(folder: Path, name: str, *, most_bytes: int) -> bytes:
    """Return a file that goes with a head, held to its digest.

    Raises:
        HeadError: If the head has none, it is damaged, or larger than it can be.
    """
    wanted = _files(folder, read_description(folder)).files.get(name)
    path = folder / name
    if wanted is not None and path.is_file() and path.stat().st_size > most_bytes:
        raise HeadError(
            f"{path}: found {path.stat().st_size} bytes, wanted at most {most_bytes}; {CURE}."
        )
    try:
        data = read_bytes(path)
    except OSError:
        data = b""
    if wanted is None or sha256_bytes(data) != wanted:
        raise _damaged(path)
    return data


def verify_head(folder: Path) -> None:
    """Hold every file of a head to its digest.

    Raises:
        HeadError: Naming the first that is absent or damaged.
    """
    description = read_description(folder)
    read_record(folder / DESCRIPTION, description)
    read_weights(folder, description)
    for name, wanted in _files(folder, description).files.items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != wanted:
            raise _damaged(path)


def _damaged(path: Path) -> HeadError:
    return HeadError(
        f"{path}: absent or damaged, its digest is not the one in {DESCRIPTION}; train the head "
        "again."
    )
