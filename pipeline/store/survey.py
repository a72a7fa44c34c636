"""What stands in a store's folder, held to the digests.

Without a whole `store.json` the digests are taken from where they still stand, its remains and the
index's schema metadata: a claimed digest proves itself by matching.
"""

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa

from pipeline.errors import FeatureStoreError
from pipeline.files import read_bytes, sha256_file
from pipeline.locks import RUN_LOCK, is_held
from pipeline.store.contents import (
    CONTENTS,
    FILE_NAME,
    INDEX,
    NEXT,
    Contents,
    Placing,
    outcomes_name,
    read_contents,
    shards_in,
    view_of,
)
from pipeline.store.format import Shard, read_shard_bytes
from pipeline.store.index import PLACING_KEY, read_records, stands_alone
from pipeline.store.turns import left_overs
from pipeline.typed import typed_json

CLAIM = re.compile(rb'"([\w./@-]+)": ?"([0-9a-f]{64})"')


@dataclass(frozen=True)
class Survey:
    """What stands in a store's folder, held to the digests.

    Attributes:
        root: The store's folder.
        contents: The committed state; None if `store.json` is damaged or missing.
        is_committing: Whether a killed run's commit has begun; `contents` is what it makes.
        claims: The digests that are claimed of each file.
        intact: The digest of each whole file.
        faults: What is wrong with each file that is not.
        waiting: The digest of each finished shard that no commit has taken in.
        left_over: What a killed run left and the next one removes.
        foreign: Files that no genser writes.
    """

    root: Path
    contents: Contents | None
    is_committing: bool
    claims: dict[str, set[str]]
    intact: dict[str, str]
    faults: dict[str, str]
    waiting: dict[str, str]
    left_over: list[Path]
    foreign: list[Path]

    @property
    def folders(self) -> list[str]:
        """The folders of the editions that anything is known of."""
        names = [*self.intact, *self.faults, *self.waiting]
        return sorted({name.split("/")[1] for name in names if name.startswith("views/")})

    @cached_property
    def placing(self) -> Contents:
        """Where editions are, as `store.json` or else the index says, if either is whole."""
        if self.contents is not None:
            return self.contents
        table = self._table(INDEX)
        metadata = {} if table is None else table.schema.metadata or {}
        placing = typed_json(
            Placing,
            metadata.get(PLACING_KEY.encode(), b"{}"),
            self.root / INDEX,
            error=FeatureStoreError,
        )
        names = [] if table is None else table.column_names
        views = [n.removesuffix(".shard") for n in names if n.endswith(".shard")]
        # Only the places count here; the recipes say which fingerprints they have.
        return Contents(
            fingerprints=dict.fromkeys(views, ""), folders=placing.folders, kept=placing.kept
        )

    @cached_property
    def currents(self) -> dict[str, str]:
        """The folder of each view's current edition, guessed where nothing whole tells."""
        folders: defaultdict[str, list[str]] = defaultdict(list)
        for folder in self.folders:
            folders[view_of(folder)].append(folder)
        result = {}
        for view, mine in folders.items():
            told = self.placing.current(view)
            # Only the current layers have an outcomes table that leaves the rest to the index.
            tables = {folder: self.table(outcomes_name(folder)) for folder in mine}
            sharing = [f for f, t in tables.items() if t is not None and not stands_alone(t)]
            result[view] = told.folder if told is not None else [*sharing, *mine][0]
        return result

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table, None if it is not whole."""
        table = self._table(name)
        frame: pd.DataFrame | None = None if table is None else table.to_pandas()
        return frame

    def _table(self, name: str) -> pa.Table | None:
        if name not in self.intact:
            return None
        path = _where(self.root, name, is_committing=self.is_committing)
        return read_records(read_bytes(path), path)

    @cached_property
    def index(self) -> pd.DataFrame | None:
        """The index, None if it is not whole."""
        return self.table(INDEX)

    def shards(self, folder: str, names: Iterable[str]) -> Iterator[tuple[int, Shard]]:
        """Read those of an edition's shards that `names` has, one after another."""
        for number, name in sorted(shards_in(names, folder).items()):
            path = self.root / name
            yield number, read_shard_bytes(read_bytes(path), path)

    def places(self, folder: str) -> pd.DataFrame | None:
        """Return utterance_id and shard of an edition's clips, None if no whole table has them."""
        view = view_of(folder)
        is_current = self.currents[view] == folder
        nothing = pd.DataFrame({"utterance_id": [], "shard": []})
        if is_current and self.index is not None:
            if f"{view}.shard" not in self.index:  # it has finished shards and no commit
                return nothing
            places = self.index[["utterance_id", f"{view}.shard"]].dropna()
            return places.set_axis(["utterance_id", "shard"], axis=1).astype({"shard": "int64"})
        outcomes = self.table(outcomes_name(folder))
        if outcomes is not None:
            return outcomes[["utterance_id", "shard"]]
        is_half_made = not is_current and outcomes_name(folder) not in self.claims
        return nothing if is_half_made else None


def survey_store(root: Path) -> Survey:
    """Hold every file below a folder to its digest, and sort what has none."""
    faults: dict[str, str] = {}
    coming = _read_if_whole(root, NEXT, faults)
    contents = coming or _read_if_whole(root, CONTENTS, faults)
    if contents is not None:
        claims = {name: {digest} for name, digest in contents.digests.items()}
    else:
        claims = _claims(root)
        if any(not name.endswith(".h5") for name in claims):
            faults.setdefault(CONTENTS, "missing")
        elif not faults:
            contents = Contents()  # the first run was stopped before its commit
    intact: dict[str, str] = {}
    for name, digests in sorted(claims.items()):
        path = _where(root, name, is_committing=coming is not None)
        try:
            found = sha256_file(path)
        except FileNotFoundError:
            faults[name] = "missing"
        except OSError as error:
            faults[name] = f"cannot be read ({error.strerror})"
        else:
            if found in digests:
                intact[name] = found
            else:
                faults[name] = f"damaged, found digest {found[:12]}" + "".join(
                    f", wanted {wanted[:12]}" for wanted in sorted(digests)
                )
    waiting = _waiting(root, claims)
    left_over, foreign = _unnamed(root, claims, waiting, is_committing=coming is not None)
    return Survey(
        root, contents, coming is not None, claims, intact, faults, waiting, left_over, foreign
    )


def _where(root: Path, name: str, *, is_committing: bool) -> Path:
    coming = root / f"{name}.next"
    return coming if is_committing and coming.exists() else root / name


def _read_if_whole(root: Path, name: str, faults: dict[str, str]) -> Contents | None:
    try:
        return read_contents(root, name)
    except FeatureStoreError:
        faults[name] = "damaged, its digest does not match its content"
        return None


def _claims(root: Path) -> dict[str, set[str]]:
    """Return what the remains of `store.json` and the index say of files, true or not."""
    claims: defaultdict[str, set[str]] = defaultdict(set)
    for source in (CONTENTS, NEXT, INDEX):
        path = root / source
        for name, digest in CLAIM.findall(read_bytes(path) if path.is_file() else b""):
            if FILE_NAME.fullmatch(name.decode()):
                claims[name.decode()].add(digest.decode())
    if (root / INDEX).is_file():
        claims[INDEX]  # present, with or without a digest
    return dict(claims)


def _waiting(root: Path, claims: Container[str]) -> dict[str, str]:
    """Return the digests of shards that are published, whole and named by no contents."""
    waiting = {}
    for seal in sorted(root.glob("views/*/shards/*.sha256")):
        path = seal.with_suffix(".h5")
        name = path.relative_to(root).as_posix()
        if FILE_NAME.fullmatch(name) and name not in claims and path.is_file():
            digest = sha256_file(path)
            if read_bytes(seal) == digest.encode():
                waiting[name] = digest
    return waiting


def _unnamed(
    root: Path, named: Container[str], waiting: Container[str], *, is_committing: bool
) -> tuple[list[Path], list[Path]]:
    """Return the other files: those a killed run leaves behind, and foreign ones."""
    left_over, foreign = [], []
    temporary = set(left_overs(root))
    for path in sorted(path for path in root.rglob("*") if not path.is_dir()):
        name = path.relative_to(root).as_posix()
        base = name.removesuffix(".next").replace(".sha256", ".h5")
        if name in named or name in (CONTENTS, NEXT) or (name == RUN_LOCK and is_held(path)):
            continue
        if base in waiting or (is_committing and base in named and name.endswith(".next")):
            continue
        if path in temporary or name == RUN_LOCK or FILE_NAME.fullmatch(base):
            left_over.append(path)
        else:
            foreign.append(path)
    return left_over, foreign
