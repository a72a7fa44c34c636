"""Views of any name and kind over a few files, made through the planner and the writer alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.extraction import table
from pipeline.files import sha256_bytes
from pipeline.store.format import Shard
from pipeline.store.planning import plan_groups
from pipeline.store.turns import enter_turn
from pipeline.store.views import CLIP_COLUMNS, FRAMES, LAYERS
from pipeline.store.writer import ViewWriter

KINDS = {LAYERS: "dense", FRAMES: "ragged", "codes": "ragged"}


def write_files(folder: Path, **contents: str) -> dict[str, Path]:
    """Write small files, which stand for recordings, and return their paths by id."""
    folder.mkdir(exist_ok=True)
    for name, text in contents.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in contents}


def features_of(view: str, path: Path) -> np.ndarray:
    """Return a clip's features in a view: numbers drawn from the file's bytes."""
    data = path.read_bytes()
    draw = np.random.default_rng([*data, *view.encode()])
    shape = (3, 2) if KINDS[view] == "dense" else (len(data), 2, 2)
    return draw.normal(size=shape).astype("f4")


def bring_up(
    root: Path,
    view: str,
    files: Mapping[str, Path],
    recipe: Mapping[str, Any] | None = None,
    *,
    fitted: bytes | None = None,
    provenance: Mapping[str, Any] | None = None,
    replace: bool = False,
    prune: bool = False,
    kept_bytes: float | None = None,
) -> int:
    """Bring a view up to date with some files; return how many clips were made."""
    recipe = {"view": view, **(recipe or {})}
    requests = table(dict(files))
    with enter_turn(root):
        writer = ViewWriter(root, view, recipe, provenance or {}, replace=replace)
        groups = plan_groups(
            writer, requests, rows_per_shard=2, digests_of=_digests, may_adopt=True
        )
        if fitted is not None:
            writer.publish_fitted(fitted)
        todo = [group for group in groups if not group.is_finished]
        for group in todo:
            writer.publish(group.number, _shard(view, group.requests, recipe, provenance or {}))
        keep = frozenset(files) if prune else None
        writer.commit([group.number for group in groups], keep, kept_bytes)
    return sum(len(group.requests) for group in todo)


def _digests(sources: Sequence[str]) -> list[str]:
    return [sha256_bytes(Path(source).read_bytes()) for source in sources]


def _shard(
    view: str, requests: pd.DataFrame, recipe: Mapping[str, Any], provenance: Mapping[str, Any]
) -> Shard:
    paths = [Path(source) for source in requests["source"]]
    values = {
        **{name: requests[name].to_numpy() for name in ("utterance_id", "start", "end", "channel")},
        "file_digest": _digests(requests["source"].tolist()),
        "audio_digest": "",
        "num_samples": [len(path.read_bytes()) for path in paths],
        "sample_rate": 1,
        "duration": [float(len(path.read_bytes())) for path in paths],
        "outcome": "ok",
        "message": "",
        "row": range(len(paths)),
    }
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    clips = pd.DataFrame(values).astype(kinds)
    each = [features_of(view, path) for path in paths]
    if KINDS[view] == "dense":
        return Shard(clips=clips, features=np.stack(each), recipe=recipe, provenance=provenance)
    offsets = np.cumsum([0, *map(len, each)], dtype=np.int64)
    return Shard(
        clips=clips,
        features=np.concatenate(each),
        recipe=recipe,
        provenance=provenance,
        offsets=offsets,
    )
