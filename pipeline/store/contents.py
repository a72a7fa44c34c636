"""What a store holds: `store.json`, with the digest of every file and of itself.

A view made by one recipe is an edition. One edition of a view is current, others are kept; each has
a folder of its own under `views/`, so that another one is put in place by `store.json` alone.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import FeatureStoreError
from pipeline.files import read_bytes, sealed_json, sha256_bytes, unseal_json
from pipeline.locks import RUN_LOCK, is_held
from pipeline.store.views import LAYERS
from pipeline.typed import typed

FORMAT = "genser-store"
# Version 2 has editions, views beside `layers`, or fitted files: an older genser would join the
# views' records wrongly, so it must not open such a store.
PLAIN, WITH_EDITIONS = 1, 2
CONTENTS = "store.json"
NEXT = "store.json.next"
INDEX = "index.parquet"

_FOLDER = r"([\w-]+)(?:@[0-9a-f]{12})?"
# The only files a store is made of; contents that name another would reach out of their folder.
FILE_NAME = re.compile(
    rf"index\.parquet|views/{_FOLDER}/"
    r"(?:outcomes\.parquet|recipe\.json|fitted\.safetensors|shards/\d{6,}\.h5)"
)


def outcomes_name(folder: str) -> str:
    """Return an edition's outcomes table, relative to the store."""
    return f"views/{folder}/outcomes.parquet"


def recipe_name(folder: str) -> str:
    """Return an edition's recipe, relative to the store."""
    return f"views/{folder}/recipe.json"


def fitted_name(folder: str) -> str:
    """Return what a derived view's edition was computed with, relative to the store."""
    return f"views/{folder}/fitted.safetensors"


def shard_name(folder: str, number: int) -> str:
    """Return a shard's file, relative to the store."""
    return f"views/{folder}/shards/{number:06d}.h5"


def shards_in(names: Iterable[str], folder: str) -> dict[int, str]:
    """Return the names that are shards of an edition, by their numbers."""
    prefix = f"views/{folder}/shards/"
    return {int(Path(name).stem): name for name in names if name.startswith(prefix)}


def view_of(folder: str) -> str:
    """Return the view that an edition's folder belongs to."""
    return folder.partition("@")[0]


@dataclass(frozen=True, kw_only=True)
class Edition:
    """A view made by one recipe.

    Attributes:
        folder: Its folder under `views/`: the view's name, or that, `@` and the first 12 digits of
            the fingerprint.
        fingerprint: The recipe's.
    """

    folder: str
    fingerprint: str

    @property
    def view(self) -> str:
        """The view's name."""
        return view_of(self.folder)


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Where editions are: `folders` and `kept` of `Contents`."""

    folders: dict[str, str] = field(default_factory=dict)
    kept: tuple[Edition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _File(Placing):
    """What `store.json` says beside its format: `Contents` under the names that it has there."""

    files: dict[str, str]
    views: dict[str, str]
    refill: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The committed state of a store.

    Attributes:
        digests: SHA-256 of every file of the store, by its name relative to the store.
        fingerprints: The recipe fingerprint of each view's current edition.
        refill: Shards that a repair dropped, and the ids of the clips they held: the next run
            makes them anew under their old numbers. No ids: they are not known.
        folders: The folder of each current edition that is not in `views/<view>`.
        kept: Editions that others have taken the place of, the one kept longest first.
    """

    digests: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    refill: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    kept: tuple[Edition, ...] = ()

    def current(self, view: str) -> Edition | None:
        """Return the current edition of a view, None if there is no such view."""
        if view not in self.fingerprints:
            return None
        folder = self.folders.get(view, view)
        return Edition(folder=folder, fingerprint=self.fingerprints[view])

    def editions(self, view: str) -> list[Edition]:
        """Return all editions of a view, the current one first."""
        current = self.current(view)
        return [*([current] if current else []), *(e for e in self.kept if e.view == view)]

    def shard_numbers(self, folder: str) -> list[int]:
        """Return the numbers of an edition's committed shards, ascending."""
        return sorted(shards_in(self.digests, folder))

    def files_of(self, folder: str) -> dict[str, str]:
        """Return the digests of an edition's files, by their names within its folder."""
        prefix = f"views/{folder}/"
        return {n.removeprefix(prefix): d for n, d in self.digests.items() if n.startswith(prefix)}

    def with_current(self, edition: Edition) -> "Contents":
        """Return the contents with an edition as the current one of its view."""
        folders = {view: name for view, name in self.folders.items() if view != edition.view}
        if edition.folder != edition.view:
            folders[edition.view] = edition.folder
        return replace(
            self,
            fingerprints={**self.fingerprints, edition.view: edition.fingerprint},
            folders=folders,
            kept=tuple(e for e in self.kept if e != edition),
        )

    def with_kept(self, edition: Edition) -> "Contents":
        """Return the contents with an edition as the one that was kept last."""
        return replace(self, kept=(*(e for e in self.kept if e != edition), edition))

    def without(self, folders: Sequence[str]) -> "Contents":
        """Return the contents without these kept editions and all of their files."""
        prefixes = tuple(f"views/{folder}/" for folder in folders)
        return replace(
            self,
            digests={n: d for n, d in self.digests.items() if not n.startswith(prefixes)},
            refill={n: ids for n, ids in self.refill.items() if not n.startswith(prefixes)},
            kept=tuple(e for e in self.kept if e.folder not in folders),
        )

    @property
    def placing(self) -> dict[str, Any]:
        """Where editions are, a `Placing` as JSON; empty where each view is in its own folder."""
        if not self.folders and not self.kept:
            return {}
        return asdict(Placing(folders=self.folders, kept=self.kept))

    @property
    def format_version(self) -> int:
        """The version of the format that says all this."""
        has_fitted = any(name.endswith(".safetensors") for name in self.digests)
        is_plain = not (self.placing or has_fitted or self.fingerprints.keys() - {LAYERS})
        return PLAIN if is_plain else WITH_EDITIONS


def read_contents(root: Path, name: str = CONTENTS) -> Contents | None:
    """Read `store.json`; None if there is none.

    Raises:
        FeatureStoreError: If it is damaged or of another format.
    """
    path = root / name
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FeatureStoreError(f"{path}: cannot be read ({error.strerror}).") from error
    value = unseal_json(data)
    if value is None:
        raise FeatureStoreError(
            f"{path}: its digest does not match its content; run 'genser verify --repair' on it."
        )
    found = (value.pop("format", None), value.pop("format_version", None))
    if found not in ((FORMAT, PLAIN), (FORMAT, WITH_EDITIONS)):
        raise FeatureStoreError(
            f"{path}: format {found}, wanted {(FORMAT, PLAIN)} or {(FORMAT, WITH_EDITIONS)}; "
            "install the genser that wrote it."
        )
    told = typed(
        _File, value, path, error=FeatureStoreError, cure="no genser wrote it: do not use the store"
    )
    folders = [*({view: view for view in told.views} | told.folders).values()]
    folders += [edition.folder for edition in told.kept]
    names = [*told.files, *told.refill, *(recipe_name(folder) for folder in folders)]
    strange = [name for name in names if not FILE_NAME.fullmatch(name)]
    if strange:
        raise FeatureStoreError(f"{path}: names {strange[0]!r}, no file of a store; do not use it.")
    return Contents(
        digests=told.files,
        fingerprints=told.views,
        refill=told.refill,
        folders=told.folders,
        kept=told.kept,
    )


def contents_bytes(contents: Contents) -> bytes:
    """Return the content of `store.json`."""
    value = {
        "format": FORMAT,
        "format_version": contents.format_version,
        "files": contents.digests,
        "views": contents.fingerprints,
        "refill": contents.refill,
        **contents.placing,
    }
    return sealed_json(value)


def checked_bytes(root: Path, name: str, contents: Contents) -> bytes:
    """Return a file's bytes after holding them to the digest in the contents.

    Raises:
        FeatureStoreError: If the file is absent or a byte of it has changed.
    """
    path = root / name
    wanted = contents.digests.get(name)
    if wanted is None:
        raise FeatureStoreError(f"{path}: not part of this store ({CONTENTS} does not name it).")
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        found = "nothing"
    except OSError as error:
        raise FeatureStoreError(f"{path}: cannot be read ({error.strerror}).") from error
    else:
        found = sha256_bytes(data)
        if found == wanted:
            return data
    is_committing = (root / NEXT).exists()
    if is_committing and not is_held(root / RUN_LOCK):
        raise FeatureStoreError(
            f"{root}: an extract stopped while it was committing; run the same extract again."
        )
    if is_committing or _digest_now(root, name) != wanted:
        raise FeatureStoreError(
            f"{root}: another run has changed this store since it was opened here; wait until that "
            "run has ended, then run the same command again."
        )
    raise FeatureStoreError(
        f"{path}: damaged, found digest {found[:12]}, {CONTENTS} says {wanted[:12]}; "
        f"run 'genser verify {root} --repair', then extract."
    )


def _digest_now(root: Path, name: str) -> str | None:
    """Return what `store.json` says of a file by now, None if it does not name it."""
    now = read_contents(root)
    return None if now is None else now.digests.get(name)
