"""The three tables that tie a store's shards together, and the commit that replaces them at once.

`store.json` holds the digest of every file and of itself. A commit lays all new tables down under
temporary names, then the new `store.json` as `store.json.next`, and then renames one after another:
from the moment `store.json.next` stands, the commit can be finished by whoever comes next.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import (
    canonical_json,
    publish_bytes,
    sealed_json,
    sha256_bytes,
    sync_folder,
    unseal_json,
    writing,
)
from pipeline.parquet import table_bytes
from pipeline.store.views import CLIP_COLUMNS, LAYERS

FORMAT = "genser-store"
FORMAT_VERSION = 1
CATALOGUE = "store.json"
NEXT = "store.json.next"
INDEX = "index.parquet"

# The only files a store is made of; a catalogue that names another would reach out of its folder.
FILE_NAME = re.compile(
    r"index\.parquet|views/[\w-]+/(?:outcomes\.parquet|recipe\.json|shards/\d{6,}\.h5)"
)
# What the index says of the other files, so that they can be told whole without `store.json`.
FILES_KEY = "genser.files"

SHARED_COLUMNS = [c for c in CLIP_COLUMNS if c not in ("outcome", "message", "row")]
# The shard stands in the index too: either table says which clips a lost shard held.
OUTCOME_COLUMNS = ["utterance_id", "outcome", "message", "shard"]


def outcomes_name(view: str) -> str:
    """Return a view's outcomes table, relative to the store."""
    return f"views/{view}/outcomes.parquet"


def recipe_name(view: str) -> str:
    """Return a view's recipe, relative to the store."""
    return f"views/{view}/recipe.json"


def shard_name(view: str, number: int) -> str:
    """Return a shard's file, relative to the store."""
    return f"views/{view}/shards/{number:06d}.h5"


@dataclass
class Catalogue:
    """The committed state of a store.

    Attributes:
        digests: SHA-256 of every file of the store, by its name relative to the store.
        fingerprints: The recipe fingerprint of each view.
        refill: Shards that a repair dropped, and the ids of the clips they held: the next run
            makes them anew under their old numbers. No ids: they are not known.
    """

    digests: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    refill: dict[str, list[str]] = field(default_factory=dict)

    def shard_numbers(self, view: str) -> list[int]:
        """Return the numbers of a view's committed shards, ascending."""
        return sorted(shards_in(self.digests, view))

    def files_of(self, view: str) -> dict[str, str]:
        """Return the digests of a view's files, by their names within its folder."""
        prefix = f"views/{view}/"
        return {n.removeprefix(prefix): d for n, d in self.digests.items() if n.startswith(prefix)}


def shards_in(names: Iterable[str], view: str) -> dict[int, str]:
    """Return the names that are shards of a view, by their numbers."""
    prefix = f"views/{view}/shards/"
    return {int(Path(name).stem): name for name in names if name.startswith(prefix)}


def read_catalogue(root: Path, name: str = CATALOGUE) -> Catalogue | None:
    """Read `store.json`; None if there is none.

    Raises:
        FeatureStoreError: If it is damaged or of another format.
    """
    path = root / name
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FeatureStoreError(f"{path}: cannot be read ({error.strerror}).") from error
    value = unseal_json(data)
    if value is None:
        raise FeatureStoreError(
            f"{path}: its digest does not match its content; run 'genser verify --repair' on it."
        )
    found = (value.get("format"), value.get("format_version"))
    if found != (FORMAT, FORMAT_VERSION):
        raise FeatureStoreError(f"{path}: format {found}, wanted {(FORMAT, FORMAT_VERSION)}.")
    strange = [n for n in [*value["files"], *value["refill"]] if not FILE_NAME.fullmatch(n)]
    if strange:
        raise FeatureStoreError(f"{path}: names {strange[0]!r}, no file of a store; do not use it.")
    return Catalogue(digests=value["files"], fingerprints=value["views"], refill=value["refill"])


def catalogue_bytes(catalogue: Catalogue) -> bytes:
    """Return the content of `store.json`."""
    value = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "files": catalogue.digests,
        "views": catalogue.fingerprints,
        "refill": catalogue.refill,
    }
    return sealed_json(value)


def commit(root: Path, catalogue: Catalogue, tables: Mapping[str, bytes]) -> Catalogue:
    """Replace tables and `store.json` together, and return the new catalogue.

    Raises:
        OutputError: If something cannot be written; the old state stands.
    """
    digests = {**catalogue.digests, **{name: sha256_bytes(data) for name, data in tables.items()}}
    new = replace(catalogue, digests=digests)
    for name, data in tables.items():
        publish_bytes(root / f"{name}.next", data)
    publish_bytes(root / NEXT, catalogue_bytes(new))
    finish_commit(root)
    return new


def finish_commit(root: Path) -> bool:
    """Finish a commit that had begun; return whether there was one.

    Raises:
        FeatureStoreError: If its `store.json.next` is damaged.
        OutputError: If the folder cannot be written.
    """
    catalogue = read_catalogue(root, NEXT)
    with writing(root / CATALOGUE):
        if catalogue is None:
            # A commit that died before its last table: the tables it had laid down mean nothing.
            for left_over in root.glob("**/*.next"):
                left_over.unlink()
            return False
        for name in catalogue.digests:
            table = root / f"{name}.next"
            if table.exists():
                table.replace(root / name)
                sync_folder(table.parent)
        (root / NEXT).replace(root / CATALOGUE)
        sync_folder(root)
    return True


def index_bytes(records: Mapping[str, pd.DataFrame], digests: Mapping[str, str]) -> bytes:
    """Return the content of the index of views with these records and all other files' digests."""
    others = {name: digest for name, digest in digests.items() if name != INDEX}
    return table_bytes(join_index(records), {FILES_KEY: canonical_json(others)})


def checked_bytes(root: Path, name: str, catalogue: Catalogue) -> bytes:
    """Return a file's bytes after holding them to the digest in the catalogue.

    Raises:
        FeatureStoreError: If the file is absent or a byte of it has changed.
    """
    path = root / name
    wanted = catalogue.digests.get(name)
    if wanted is None:
        raise FeatureStoreError(f"{path}: not part of this store ({CATALOGUE} does not name it).")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        found = "nothing"
    except OSError as error:
        raise FeatureStoreError(f"{path}: cannot be read ({error.strerror}).") from error
    else:
        found = sha256_bytes(data)
        if found == wanted:
            return data
    if (root / NEXT).exists():
        raise FeatureStoreError(
            f"{root}: an extract stopped while it was committing; run the same extract again."
        )
    raise FeatureStoreError(
        f"{path}: damaged, found digest {found[:12]}, {CATALOGUE} says {wanted[:12]}; "
        f"run 'genser verify {root} --repair', then extract."
    )


def join_index(records: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the index of a store: one row per clip, with shard and row of each view.

    What the views share of a clip is what `layers` says of it, and without that the first view by
    name: a view that lags behind the audio is told by its own table, see `outcomes_of`.

    Args:
        records: For each view its clips: `CLIP_COLUMNS` and `shard`, unique in utterance_id.
    """
    kinds: dict[Any, Any] = {c: CLIP_COLUMNS[c] for c in SHARED_COLUMNS}
    views = sorted(records, key=lambda view: (view != LAYERS, view))
    if not views:
        return pd.DataFrame({c: pd.Series(dtype=kind) for c, kind in kinds.items()})
    shared = pd.concat([records[view][SHARED_COLUMNS] for view in views], ignore_index=True)
    index = shared.drop_duplicates("utterance_id").set_index("utterance_id").sort_index()
    for view in sorted(views):
        keyed = records[view].set_index("utterance_id")
        index[f"{view}.shard"] = keyed["shard"].astype("Int32")
        rows = keyed["row"].astype("Int32")
        index[f"{view}.row"] = rows.mask(rows < 0)
    return index.reset_index().astype(kinds)


def outcomes_of(records: pd.DataFrame, view: str) -> pd.DataFrame:
    """Return a view's outcomes table: of `layers` what the index has not, of others everything."""
    return records[OUTCOME_COLUMNS] if view == LAYERS else records


def split_index(index: pd.DataFrame, outcomes: pd.DataFrame, view: str) -> pd.DataFrame:
    """Return the records of one view from its outcomes table, and the index where that needs it."""
    if "file_digest" in outcomes:  # it stands on its own
        return outcomes
    records = index[index[f"{view}.shard"].notna()].merge(outcomes, on="utterance_id")
    records["row"] = records[f"{view}.row"].fillna(-1).astype("int32")
    return records[[*CLIP_COLUMNS, "shard"]]
