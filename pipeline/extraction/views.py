"""A view to be made: its settings with the encoder open, what its shards are, where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.encoders.base import Encoder
from pipeline.encoders.catalogue import open_encoder
from pipeline.errors import FeatureStoreError
from pipeline.extraction.agreement import check_settings
from pipeline.extraction.encoding import fitted_bytes, make_recipe
from pipeline.extraction.settings import ViewSettings
from pipeline.manifests.manifest import TRAINED_ON
from pipeline.provenance import package_versions
from pipeline.store.contents import Contents, read_contents, shard_name
from pipeline.store.format import Shard
from pipeline.store.planning import Digests, Group, plan_groups
from pipeline.store.recipe import Recipe
from pipeline.store.turns import Job
from pipeline.store.writer import ViewWriter


@dataclass(frozen=True, kw_only=True)
class OpenView:
    """A view whose encoder is open.

    Attributes:
        settings: What makes it, as `check_settings` returned them.
        encoder: The encoder that the settings name.
    """

    settings: ViewSettings
    encoder: Encoder

    @property
    def name(self) -> str:
        """Its name in the store."""
        return self.settings.name

    def wanted(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return the clips that it is of: of copies, those that are trained on."""
        if not self.settings.copy:
            return requests
        return requests[requests[TRAINED_ON]].reset_index(drop=True)

    @cached_property
    def fitted(self) -> bytes | None:
        """The content of its `fitted.safetensors`; None where it has none."""
        return fitted_bytes(self.encoder, self.settings)

    @cached_property
    def recipe(self) -> Recipe:
        """Everything that changes a number of it."""
        return make_recipe(self.encoder, self.settings, self.fitted)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What is recorded and not compared."""
        told = {"encoder": self.settings.encoder, "versions": package_versions()}
        fit_ids = list(self.encoder.fit_ids)
        return {**told, "fit_ids": fit_ids} if fit_ids else told


def open_views(settings: Sequence[ViewSettings], device: str) -> list[OpenView]:
    """Open the encoders of views, each once.

    Raises:
        EncoderError: If one cannot be loaded, or does not fit its view.
    """
    encoders: dict[tuple[str, str, float | None], Encoder] = {}
    views = []
    for each in settings:
        key = each.encoder, each.compute_dtype, each.window_s
        if key not in encoders:
            encoders[key] = open_encoder(
                each.encoder,
                compute_dtype=each.compute_dtype,
                device=device,
                window_s=each.window_s,
            )
        views.append(open_view(encoders[key], each))
    return views


def open_view(encoder: Encoder, settings: ViewSettings) -> OpenView:
    """Return a view of an open encoder.

    Raises:
        EncoderError: If encoder and settings do not fit one another.
    """
    return OpenView(settings=check_settings(encoder.outline, settings), encoder=encoder)


class ViewPlan:
    """What is to be done for one view of a store.

    Attributes:
        view: The view.
        writer: Its writing side.
        requests: The clips that it is of.
        groups: Those that become shards, finished ones too.
    """

    def __init__(
        self, root: Path, view: OpenView, requests: pd.DataFrame, *, replace: bool
    ) -> None:
        self.view = view
        self.writer = ViewWriter(root, view.name, view.recipe, view.provenance, replace=replace)
        self.requests = view.wanted(requests)
        self.groups: list[Group] = []

    def make(self, digests_of: Digests, *, is_whole: bool) -> None:
        """Cut the clips that need features into shards, by the store as it is now.

        Args:
            digests_of: Gives the digests of sources.
            is_whole: Whether this run does the whole plan; a job only adds shards of its own.

        Raises:
            FeatureStoreError: If a job finds shards of another plan.
        """
        self.writer.refresh()
        # First of all: whatever is committed from here on, strays too, is committed with it.
        if self.view.fitted is not None and is_whole:
            self.writer.publish_fitted(self.view.fitted)
        self.groups = plan_groups(
            self.writer,
            self.requests,
            rows_per_shard=self.view.settings.rows_per_shard,
            digests_of=digests_of,
            may_adopt=is_whole,
        )

    def publish_beside_others(self, number: int, shard: Shard) -> None:
        """Put a job's finished shard on the disk, unless it stands there; nothing is overwritten.

        Raises:
            FeatureStoreError: If another run has put other clips there, or committed the shard.
            OutputError: If it cannot be written.
        """
        standing = self.writer.read_published(number)
        ids = [] if standing is None else standing.clips["utterance_id"].tolist()
        name = shard_name(self.writer.folder, number)
        committed = (read_contents(self.writer.root) or Contents()).digests
        if name in committed or (standing and ids != shard.clips["utterance_id"].tolist()):
            raise FeatureStoreError(
                f"{self.writer.root / name}: another run has written this shard; jobs side by side "
                "want the same manifest and parameters, and no other run beside them."
            )
        if standing is None:
            self.writer.publish(number, shard)

    def commit(self, keep: frozenset[str] | None, kept_bytes: float | None) -> None:
        """Make the plan's shards part of the store as it is now."""
        self.writer.refresh()
        self.writer.commit([group.number for group in self.groups], keep, kept_bytes)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Clips that go through an encoder together, and the shards that they become.

    Attributes:
        requests: The clips.
        shards: For each view the number of its shard; all of one encoder, all of these clips.
    """

    requests: pd.DataFrame
    shards: list[tuple[ViewPlan, int]] = field(default_factory=list)

    @property
    def views(self) -> list[OpenView]:
        """The views that the pass is for."""
        return [plan.view for plan, _ in self.shards]


def cut_pieces(plans: Sequence[ViewPlan], job: Job) -> list[Piece]:
    """Return what a job has to do: views of one encoder share the pass over equal clips.

    Batches are cut within a piece, so a shard has the same bytes whether its pass was shared.
    """
    pieces: dict[Any, Piece] = {}
    for plan in plans:
        for group in plan.groups:
            if job.owns(group.number) and not group.is_finished:
                key = (*pass_key(plan.view), tuple(group.requests["utterance_id"]))
                piece = pieces.setdefault(key, Piece(requests=group.requests))
                piece.shards.append((plan, group.number))
    return list(pieces.values())


def pass_key(view: OpenView) -> tuple[int, float, int]:
    """Return what views that share a pass have in common: encoder, length of audio, and copy."""
    return id(view.encoder), view.settings.max_duration_s, view.settings.copy


def remembered(digests_of: Digests) -> Digests:
    """Return a way to digests that looks at each source once, for the plans of several views."""
    known: dict[str, str] = {}

    def look_up(sources: Sequence[str]) -> list[str]:
        new = [source for source in dict.fromkeys(sources) if source not in known]
        known.update(zip(new, digests_of(new), strict=True))
        return [known[source] for source in sources]

    return look_up
