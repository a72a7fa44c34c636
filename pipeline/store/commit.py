"""The commit: tables and `store.json` are replaced together, whole or not at all.

All new tables are laid down under temporary names, then the new `store.json` as `store.json.next`,
and then one after another is renamed: from the moment `store.json.next` stands, the commit can be
finished by whoever comes next.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.files import publish_bytes, sha256_bytes, sync_folder, writing
from pipeline.store.contents import CONTENTS, NEXT, Contents, contents_bytes, read_contents


def commit(root: Path, contents: Contents, tables: Mapping[str, bytes]) -> Contents:
    """Replace tables and `store.json` together, and return the new contents.

    Raises:
        OutputError: If something cannot be written; the old state stands.
    """
    digests = {**contents.digests, **{name: sha256_bytes(data) for name, data in tables.items()}}
    new = replace(contents, digests=digests)
    for name, data in tables.items():
        publish_bytes(root / f"{name}.next", data)
    publish_bytes(root / NEXT, contents_bytes(new))
    finish_commit(root)
    return new


def finish_commit(root: Path) -> bool:
    """Finish a commit that had begun; return whether there was one.

    Raises:
        FeatureStoreError: If its `store.json.next` is damaged.
        OutputError: If the folder cannot be written.
    """
    contents = read_contents(root, NEXT)
    with writing(root / CONTENTS):
        if contents is None:
            # A commit that died before its last table: the tables it had laid down mean nothing.
            for left_over in root.glob("**/*.next"):
                left_over.unlink()
            return False
        for name in contents.digests:
            table = root / f"{name}.next"
            if table.exists():
                table.replace(root / name)
                sync_folder(table.parent)
        (root / NEXT).replace(root / CONTENTS)
        sync_folder(root)
    return True
