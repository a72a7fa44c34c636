"""Stores on object storage: copied there and back by fsspec, and read from there.

Immutable shards go first and `store.json`, the commit point, last, so what is there is a whole
store or none; files that are there with the right digest are not sent again.
"""

import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import stat_result
from pathlib import Path, PurePosixPath
from typing import Any, cast

from pipeline.errors import FeatureStoreError, OutputError
from pipeline.files import publish_bytes, read_bytes, sha256_bytes
from pipeline.progress import Reporter
from pipeline.store.commit import commit
from pipeline.store.contents import CONTENTS, Contents, checked_bytes, contents_bytes, read_contents
from pipeline.store.reader import FeatureStore
from pipeline.store.turns import enter_turn

AT_ONCE = 8  # files on their way; storage answers slowly and to many at once


class RemotePath:
    """A file or folder of object storage, as far as a store's reader asks for one.

    Args:
        url: As fsspec spells it: s3://BUCKET/FOLDER, gs://, az://, memory://, file://, ...

    Raises:
        FeatureStoreError: If there is no such kind of storage, or its package is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        try:
            self._system, self._path = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise FeatureStoreError(
                f"{url}: cannot be opened ({error}); s3:// wants the extra 'remote', others their "
                "own package of fsspec."
            ) from error

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(f"{self.url}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(self._path).name

    def exists(self) -> bool:
        """Say whether it is there."""
        return bool(self._asked(self._system.exists))

    def stat(self) -> stat_result:
        """Say that it is a file.

        Raises:
            FileNotFoundError: If it is not there.
        """
        info = self._asked(self._system.info)
        kind = stat.S_IFDIR if info["type"] == "directory" else stat.S_IFREG
        return stat_result((kind, 0, 0, 0, 0, 0, info["size"] or 0, 0, 0, 0))

    def read_bytes(self) -> bytes:
        """Return its content."""
        return bytes(self._asked(self._system.cat_file))

    def write_bytes(self, data: bytes) -> None:
        """Replace its content."""
        if "/" in self._path:
            self._system.makedirs(self._path.rpartition("/")[0], exist_ok=True)
        self._asked(self._system.pipe_file, data)

    def _asked(self, how: Callable[..., Any], *more: object) -> Any:
        try:
            return how(self._path, *more)
        except OSError:
            raise
        except Exception as error:  # each storage has its own: no credentials, no such host, ...
            raise OSError(None, f"{type(error).__name__}: {error}") from error


def remote(url: str) -> Path:
    """Return a URL as far as it can stand for a store's folder: it is read as one, never written.

    Raises:
        FeatureStoreError: As `RemotePath`.
    """
    return cast("Path", RemotePath(url))


def open_remote(url: str) -> FeatureStore:
    """Open the store at a URL for reading; each shard is fetched when a clip of it is asked for.

    Raises:
        FeatureStoreError: If there is none, or its `store.json` is damaged.
    """
    return FeatureStore.open(remote(url))


def push(root: Path, url: str, *, reporter: Reporter, replace: bool = False) -> int:
    """Copy a store to a URL; stopped at any moment it goes on where it was.

    Args:
        root: The store's folder.
        url: Where to, as fsspec spells it.
        reporter: Hears of files.
        replace: Whether another store that is there may be overwritten.

    Returns:
        How many files were sent.

    Raises:
        FeatureStoreError: If the store is damaged, or another one is there.
        OutputError: If the URL cannot be written.
    """
    contents = read_contents(root)
    if contents is None:
        raise FeatureStoreError(f"{root}: no feature store there (no {CONTENTS}).")
    there = RemotePath(url)
    standing = _contents_at(url, is_kept=not replace)
    other = [
        name
        for name, digest in standing.digests.items()
        if name.endswith(".h5") and contents.digests.get(name, digest) != digest
    ]
    if other and not replace:
        raise FeatureStoreError(
            f"{url}: holds another store ({other[0]} has digest "
            f"{standing.digests[other[0]][:12]}, here {contents.digests[other[0]][:12]}); push to "
            "another URL, or give --replace."
        )

    def send(name: str) -> int:
        digest = contents.digests[name]
        is_new = standing.digests.get(name) != digest and _digest_at(remote(url) / name) != digest
        if is_new:
            _written(there / name, checked_bytes(root, name, contents))
        return int(is_new)

    shards, tables = _in_order(contents)
    reporter.begin(len(contents.digests) + 1)
    # Tables change names' meaning: only once every shard that they name is there.
    sent = _side_by_side(send, shards, reporter) + _side_by_side(send, tables, reporter)
    if sent or standing != contents:
        _written(there / CONTENTS, contents_bytes(contents))
        sent += 1
    reporter.advance(1)
    return sent


def pull(url: str, root: Path, *, reporter: Reporter) -> int:
    """Copy a store from a URL; stopped at any moment it goes on where it was.

    Args:
        url: Where from, as fsspec spells it.
        root: The folder to make, or to bring up to date.
        reporter: Hears of files.

    Returns:
        How many files were fetched.

    Raises:
        FeatureStoreError: If there is no store, it is damaged, or another one stands in `root`.
        OutputError: If `root` cannot be written.
    """
    there = remote(url)
    contents = _contents_at(url, is_kept=True)
    if not contents.digests:
        raise FeatureStoreError(f"{url}: no feature store there (no {CONTENTS}).")
    shards, tables = _in_order(contents)
    with enter_turn(root):
        standing = read_contents(root) or Contents()
        for name in {*shards, *(n for n in standing.digests if n.endswith(".h5"))}:
            found = standing.digests.get(name) or _digest_at(root / name)
            if found and contents.digests.get(name) != found:
                raise FeatureStoreError(
                    f"{root / name}: is not of the store at {url}; pull into another folder."
                )

        def fetch(name: str) -> int:
            if _digest_at(root / name) == contents.digests[name]:
                return 0
            publish_bytes(root / name, _checked(there, name, contents))
            return 1

        reporter.begin(len(contents.digests) + 1)
        fetched = _side_by_side(fetch, shards, reporter)
        if standing != contents:
            commit(root, contents, {name: _checked(there, name, contents) for name in tables})
            fetched += len(tables) + 1
        reporter.advance(len(tables) + 1)
    return fetched


def _in_order(contents: Contents) -> tuple[list[str], list[str]]:
    """Return the files that never change, and the tables that name them."""
    names = sorted(contents.digests)
    shards = [name for name in names if not name.endswith((".parquet", ".json"))]
    return shards, [name for name in names if name not in shards]


def _side_by_side(deed: Callable[[str], int], names: Sequence[str], reporter: Reporter) -> int:
    num = 0
    with ThreadPoolExecutor(AT_ONCE) as executor:
        try:
            for one in executor.map(deed, names):
                num += one
                reporter.advance(1)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return num


def _contents_at(url: str, *, is_kept: bool) -> Contents:
    """Return what a store at a URL holds, nothing without one, or where it may be overwritten."""
    try:
        return read_contents(remote(url)) or Contents()
    except FeatureStoreError:
        if is_kept:
            raise
        return Contents()


def _digest_at(path: Path) -> str | None:
    try:
        return sha256_bytes(read_bytes(path))
    except OSError:
        return None


def _checked(there: Path, name: str, contents: Contents) -> bytes:
    try:
        data = read_bytes(there / name)
    except OSError as error:
        raise FeatureStoreError(f"{there / name}: cannot be read ({error}); try again.") from error
    if sha256_bytes(data) != contents.digests[name]:
        raise FeatureStoreError(
            f"{there / name}: found digest {sha256_bytes(data)[:12]}, {CONTENTS} there says "
            f"{contents.digests[name][:12]}: it is being pushed, or damaged; pull again later."
        )
    return data


def _written(path: RemotePath, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); run the same command again: "
            "what was sent is there."
        ) from error
