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

from pipeline.errors import FeatureStoreError
from pipeline.files import sha256_file
from pipeline.parquet import read_frame_bytes
from pipeline.store.commit import (
    CATALOGUE,
    FILE_NAME,
    INDEX,
    NEXT,
    Catalogue,
    outcomes_name,
    read_catalogue,
    shards_in,
)
from pipeline.store.format import Shard, read_shard_bytes
from pipeline.store.locks import is_held
from pipeline.store.turns import RUN_LOCK, left_overs

CLAIM = re.compile(rb'"([\w./-]+)": ?"([0-9a-f]{64})"')


@dataclass(frozen=True)
class Survey:
    """What stands in a store's folder, held to the digests.

    Attributes:
        root: The store's folder.
        catalogue: The committed state; None if `store.json` is damaged or missing.
        is_committing: Whether a killed run's commit has begun; `catalogue` is what it makes.
        claims: The digests that are claimed of each file.
        intact: The digest of each whole file.
        faults: What is wrong with each file that is not.
        waiting: The digest of each finished shard that no commit has taken in.
        left_over: What a killed run left and the next one removes.
        foreign: Files that no genser writes.
    """

    root: Path
    catalogue: Catalogue | None
    is_committing: bool
    claims: dict[str, set[str]]
    intact: dict[str, str]
    faults: dict[str, str]
    waiting: dict[str, str]
    left_over: list[Path]
    foreign: list[Path]

    @property
    def views(self) -> list[str]:
        """The views that anything is known of."""
        names = [*self.intact, *self.faults, *self.waiting]
        return sorted({name.split("/")[1] for name in names if name.startswith("views/")})

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table, None if it is not whole."""
        if name not in self.intact:
            return None
        path = _where(self.root, name, is_committing=self.is_committing)
        return read_frame_bytes(path.read_bytes())

    @cached_property
    def index(self) -> pd.DataFrame | None:
        """The index, None if it is not whole."""
        return self.table(INDEX)

    def shards(self, view: str, names: Iterable[str]) -> Iterator[tuple[int, Shard]]:
        """Read those of a view's shards that `names` has, one after another."""
        for number, name in sorted(shards_in(names, view).items()):
            path = self.root / name
            yield number, read_shard_bytes(path.read_bytes(), path)

    def places(self, view: str) -> pd.DataFrame | None:
        """Return utterance_id and shard of a view's clips, None if no whole table has them."""
        if self.index is not None:
            if f"{view}.shard" not in self.index:  # it has finished shards and no commit
                return pd.DataFrame({"utterance_id": [], "shard": []})
            places = self.index[["utterance_id", f"{view}.shard"]].dropna()
            return places.set_axis(["utterance_id", "shard"], axis=1).astype({"shard": "int64"})
        outcomes = self.table(outcomes_name(view))
        return None if outcomes is None else outcomes[["utterance_id", "shard"]]


def survey_store(root: Path) -> Survey:
    """Hold every file below a folder to its digest, and sort what has none."""
    faults: dict[str, str] = {}
    coming = _read_if_whole(root, NEXT, faults)
    catalogue = coming or _read_if_whole(root, CATALOGUE, faults)
    if catalogue is not None:
        claims = {name: {digest} for name, digest in catalogue.digests.items()}
    else:
        claims = _claims(root)
        if any(not name.endswith(".h5") for name in claims):
            faults.setdefault(CATALOGUE, "missing")
        elif not faults:
            catalogue = Catalogue()  # the first run was stopped before its commit
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
        root, catalogue, coming is not None, claims, intact, faults, waiting, left_over, foreign
    )


def _where(root: Path, name: str, *, is_committing: bool) -> Path:
    coming = root / f"{name}.next"
    return coming if is_committing and coming.exists() else root / name


def _read_if_whole(root: Path, name: str, faults: dict[str, str]) -> Catalogue | None:
    try:
        return read_catalogue(root, name)
    except FeatureStoreError:
        faults[name] = "damaged, its digest does not match its content"
        return None


def _claims(root: Path) -> dict[str, set[str]]:
    """Return what the remains of `store.json` and the index say of files, true or not."""
    claims: defaultdict[str, set[str]] = defaultdict(set)
    for source in (CATALOGUE, NEXT, INDEX):
        path = root / source
        for name, digest in CLAIM.findall(path.read_bytes() if path.is_file() else b""):
            if FILE_NAME.fullmatch(name.decode()):
                claims[name.decode()].add(digest.decode())
    if (root / INDEX).is_file():
        claims[INDEX]  # present, with or without a digest
    return dict(claims)


def _waiting(root: Path, claims: Container[str]) -> dict[str, str]:
    """Return the digests of shards that are published, whole and named by no catalogue."""
    waiting = {}
    for seal in sorted(root.glob("views/*/shards/*.sha256")):
        path = seal.with_suffix(".h5")
        name = path.relative_to(root).as_posix()
        if FILE_NAME.fullmatch(name) and name not in claims and path.is_file():
            digest = sha256_file(path)
            if seal.read_bytes() == digest.encode():
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
        if name in named or name in (CATALOGUE, NEXT) or (name == RUN_LOCK and is_held(path)):
            continue
        if base in waiting or (is_committing and base in named and name.endswith(".next")):
            continue
        if path in temporary or name == RUN_LOCK or FILE_NAME.fullmatch(base):
            left_over.append(path)
        else:
            foreign.append(path)
    return left_over, foreign
