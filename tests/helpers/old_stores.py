"""A store as it was made before clips were told where their features lie."""

import io
from pathlib import Path

import h5py

from pipeline.files import publish_bytes, sha256_bytes
from pipeline.store.commit import commit
from pipeline.store.contents import INDEX, outcomes_name, read_contents
from pipeline.store.index import index_bytes, outcomes_bytes
from pipeline.store.reader import FeatureStore
from pipeline.store.views import PLACED

CHUNKS = {1: 1, 2: 64}  # rows or frames in a chunk, by the shard's format


def in_chunks(data: bytes) -> bytes:
    """Return a shard with its features in chunks with checksums."""
    image = io.BytesIO(data)
    with h5py.File(image, "r+") as file:
        features = file["features"][()]
        if features.size:
            del file["features"]
            most = min(CHUNKS[int(file.attrs["format_version"])], len(features))
            chunks = (most, *features.shape[1:])
            file.create_dataset("features", data=features, chunks=chunks, fletcher32=True)
    return image.getvalue()


def as_before(root: Path) -> None:
    """Make a store what it would have been: shards in chunks, tables without `PLACED`."""
    contents = read_contents(root)
    assert contents is not None
    store = FeatureStore(root, contents)
    names = [name for name in store.views if contents.current(name)]
    records = {
        name: store.view(name).records.drop(columns=list(PLACED), errors="ignore") for name in names
    }
    digests = dict(contents.digests)
    for name in digests:
        if name.endswith(".h5"):
            data = in_chunks((root / name).read_bytes())
            publish_bytes(root / name, data)
            digests[name] = sha256_bytes(data)
    tables = {
        outcomes_name(contents.folders.get(name, name)): outcomes_bytes(
            table, name, is_current=True
        )
        for name, table in records.items()
    }
    digests |= {name: sha256_bytes(data) for name, data in tables.items()}
    contents.digests.update(digests)
    tables[INDEX] = index_bytes(records, contents)
    commit(root, contents, tables)
