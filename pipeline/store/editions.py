"""Which folder an edition of a view is made in, which ones are kept, and which are deleted.

A folder below `views/` is named by `store.json`, or is half made: it has finished shards and no
tables yet. One that has tables and is not named was dropped by a commit, and goes with the next.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.files import fingerprint, read_bytes, sha256_bytes, writing
from pipeline.store.contents import (
    Contents,
    fitted_name,
    outcomes_name,
    recipe_name,
    shard_name,
    view_of,
)
from pipeline.store.format import open_shard

TABLES = (outcomes_name, recipe_name)


def folder_of(contents: Contents, view: str, recipe: str, waiting: str | None) -> str:
    """Return the folder of a view's edition, which need not exist yet.

    Args:
        contents: What the store holds.
        view: The view.
        recipe: The fingerprint of the edition's recipe.
        waiting: The recipe fingerprint of finished shards in `views/<view>` that no commit has
            taken in, None where there are none.
    """
    for edition in contents.editions(view):
        if edition.fingerprint == recipe:
            return edition.folder
    is_taken = view in {edition.folder for edition in contents.editions(view)}
    is_free = view not in contents.fingerprints and waiting is None
    is_ours = is_free or waiting == recipe
    return view if is_ours and not is_taken else f"{view}@{recipe[:12]}"


def published_bytes(root: Path, folder: str, number: int) -> bytes | None:
    """Return a shard on the disk that its seal beside it says is whole; None without one."""
    path = root / shard_name(folder, number)
    try:
        wanted = read_bytes(path.with_suffix(".sha256")).decode()
        data = read_bytes(path)
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return data if sha256_bytes(data) == wanted else None


def published(root: Path, folder: str, contents: Contents) -> list[int]:
    """Return the numbers of an edition's shards that are whole and not committed yet."""
    committed = set(contents.shard_numbers(folder))
    paths = (root / f"views/{folder}/shards").glob("*.h5")
    found = {int(path.stem) for path in paths if path.stem.isdecimal()} - committed
    return sorted(n for n in found if published_bytes(root, folder, n) is not None)


def recipe_waiting(root: Path, view: str, contents: Contents) -> str | None:
    """Return the recipe fingerprint of finished shards in `views/<view>`, None without any."""
    for number in published(root, view, contents):
        data = published_bytes(root, view, number)
        if data is not None:
            with open_shard(data, root / shard_name(view, number)) as shard:
                return fingerprint(shard.recipe)
    return None


def size_of(root: Path, folder: str) -> int:
    """Return the bytes of an edition on the disk."""
    files = (path for path in (root / "views" / folder).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def over_bound(root: Path, contents: Contents, view: str, num_bytes: float) -> list[str]:
    """Return the folders of a view to drop, so that what it keeps fits in so many bytes.

    Half-made editions go first, then those that were kept longest.
    """
    kept = [edition.folder for edition in contents.kept if edition.view == view]
    current = contents.current(view)
    named = {*kept, *([current.folder] if current else [])}
    half_made = [folder for folder in _folders(root, view) if folder not in named]
    sizes = {folder: size_of(root, folder) for folder in [*half_made, *kept]}
    dropped: list[str] = []
    for folder in sizes:
        if sum(size for name, size in sizes.items() if name not in dropped) <= num_bytes:
            break
        dropped.append(folder)
    return dropped


def sweep(root: Path, contents: Contents, own: str, dropped: Sequence[str]) -> None:
    """Delete what is no part of a view now, of this commit and of a killed one.

    Args:
        root: The store's folder.
        contents: What it holds.
        own: The folder of the edition that was committed: nothing waits in it any more.
        dropped: Folders of the view to delete.
    """
    view = view_of(own)
    with writing(root / "views"):
        for folder in _folders(root, view):
            tables = {name(folder) for name in TABLES}
            is_left = any((root / name).exists() for name in tables - contents.digests.keys())
            if folder in dropped or (is_left and tables.isdisjoint(contents.digests)):
                _delete(root, folder)
                continue
            shards = root / f"views/{folder}/shards"
            for path in [*shards.glob("*.h5"), *shards.glob("*.sha256")]:
                name = path.relative_to(root).as_posix()
                is_sealed = path.with_suffix(".h5").relative_to(root).as_posix() in contents.digests
                if name not in contents.digests and (folder == own or is_sealed):
                    path.unlink()
            _delete_if_empty(root, folder)


def _delete(root: Path, folder: str) -> None:
    """Delete an edition, its tables last: what has them and no name is told as dropped."""
    shards = root / f"views/{folder}/shards"
    tables = (root / name(folder) for name in (fitted_name, *TABLES))
    for path in [*sorted(shards.glob("*.h5")), *sorted(shards.glob("*.sha256")), *tables]:
        path.unlink(missing_ok=True)
    _delete_if_empty(root, folder)


def _delete_if_empty(root: Path, folder: str) -> None:
    for path in (root / f"views/{folder}/shards", root / f"views/{folder}"):
        if path.exists() and not any(path.iterdir()):  # a file that is not ours stays
            path.rmdir()


def _folders(root: Path, view: str) -> list[str]:
    """Return the folders on the disk that editions of a view may be in."""
    paths = [root / "views" / view, *(root / "views").glob(f"{view}@*")]
    return sorted(path.name for path in paths if path.is_dir())


def described(kept: Mapping[str, int], dropped: Mapping[str, int]) -> str:
    """Return which editions are kept and dropped, and their bytes, in one line; "" without any."""
    parts = [
        f"{what} " + ", ".join(f"{name} ({size / 1e6:.1f} MB)" for name, size in sizes.items())
        for what, sizes in (("kept beside:", kept), ("dropped", dropped))
        if sizes
    ]
    return "; ".join(parts)
