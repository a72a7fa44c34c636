"""Which clips still need features, and how they are cut into shards.

The plan depends on the committed store and the manifest alone, never on what a killed run had
reached: that is what makes a resumed run end with the bytes of an undisturbed one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count

import pandas as pd

from pipeline.audio.outcomes import LENGTH_MISMATCH, OK
from pipeline.errors import FeatureStoreError
from pipeline.store.format import Shard
from pipeline.store.views import SEGMENT_COLUMNS
from pipeline.store.writer import ViewWriter

# What a plan knows of a clip: columns of the table of requests. `source` is what its features are
# made from, a file or whatever `digests_of` knows by that text; `num_samples` and `sample_rate` are
# what the manifest promises, -1 where it does not.
REQUEST_COLUMNS = (
    "utterance_id",
    "source",
    "start",
    "end",
    "channel",
    "num_samples",
    "sample_rate",
)

Digests = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True)
class Group:
    """The clips that become one shard.

    Attributes:
        number: The shard's number.
        requests: The clips, in manifest order, columns `REQUEST_COLUMNS`.
        is_finished: Whether a killed run has published it.
    """

    number: int
    requests: pd.DataFrame
    is_finished: bool


def plan_groups(
    writer: ViewWriter,
    requests: pd.DataFrame,
    *,
    rows_per_shard: int,
    digests_of: Digests,
    may_adopt: bool,
) -> list[Group]:
    """Cut the clips that need features into shards, and mark the finished ones.

    Args:
        writer: The view to add to.
        requests: The manifest's clips, unique in utterance_id.
        rows_per_shard: Clips per shard.
        digests_of: Gives the digests of sources, "" for one that cannot be read.
        may_adopt: Whether shards of an earlier, different plan are committed first.

    Raises:
        FeatureStoreError: If there are such shards and they may not be.
    """
    standing = set(writer.published())  # before others of this plan can add to them
    groups = _match(writer, requests, rows_per_shard, digests_of)
    strays = standing - {group.number for group in groups if group.is_finished}
    if strays and not may_adopt:
        raise FeatureStoreError(
            f"{writer.root}: view {writer.view!r} has {len(strays)} finished shards of other clips "
            "than this manifest makes now, and a job may not take them in; run the same command "
            "once without --num-jobs and --job-index."
        )
    if strays:
        # The manifest or the audio changed after a kill: keep what is done, then plan anew.
        writer.adopt_strays()
        groups = _match(writer, requests, rows_per_shard, digests_of)
    return groups


def pending(requests: pd.DataFrame, records: pd.DataFrame, digests_of: Digests) -> pd.DataFrame:
    """Return the clips whose features are absent or were made from other audio."""
    known = requests["utterance_id"].isin(records["utterance_id"])
    candidates = requests[known].set_index("utterance_id", drop=False)
    recorded = records.set_index("utterance_id").reindex(candidates.index)
    same = _same_clips(candidates, recorded, digests_of)
    unchanged = candidates["utterance_id"][same]
    return requests[~requests["utterance_id"].isin(unchanged)]


def _match(
    writer: ViewWriter, requests: pd.DataFrame, rows_per_shard: int, digests_of: Digests
) -> list[Group]:
    todo = pending(requests, writer.records, digests_of)
    groups = []
    for number, part in _cut(writer, todo, rows_per_shard):
        shard = writer.read_published(number)
        is_finished = shard is not None and _is_of(part, shard, digests_of)
        groups.append(Group(number, part, is_finished))
    return groups


def _cut(
    writer: ViewWriter, todo: pd.DataFrame, rows_per_shard: int
) -> list[tuple[int, pd.DataFrame]]:
    """Cut clips into numbered parts; what a repair dropped goes where it was."""
    parts = []
    for number, utterance_ids in writer.refill.items():
        is_here = todo["utterance_id"].isin(utterance_ids)
        if is_here.any():
            parts.append((number, todo[is_here]))
            todo = todo[~is_here]
    unnamed = [number for number, utterance_ids in writer.refill.items() if not utterance_ids]
    numbers = chain(sorted(unnamed), count(writer.next_number))
    for start in range(0, len(todo), rows_per_shard):
        parts.append((next(numbers), todo.iloc[start : start + rows_per_shard]))
    return sorted(parts, key=lambda part: part[0])


def _is_of(requests: pd.DataFrame, shard: Shard, digests_of: Digests) -> bool:
    if requests["utterance_id"].tolist() != shard.clips["utterance_id"].tolist():
        return False
    return bool(_same_clips(requests.reset_index(drop=True), shard.clips, digests_of).all())


def _same_clips(requests: pd.DataFrame, recorded: pd.DataFrame, digests_of: Digests) -> pd.Series:
    """Say of two equally indexed tables which rows mean the same audio with the same promises."""
    same = pd.Series(True, index=requests.index)  # noqa: FBT003 (a fill value, not a flag)
    for column in SEGMENT_COLUMNS:
        left, right = (t[column].astype("float64").fillna(-1) for t in (requests, recorded))
        same &= left == right
    kept_promise, same_promise = same.copy(), same.copy()
    for column in ("num_samples", "sample_rate"):
        same_promise &= requests[column] == recorded[column]
        kept_promise &= (requests[column] == -1) | (requests[column] == recorded[column])
    # A promise that was kept must still be; a broken one is tried again when it is another.
    same &= kept_promise | (recorded["outcome"] != OK)
    same &= same_promise | (recorded["outcome"] != LENGTH_MISMATCH)
    if same.any():
        digests = digests_of(requests["source"][same].tolist())
        same[same] = recorded["file_digest"][same].to_numpy() == digests
    return same
