"""From a view of frames to views of codes: codebooks fitted on training clips, then every frame.

A view of codes is derived: its recipe names its parent's, the clips that its codebooks were fitted
on, and their audio, so that no head is judged by clips that had a part in the fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.errors import FeatureStoreError, ManifestError
from pipeline.extraction.codebook_fit import (
    Fitted,
    FrameSample,
    TokeniseConfig,
    fit_codebooks,
    forget,
)
from pipeline.files import fingerprint, sha256_bytes
from pipeline.manifests.manifest import Manifest
from pipeline.names import require_view_name
from pipeline.progress import Reporter
from pipeline.provenance import package_versions
from pipeline.quantisation.codebooks import Codebooks
from pipeline.store.contents import fitted_name
from pipeline.store.format import Shard
from pipeline.store.planning import REQUEST_COLUMNS, plan_groups
from pipeline.store.reader import FeatureStore, View
from pipeline.store.recipe import Recipe, derived_recipe
from pipeline.store.turns import enter_turn
from pipeline.store.views import CLIP_COLUMNS, CODES, FRAMES
from pipeline.store.writer import ViewWriter

STATE = ".tokenise"  # in the store's folder, while codebooks are fitted


@dataclass(frozen=True, kw_only=True)
class Tokenised:
    """What was done for one view.

    Attributes:
        view: Its name.
        num_clips: Clips that it was derived for by this run.
        said: Of the fit, for a person.
    """

    view: str
    num_clips: int
    said: str


def tokenise(
    manifest: Manifest,
    root: Path,
    config: TokeniseConfig,
    *,
    parent: str,
    names: Mapping[int, str],
    replace: bool,
    prune: bool = False,
    device: str,
    reporter: Reporter,
) -> list[Tokenised]:
    """Derive views of codes for the clips of a manifest, one for each number of centroids.

    Args:
        manifest: Its rows of split `train` are what the codebooks are fitted on.
        root: The store's folder.
        config: What changes a number.
        parent: The view of frames.
        names: Of the views to make, by k.
        replace: Make a view anew that was made otherwise, and keep that one beside it.
        prune: Forget clips that the manifest does not name.
        device: A torch device, of the fit.
        reporter: Hears of progress.

    Raises:
        ManifestError: If rows were never extracted, or none is to be fitted on.
        FeatureStoreError: If the store is in use or damaged, the parent is no view of frames, or a
            view was made otherwise and `replace` is not given.
        ParamsError: If there are fewer frames than centroids.
        OutputError: If it cannot be written; what is finished is kept.
    """
    features = StoredFeatures(manifest, {"": root}, [parent])
    if features.kind(parent) != FRAMES:
        raise FeatureStoreError(
            f"{root}: view {parent!r} is one of {features.kind(parent)}, wanted one of frames; "
            "name another --view."
        )
    view = FeatureStore.open(root).view(parent)
    rows = np.flatnonzero(features.has_features & (manifest.table["split"] == "train").to_numpy())
    if not len(rows):
        raise ManifestError(
            f"{manifest.path}: no row of split 'train' has frames, wanted those that codebooks are "
            "fitted on; choose a fold with --fold or mend the split column."
        )
    clips = _Clips(features, view, rows)
    done = []
    for k, name in names.items():
        deriving = _Deriving(root, name, clips, config, k, device=device, reporter=reporter)
        done.append(deriving.run(replace=replace, prune=prune))
    return done


class _Clips:
    """The clips of a manifest in their parent view, and those that are fitted on."""

    def __init__(self, features: StoredFeatures, view: View, rows: np.ndarray) -> None:
        ids = np.array(features.manifest.store_ids, dtype=object)
        self.view = view
        self.fit_ids = [str(name) for name in ids[rows]]
        self.speakers = features.groups("speaker")[rows]
        self.records = view.records.set_index("utterance_id", drop=False).loc[list(ids)]
        fitted = self.records.iloc[rows]
        # Ingested frames are of no audio that is known; their file is the frames themselves.
        audio = fitted["audio_digest"].where(fitted["audio_digest"] != "", fitted["file_digest"])
        self.fit_audio = fingerprint(sorted(zip(self.fit_ids, audio, strict=True)))
        self._sample: FrameSample | None = None

    @property
    def sample(self) -> FrameSample:
        """What codebooks are fitted on; the frames are gone through when first asked for."""
        if self._sample is None:
            self._sample = FrameSample(self.view, self.fit_ids, self.speakers)
        return self._sample

    def requests(self) -> pd.DataFrame:
        """Return the table that a plan is made of; a clip's source is its id."""
        table = self.records.reset_index(drop=True)
        return table.assign(source=table["utterance_id"])[list(REQUEST_COLUMNS)]

    def digests_of(self, sources: Sequence[str]) -> list[str]:
        """Return the digests of the recordings that clips' frames were made from."""
        digests: list[str] = self.records.loc[list(sources), "file_digest"].tolist()
        return digests


class _Deriving:
    """One view of codes in the making."""

    def __init__(
        self,
        root: Path,
        name: str,
        clips: _Clips,
        config: TokeniseConfig,
        k: int,
        *,
        device: str,
        reporter: Reporter,
    ) -> None:
        require_view_name("--out", name)
        self._root = root
        self._name = name
        self._clips = clips
        self._config = config
        self._k = k
        self._device = device
        self._reporter = reporter

    def run(self, *, replace: bool, prune: bool) -> Tokenised:
        clips, parent = self._clips, self._clips.view
        with enter_turn(self._root):
            codebooks, told, said = self._codebooks()
            data = codebooks.to_bytes()
            recipe = {**self._unfitted, "fitted": sha256_bytes(data)}
            provenance = {
                "encoder": parent.provenance.get("encoder"),
                "fit_ids": sorted({*clips.fit_ids, *parent.fit_ids}),
                "fit": told,
                "versions": package_versions(),
            }
            writer = ViewWriter(self._root, self._name, recipe, provenance, replace=replace)
            groups = plan_groups(
                writer,
                clips.requests(),
                rows_per_shard=self._config.rows_per_shard,
                digests_of=clips.digests_of,
                may_adopt=True,
            )
            writer.publish_fitted(data)
            todo = [group for group in groups if not group.is_finished]
            self._reporter.begin(sum(len(group.requests) for group in todo))
            for group in todo:
                records = clips.records.loc[group.requests["utterance_id"].tolist()]
                writer.publish(group.number, _shard(records, parent, codebooks, recipe, provenance))
                self._reporter.advance(len(records))
            keep = frozenset(clips.records["utterance_id"]) if prune else None
            writer.commit([group.number for group in groups], keep)
            forget(self._state)
        num_clips = sum(len(group.requests) for group in todo)
        return Tokenised(view=self._name, num_clips=num_clips, said=said)

    @cached_property
    def _unfitted(self) -> dict[str, Any]:
        """The recipe but for the digest of what is fitted."""
        config, parent = self._config, self._clips.view
        return derived_recipe(
            CODES,
            parent=parent.name,
            parent_recipe=parent.recipe,
            fitted_digest="",
            fit_ids=[*self._clips.fit_ids, *parent.fit_ids],
            settings={
                "num_codes": self._k,
                "dim": parent.feature_shape[1],
                "layers": list(parent.recipe.get("layers", range(parent.feature_shape[0]))),
                "frames_per_centroid": config.frames_per_centroid,
                "iterations": config.iterations,
                "standardise": config.standardise,
                "compute_dtype": config.compute_dtype,
                "seed": config.seed,
                "fit_audio": self._clips.fit_audio,
                "stored_dtype": "uint16",
            },
        )

    @property
    def _state(self) -> Path:
        return self._root / STATE / fingerprint(self._unfitted)[:16]

    def _codebooks(self) -> tuple[Codebooks, dict[str, Any], str]:
        """Return the codebooks: of an edition that was fitted just so, or fitted now."""
        for view in self._editions():
            if {**view.recipe, "fitted": ""} == self._unfitted:
                codebooks = Codebooks.from_bytes(view.fitted_bytes(), f"{self._root}: {view.name}")
                told: Any = view.provenance["fit"]
                return codebooks, told, "fitted before"
        self._reporter.say(
            f"view {self._name}: fitting {self._k} centroids for each of "
            f"{self._clips.view.feature_shape[0]} layers on {len(self._clips.fit_ids)} clips"
        )
        fitted = fit_codebooks(
            self._clips.sample, self._config, self._k, self._state, device=self._device
        )
        told = {"num_frames": fitted.num_frames, "num_empty": list(fitted.num_empty)}
        return fitted.codebooks, told, _describe(fitted, self._clips)

    def _editions(self) -> Iterator[View]:
        """Yield the editions whose codebooks are there: a repair drops what is damaged."""
        store = FeatureStore.open(self._root)
        views = [store.view(self._name)] if self._name in store.views else []
        views += [view for view in store.kept if view.name == self._name]
        for view in views:
            if fitted_name(view.edition.folder) in store.contents.digests:
                yield view


def _describe(fitted: Fitted, clips: _Clips) -> str:
    inertia = fitted.codebooks.inertia
    ends = ", ".join(f"{first:.3g} to {last:.3g}" for first, last in inertia[:, [0, -1]].tolist())
    empty = sum(fitted.num_empty)
    return (
        f"fitted on {fitted.num_frames} of {int(clips.sample.num_frames.sum())} frames of "
        f"{len(clips.fit_ids)} clips; mean squared distance {ends}; {empty} empty clusters"
    )


def _shard(
    records: pd.DataFrame,
    parent: View,
    codebooks: Codebooks,
    recipe: Recipe,
    provenance: Mapping[str, Any],
) -> Shard:
    """Return the codes of some clips; the frames of one parent's shard are in memory at a time."""
    has_frames = (records["row"] >= 0).to_numpy()
    ids = records["utterance_id"].to_numpy()
    codes: list[np.ndarray] = [np.empty(0)] * len(records)
    for shard in np.unique(records["shard"][has_frames]):
        members = np.flatnonzero(has_frames & (records["shard"] == shard).to_numpy())
        frames = parent.read_ragged([str(ids[i]) for i in members])
        for member, own in zip(members, frames, strict=True):
            codes[member] = codebooks.assign(own)
    kept = [one for one, is_there in zip(codes, has_frames, strict=True) if is_there]
    rows = np.where(has_frames, np.cumsum(has_frames) - 1, -1)
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    clips = records.reset_index(drop=True)[list(CLIP_COLUMNS)].assign(row=rows).astype(kinds)
    empty = np.empty((0, len(codebooks.centroids)), np.uint16)
    return Shard(
        clips=clips,
        features=np.concatenate([empty, *kept]),
        recipe=recipe,
        provenance=provenance,
        offsets=np.cumsum([0, *map(len, kept)], dtype=np.int64),
    )
