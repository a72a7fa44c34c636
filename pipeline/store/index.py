"""The tables of a store: the index of all views, and the outcomes of each.

The records of a view are its clips, with their shard. Those of the current `layers` are cut in two,
what it shares with other views in the index, the rest in its outcomes table; every other edition's
outcomes table has all of its records, so that it never depends on what another says of a clip.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.files import canonical_json
from pipeline.parquet import table_bytes
from pipeline.store.contents import INDEX, Contents
from pipeline.store.views import CLIP_COLUMNS, LAYERS

# What the index says of the other files, so that they can be told whole without `store.json`.
FILES_KEY = "genser.files"
PLACING_KEY = "genser.editions"

SHARED_COLUMNS = [c for c in CLIP_COLUMNS if c not in ("outcome", "message", "row")]
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
    return table_bytes(records[OUTCOME_COLUMNS] if shares else records)


def stands_alone(outcomes: pd.DataFrame) -> bool:
    """Say whether an outcomes table has all that is known of its clips."""
    return set(CLIP_COLUMNS) <= set(outcomes)


def split_index(index: pd.DataFrame, outcomes: pd.DataFrame, view: str) -> pd.DataFrame:
    """Return the records of a view whose outcomes table does not stand alone."""
    records = index[index[f"{view}.shard"].notna()].merge(outcomes, on="utterance_id")
    records["row"] = records[f"{view}.row"].fillna(-1).astype("int32")
    return records[[*CLIP_COLUMNS, "shard"]]


def merged(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the records of several tables, by utterance_id; the last one of a clip counts."""
    some = [frame for frame in frames if len(frame)]
    if not some:
        kinds: dict[Any, Any] = {**CLIP_COLUMNS, "shard": "int64"}
        return pd.DataFrame({c: pd.Series(dtype=k) for c, k in kinds.items()})
    records = pd.concat(some, ignore_index=True).drop_duplicates("utterance_id", keep="last")
    return records.sort_values("utterance_id", ignore_index=True)
