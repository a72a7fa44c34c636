"""From audio files to the `layers` view of a store, shard by shard."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.audio.outcomes import LENGTH_MISMATCH, OK
from pipeline.audio.segments import segments
from pipeline.encoders.base import Encoder
from pipeline.errors import AudioError, ManifestError
from pipeline.extraction.encoding import (
    Decoded,
    ExtractConfig,
    decode,
    encode_all,
    file_digest,
    make_recipe,
    stored,
)
from pipeline.progress import Reporter
from pipeline.provenance import package_versions
from pipeline.store.format import Shard
from pipeline.store.planning import Group, plan_groups
from pipeline.store.recipe import Recipe
from pipeline.store.turns import Job, Turn, enter_turn
from pipeline.store.views import CLIP_COLUMNS, LAYERS
from pipeline.store.writer import ViewWriter


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run has done.

    Attributes:
        outcomes: Clips of the manifest by outcome; empty while other jobs are still at work.
        num_computed: Clips decoded and encoded by this run.
        audio_s: Seconds of audio in them.
        is_committed: Whether index and store.json stand.
    """

    outcomes: dict[str, int]
    num_computed: int
    audio_s: float
    is_committed: bool

    @property
    def num_failed(self) -> int:
        """Clips without features."""
        return sum(n for outcome, n in self.outcomes.items() if outcome != OK)


def extract(
    requests: pd.DataFrame,
    root: Path,
    encoder: Encoder,
    config: ExtractConfig,
    *,
    reporter: Reporter,
    job: Job | None = None,
    workers: int = 2,
    batch_seconds: float = 32.0,
    prune: bool = False,
    replace: bool = False,
    kept_bytes: float | None = None,
) -> Summary:
    """Bring a store's `layers` view up to date with a manifest's clips.

    Args:
        requests: The clips, `pipeline.manifests.manifest.requests`.
        root: The store's folder.
        encoder: The frozen encoder.
        config: What changes a number; `encoder` must be what it names.
        reporter: Hears of progress.
        job: This job of a plan of several; None does the whole.
        workers: Threads that decode; changes speed only.
        batch_seconds: Audio per batch, padding included; changes the last bits only.
        prune: Forget clips that `requests` does not name.
        replace: Make the view anew where it was made with another recipe, put it in place of that
            one when all is done, and keep that one beside it.
        kept_bytes: Disk that kept editions of the view may take, None for any.

    Raises:
        ManifestError: If two rows have one id.
        FeatureStoreError: If the store is in use, damaged, or was made with another recipe.
        OutputError: If it cannot be written; finished shards are kept.
    """
    repeated = requests["utterance_id"][requests["utterance_id"].duplicated()]
    if len(repeated):
        raise ManifestError(
            f"{root}: found store_id {repeated.iloc[0]!r} in several rows, wanted one row for each "
            "clip of a store; mend the manifest."
        )
    recipe = make_recipe(encoder, config)
    provenance = {"encoder": config.encoder, "versions": package_versions()}
    job = job or Job()
    plan_key = [requests.drop(columns="source").to_json(orient="values"), dict(recipe)]
    with enter_turn(root, job=job, plan_key=plan_key) as turn, _pool(workers) as executor:
        with turn.settled():
            writer = ViewWriter(root, LAYERS, recipe, provenance, replace)

        def plan() -> list[Group]:
            return plan_groups(
                writer,
                requests,
                rows_per_shard=config.rows_per_shard,
                digests_of=lambda sources: list(executor.map(file_digest, map(Path, sources))),
                may_adopt=turn.alone,
            )

        groups = plan()
        turn.share()
        with turn.settled():
            if writer.refresh():  # the other jobs have committed while this one planned
                groups = plan()
        mine = [g for g in groups if job.owns(g.number) and not g.is_finished]
        num_todo = sum(len(g.requests) for g in mine)
        num_resumed = sum(len(g.requests) for g in groups if g.is_finished)
        num_known = len(requests) - sum(len(g.requests) for g in groups)
        reporter.say(
            f"{num_todo} clips to extract, {num_known} in the store already"
            + (f", {num_resumed} kept from a run that was stopped" if num_resumed else "")
        )
        reporter.begin(num_todo)
        audio_s = 0.0
        for group, decoded in _decoded_groups(mine, executor, encoder, config):
            shard = _make_shard(group, decoded, encoder, config, batch_seconds, recipe, provenance)
            writer.publish(group.number, shard)
            seconds = float(shard.clips["duration"].sum())
            audio_s += seconds
            reporter.advance(len(group.requests), seconds)
        keep = frozenset(requests["utterance_id"]) if prune else None
        is_committed = _commit(turn, writer, groups, keep, kept_bytes)
        if writer.kept_line:
            reporter.say(writer.kept_line)
    return Summary(
        outcomes=_count_outcomes(writer, requests) if is_committed else {},
        num_computed=num_todo,
        audio_s=audio_s,
        is_committed=is_committed,
    )


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    executor = ThreadPoolExecutor(max(workers, 1), thread_name_prefix="decode")
    try:
        yield executor
    finally:
        # On Ctrl-C nobody waits for what has not begun.
        executor.shutdown(wait=True, cancel_futures=True)


def _decoded_groups(
    groups: Sequence[Group],
    executor: ThreadPoolExecutor,
    encoder: Encoder,
    config: ExtractConfig,
) -> Iterator[tuple[Group, list[Decoded]]]:
    """Yield each group with its clips decoded; the next one is decoded meanwhile."""

    def submit(group: Group) -> list[Future[Decoded]]:
        return [
            executor.submit(decode, segment, encoder, config)
            for segment in segments(group.requests)
        ]

    ahead = submit(groups[0]) if groups else []
    for i, group in enumerate(groups):
        current = ahead
        ahead = submit(groups[i + 1]) if i + 1 < len(groups) else []
        yield group, [future.result() for future in current]


def _make_shard(
    group: Group,
    decoded: Sequence[Decoded],
    encoder: Encoder,
    config: ExtractConfig,
    batch_seconds: float,
    recipe: Recipe,
    provenance: dict[str, Any],
) -> Shard:
    wanted = segments(group.requests)
    usable = [i for i, d in enumerate(decoded) if d.clip is not None]
    moments = encode_all(
        [wanted[i] for i in usable],
        [clip for d in decoded if (clip := d.clip) is not None],
        encoder,
        config,
        batch_seconds,
    )
    features: list[np.ndarray] = []
    errors: dict[int, AudioError] = {i: d.error for i, d in enumerate(decoded) if d.error}
    rows = np.full(len(decoded), -1)
    for i, clip_moments in zip(usable, moments, strict=True):
        try:
            features.append(stored(clip_moments, config))
            rows[i] = len(features) - 1
        except AudioError as error:
            errors[i] = error
    empty = np.empty((0, encoder.num_layers, 1), config.stored_dtype)
    return Shard(
        clips=_clip_table(group.requests, decoded, errors, rows),
        features=np.stack(features) if features else empty,
        recipe=recipe,
        provenance=provenance,
    )


def _clip_table(
    requests: pd.DataFrame,
    decoded: Sequence[Decoded],
    errors: dict[int, AudioError],
    rows: np.ndarray,
) -> pd.DataFrame:
    clips = [d.clip for d in decoded]
    outcomes = [errors[i].outcome if i in errors else OK for i in range(len(decoded))]
    # Of a broken promise the promise is kept, so that the clip is tried again when it changes.
    is_broken = np.array(outcomes) == LENGTH_MISMATCH
    columns = {
        "utterance_id": requests["utterance_id"].tolist(),
        "start": requests["start"].to_numpy(),
        "end": requests["end"].to_numpy(),
        "channel": requests["channel"].to_numpy(),
        "file_digest": [d.file_digest for d in decoded],
        "audio_digest": [c.audio_digest if c else "" for c in clips],
        "num_samples": np.where(
            is_broken, requests["num_samples"], [c.num_samples if c else 0 for c in clips]
        ),
        "sample_rate": np.where(
            is_broken, requests["sample_rate"], [c.sample_rate if c else 0 for c in clips]
        ),
        "duration": [c.duration if c else 0.0 for c in clips],
        "outcome": outcomes,
        "message": [str(errors.get(i, "")) for i in range(len(decoded))],
        "row": rows,
    }
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    return pd.DataFrame(columns).astype(kinds)[list(CLIP_COLUMNS)]


def _commit(
    turn: Turn,
    writer: ViewWriter,
    groups: Sequence[Group],
    keep: frozenset[str] | None,
    kept_bytes: float | None,
) -> bool:
    """Commit if every shard of the plan is there; return whether the store now holds it."""
    with turn.settled():
        # Another job may have found the plan complete before this one.
        numbers = [] if writer.refresh() else [group.number for group in groups]
        if set(numbers) - set(writer.published()):
            return False
        writer.commit(numbers, keep, kept_bytes)
        turn.close_plan()
        return True


def _count_outcomes(writer: ViewWriter, requests: pd.DataFrame) -> dict[str, int]:
    records = writer.records
    mine = records[records["utterance_id"].isin(requests["utterance_id"])]
    return dict(sorted(Counter(mine["outcome"]).items()))
