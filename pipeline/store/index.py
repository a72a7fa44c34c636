"""The tables of a store: the index of all views, and the outcomes of each.

The records of a view are its clips, with their shard. Those of the current `layers` are cut in two,
what it shares with other views in the index, the rest in its outcomes table; every other edition's
outcomes table has all of its records, so that it never depends on what another says of a clip.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.errors import FeatureStoreError
from pipeline.files import canonical_json
from pipeline.parquet import read_table_bytes, table_bytes
from pipeline.store.contents import INDEX, Contents, checked_bytes
from pipeline.store.views import CLIP_COLUMNS, CURE, LAYERS, NUM_FRAMES, PLACED

# What the index says of the other files, so that they can be told whole without `store.json`.
FILES_KEY = "genser.files"
PLACING_KEY = "genser.editions"

SHARED_COLUMNS = [c for c in CLIP_COLUMNS if c not in ("outcome", "message", "row")]
OPTIONAL = {**NUM_FRAMES, **PLACED}  # of ragged views; of all but shards of before
# The shard stands in the index too: either table says which clips a lost shard held.
OUTCOME_COLUMNS = ["utterance_id", "outcome", "message", "shard"]


def index_bytes(records: Mapping[str, pd.DataFrame], contents: Contents) -> bytes:
    """Return the content of the index of views with these records, in a store of these contents."""
    others = {name: digest for name, digest in contents.digests.items() if name != INDEX}
    metadata = {FILES_KEY: canonical_json(others)}
    if contents.placing:
        metadata[PLACING_KEY] = canonical_json(contents.placing)
    return table_bytes(join_index(records), metadata)


def join_index(records: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the index of a store: one row per clip, with shard and row of each view.

    What it says of a clip's audio is what `layers` says, where that has the clip, or else the first
    view by name.

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


def outcomes_bytes(records: pd.DataFrame, view: str, *, is_current: bool) -> bytes:
    """Return the content of an edition's outcomes table."""
    shares = view == LAYERS and is_current
    own = [*OUTCOME_COLUMNS, *(name for name in PLACED if name in records)]
    return table_bytes(records[own] if shares else records)


def read_records(data: bytes, where: object) -> pa.Table:
    """Read the index or an outcomes table; call it only on bytes whose digest has been checked.

    Raises:
        FeatureStoreError: If it is no such table, or names a clip twice.
    """
    try:
        table = read_table_bytes(data)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FeatureStoreError(f"{where}: is no table of a store ({error}); {CURE}.") from error
    types = dict(zip(table.column_names, table.schema.types, strict=True))
    wanted = OUTCOME_COLUMNS if "outcome" in types else SHARED_COLUMNS
    numbers = [name for name in types if name.endswith((".shard", ".row"))]
    wanted = [*wanted, *(name for name in OPTIONAL if name in types)]
    kinds: dict[str, str] = {**CLIP_COLUMNS, **OPTIONAL, "shard": "int64"}
    kinds |= dict.fromkeys(numbers, "int32")
    for name in [*wanted, *numbers]:
        if name not in types or not _is_of_kind(types[name], kinds[name]):
            raise FeatureStoreError(
                f"{where}: found column {name!r} of type {types.get(name, 'nothing')}, wanted "
                f"{kinds[name]}; {CURE}."
            )
    if len(table["utterance_id"].unique()) < len(table):
        raise FeatureStoreError(f"{where}: names a clip twice; {CURE}.")
    return table


def stored_table(root: Path, name: str, contents: Contents) -> pd.DataFrame:
    """Return the index or an outcomes table of a store, held to its digest and its columns.

    Raises:
        FeatureStoreError: If it is damaged, or no such table.
    """
    frame: pd.DataFrame = read_records(checked_bytes(root, name, contents), root / name).to_pandas()
    views = contents.fingerprints if name == INDEX else ()
    absent = [c for view in views for c in (f"{view}.shard", f"{view}.row") if c not in frame]
    if absent:
        raise FeatureStoreError(f"{root / name}: found no column {absent[0]!r}; {CURE}.")
    return frame


def _is_of_kind(found: pa.DataType, kind: str) -> bool:
    if kind == "str":
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
    is_kind = pa.types.is_floating if kind.startswith("float") else pa.types.is_integer
    return bool(is_kind(found))


def stands_alone(outcomes: pd.DataFrame) -> bool:
    """Say whether an outcomes table has all that is known of its clips."""
    return set(CLIP_COLUMNS) <= set(outcomes)


def split_index(index: pd.DataFrame, outcomes: pd.DataFrame, view: str) -> pd.DataFrame:
    """Return the records of a view whose outcomes table does not stand alone."""
    records = index[index[f"{view}.shard"].notna()].merge(outcomes, on="utterance_id")
    records["row"] = records[f"{view}.row"].fillna(-1).astype("int32")
    return records[[*CLIP_COLUMNS, "shard", *(name for name in PLACED if name in records)]]


def merged(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the records of several tables, by utterance_id; the last one of a clip counts."""
    found = {name: OPTIONAL[name] for name in OPTIONAL if any(name in f for f in frames)}
    kinds: dict[Any, Any] = {**CLIP_COLUMNS, "shard": "int64", **found}
    nothing = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    some = [frame for frame in frames if len(frame)]
    if not some:
        return nothing
    records = pd.concat(some, ignore_index=True).drop_duplicates("utterance_id", keep="last")
    # Shards of before do not tell where features are; the records of those that do, do.
    unknown = {name: -1 if PLACED[name] == "int64" else "" for name in PLACED if name in found}
    records = records.fillna(unknown).astype({name: PLACED[name] for name in unknown})
    return records.sort_values("utterance_id", ignore_index=True)
