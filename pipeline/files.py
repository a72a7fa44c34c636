"""Files that are whole or absent: digests, canonical JSON and atomic publication.

A file under its final name is always complete: it is written under a temporary name in the same
folder, flushed to the disk and renamed.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import OutputError

TEMPORARY_SUFFIX = ".tmp"
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")


def sha256_bytes(data: bytes | memoryview) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal.

    Raises:
        OSError: If the file cannot be read, or is no regular one.
    """
    require_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: If the file cannot be read, or is no regular one.
    """
    require_regular(path)
    return path.read_bytes()


def require_regular(path: Path) -> None:
    """Refuse what is no file before it is opened: a pipe would be waited for, a device never ends.

    Raises:
        OSError: If it is something else, or not there.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "a pipe or a device, wanted a regular file", str(path))


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, NaN refused."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def fingerprint(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of `value`."""
    return sha256_bytes(canonical_json(value).encode())


def sealed_json(value: Mapping[str, Any]) -> bytes:
    """Return `value` as readable JSON that carries the fingerprint of the rest as `sha256`."""
    sealed = {**value, "sha256": fingerprint(dict(value))}
    return (json.dumps(sealed, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def unseal_json(data: bytes) -> dict[str, Any] | None:
    """Return what `sealed_json` wrote, without its seal; None if a byte has changed."""
    try:
        value = json.loads(data)
        if not isinstance(value, dict) or "sha256" not in value:
            return None
        seal = value.pop("sha256")
        # Re-writing must give the same bytes: white space would otherwise be outside the seal.
        is_whole = seal == fingerprint(value) and data == sealed_json(value)
    except (ValueError, RecursionError):
        # Not JSON, or what JSON can say and a seal cannot: NaN, half a surrogate pair.
        return None
    return value if is_whole else None


@contextmanager
def publish(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success flush it to the disk and rename it to `path`.

    Each temporary name is another one: two runs that write the same file never mix. Those that a
    killed run has left go with whoever holds the lock of what is written next.

    Raises:
        OutputError: If anything cannot be written; what stood at `path` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            _discard(temporary)
            raise


def clear_temporaries(folder: Path, name: str | None = None, *, below: bool = False) -> None:
    """Remove what killed runs have left half written; only for who alone writes there.

    Args:
        folder: Where to look.
        name: Of the file that was to be written; None: of any.
        below: Whether to look in all folders within, too.

    Raises:
        OutputError: If something cannot be removed.
    """
    with writing(folder):
        for path in folder.glob("**/.*" if below else ".*"):
            match = _TEMPORARY.fullmatch(path.name)
            if match and name in (None, match[1]):
                path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses while `path` is changed into one line.

    Raises:
        OutputError: Instead of any other `OSError`.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); free space or mend the folder's permissions, "
            "then run the same command again: what was finished is kept."
        ) from error


def require_writable(folder: Path) -> None:
    """Make a folder and write to it once, so that long work does not fail at its end.

    Raises:
        OutputError: If it cannot be made or written.
    """
    probe = folder / ".writable"
    publish_bytes(probe, b"")
    probe.unlink(missing_ok=True)  # another run may have had the same doubt


def publish_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises:
        OutputError: As `publish`.
    """
    with publish(path) as temporary:
        temporary.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        # The folder itself is what failed; the error under way says so.
        return
