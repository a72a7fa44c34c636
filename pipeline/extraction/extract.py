"""From audio files to views of a store, shard by shard."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.audio.decoders import decoders
from pipeline.audio.outcomes import OK
from pipeline.audio.segments import segments
from pipeline.engines.base import Engine
from pipeline.errors import ManifestError
from pipeline.extraction.encoding import Decoded, decode_for, file_digest
from pipeline.extraction.shards import make_shards
from pipeline.extraction.views import (
    OpenView,
    Piece,
    ViewPlan,
    cut_pieces,
    pass_key,
    remembered,
)
from pipeline.extraction.workers import ShardMaker, clips_of
from pipeline.progress import Reporter
from pipeline.store.format import Shard
from pipeline.store.turns import WHOLE, Job, enter_turn


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run has done for one view.

    Attributes:
        outcomes: Clips of the manifest by outcome; empty of a job of several.
        of_copies: Whether the view is one of augmented copies.
        num_computed: Clips decoded and encoded by this run.
        audio_s: Seconds of audio in them.
        is_committed: Whether index and store.json stand.
    """

    outcomes: dict[str, int]
    of_copies: bool
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
    views: Sequence[OpenView],
    *,
    reporter: Reporter,
    engine: Engine | None = None,
    device: str = "cpu",
    job: Job = WHOLE,
    workers: int = 2,
    batch_seconds: float = 32.0,
    prune: bool = False,
    replace: bool = False,
    kept_bytes: float | None = None,
) -> dict[str, Summary]:
    """Bring views of a store up to date with a manifest's clips.

    Views of one encoder share a pass over equal clips; their bytes are those of views made alone.

    Args:
        requests: The clips, `pipeline.manifests.manifest.requests`.
        root: The store's folder.
        views: What to make, with the encoders open; names are unique.
        reporter: Hears of progress.
        engine: Workers that encode, each with encoders of its own; None encodes here.
        device: A torch device of such workers.
        job: This job of a plan of several, which adds its shards and commits nothing.
        workers: Threads that decode; changes speed only.
        batch_seconds: Audio per batch, padding included; changes the last bits only.
        prune: Forget clips that `requests` does not name.
        replace: Make a view anew where it was made with another recipe, put it in place of that
            one when all is done, and keep that one beside it.
        kept_bytes: Disk that kept editions of a view may take, None for any.

    Returns:
        What was done for each view, by its name.

    Raises:
        ManifestError: If two rows have one id.
        FeatureStoreError: If the store is in use, damaged, or was made with another recipe.
        OutputError: If it cannot be written; finished shards are kept.
        EngineError: If workers cannot be had, die again and again, or have other packages.
    """
    repeated = requests["utterance_id"][requests["utterance_id"].duplicated()]
    if len(repeated):
        raise ManifestError(
            f"{root}: found store_id {repeated.iloc[0]!r} in several rows, wanted one row for each "
            "clip of a store; mend the manifest."
        )
    with enter_turn(root, job), decoders(workers) as executor:
        plans = [ViewPlan(root, view, requests, replace=replace) for view in views]
        digests_of = remembered(lambda sources: list(executor.map(file_digest, map(Path, sources))))
        for plan in plans:
            plan.make(digests_of, is_whole=job.is_whole)
        pieces = cut_pieces(plans, job)
        _announce(plans, pieces, reporter)
        seconds = dict.fromkeys((view.name for view in views), 0.0)
        maker = ShardMaker.of(views, device=device, workers=workers, batch_seconds=batch_seconds)
        made = (
            _made_here(pieces, executor, batch_seconds)
            if engine is None
            else engine.map(maker, [clips_of(piece) for piece in pieces])
        )
        for place, shards in made:
            piece = pieces[place]
            for (plan, number), shard in zip(piece.shards, shards, strict=True):
                publish = plan.writer.publish if job.is_whole else plan.publish_beside_others
                publish(number, shard)
                seconds[plan.view.name] += float(shard.clips["duration"].sum())
            reporter.advance(len(piece.requests), float(shards[0].clips["duration"].sum()))
        for plan in plans if job.is_whole else []:
            keep = frozenset(plan.requests["utterance_id"]) if prune else None
            plan.commit(keep, kept_bytes)
            if plan.writer.kept_line:
                reporter.say(plan.writer.kept_line)
    return {
        plan.view.name: Summary(
            outcomes=_count_outcomes(plan) if job.is_whole else {},
            of_copies=plan.view.settings.copy > 0,
            num_computed=_num_todo(plan, pieces),
            audio_s=seconds[plan.view.name],
            is_committed=job.is_whole,
        )
        for plan in plans
    }


def _num_todo(plan: ViewPlan, pieces: Sequence[Piece]) -> int:
    return sum(len(piece.requests) for piece in pieces if plan.view in piece.views)


def _announce(plans: Sequence[ViewPlan], pieces: Sequence[Piece], reporter: Reporter) -> None:
    """Say what there is to do for each view, and where a pass could have been shared."""
    for plan in plans:
        num_resumed = sum(len(g.requests) for g in plan.groups if g.is_finished)
        num_known = len(plan.requests) - sum(len(g.requests) for g in plan.groups)
        reporter.say(
            f"view {plan.view.name}: {_num_todo(plan, pieces)} clips to extract, {num_known} in "
            "the store already"
            + (f", {num_resumed} kept from a run that was stopped" if num_resumed else "")
        )
    alike: dict[tuple[int, float, int], dict[str, int]] = {}
    for plan in plans:
        if _num_todo(plan, pieces):
            sizes = alike.setdefault(pass_key(plan.view), {})
            sizes[plan.view.name] = plan.view.settings.rows_per_shard
    for sizes in alike.values():
        if len(set(sizes.values())) > 1:
            named = ", ".join(f"{name} {size}" for name, size in sizes.items())
            reporter.say(
                f"the encoder runs once for each number of clips per shard ({named}); one "
                "extract.rows_per_shard for all would let the views share a pass"
            )
    reporter.begin(sum(len(piece.requests) for piece in pieces))


def _made_here(
    pieces: Sequence[Piece], executor: ThreadPoolExecutor, batch_seconds: float
) -> Iterator[tuple[int, list[Shard]]]:
    """Yield the place of each piece and its shards; the next one is decoded meanwhile."""

    def submit(piece: Piece) -> list[Future[Decoded]]:
        view = piece.views[0]
        names = piece.requests["utterance_id"]
        return [
            executor.submit(decode_for, view.settings, segment, view.encoder, name)
            for segment, name in zip(segments(piece.requests), names, strict=True)
        ]

    ahead = submit(pieces[0]) if pieces else []
    for i, piece in enumerate(pieces):
        current = ahead
        ahead = submit(pieces[i + 1]) if i + 1 < len(pieces) else []
        decoded = [future.result() for future in current]
        yield i, make_shards(piece.requests, decoded, piece.views, batch_seconds)


def _count_outcomes(plan: ViewPlan) -> dict[str, int]:
    records = plan.writer.records
    mine = records[records["utterance_id"].isin(plan.requests["utterance_id"])]
    return dict(sorted(Counter(mine["outcome"]).items()))
