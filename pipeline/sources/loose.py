"""Clips that are in no store, as a head sees them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.needs import Need
from pipeline.heads.standardiser import Standardiser
from pipeline.quantisation.codebooks import Codebooks
from pipeline.sources.source import Pool, Source, of_layers, padded, standardised
from pipeline.store.views import LAYERS


@dataclass(frozen=True, kw_only=True)
class LooseFeatures:
    """What is known of a clip.

    Attributes:
        name: Its utterance id.
        views: By name, as they would be stored: (L, D), frames (T, R, D), or codes (T, R).
        texts: By manifest column; the same columns for each clip.
    """

    name: str
    views: Mapping[str, np.ndarray]
    texts: Mapping[str, str]


class LooseSource(Source):
    """Clips whose features lie in memory and are of no manifest; at least one.

    Attributes:
        num_clips: N.
        lengths: Frames of each clip, summed over the ragged needs, and characters of its texts.
        shards: Zeros.
        is_mixable: Never: they are scored.
    """

    is_mixable = False

    def __init__(
        self,
        clips: Sequence[LooseFeatures],
        needs: Sequence[Need],
        standardisers: Mapping[str, Standardiser],
        *,
        codebooks: Mapping[str, Codebooks],
        device: str,
    ) -> None:
        """Take the clips.

        Args:
            clips: The clips.
            needs: What the head reads.
            standardisers: By need; not by group.
            codebooks: Of the views of codes.
            device: A torch device.
        """
        self.num_clips = len(clips)
        self.shards = np.zeros(len(clips), np.int64)
        self._clips, self._needs, self._device = clips, needs, device
        self._standardisers, self._codebooks = standardisers, codebooks
        self.lengths = np.array([self._length(clip) for clip in clips], dtype=np.int64)

    def batches(self, plan: Iterable[Pool]) -> Iterator[Batch]:
        """Yield the batches of a plan, one pool after another, without targets."""
        for pool in plan:
            for positions in pool:
                yield self._batch([self._clips[int(i)] for i in positions])

    def _length(self, clip: LooseFeatures) -> int:
        frames = sum(len(clip.views[need.view]) for need in self._needs if need.kind != LAYERS)
        return frames + sum(len(text) + 1 for text in clip.texts.values())

    def _batch(self, clips: Sequence[LooseFeatures]) -> Batch:
        views: dict[str, torch.Tensor | Ragged] = {}
        for need in self._needs:
            found = [clip.views[need.view] for clip in clips]
            view: torch.Tensor | Ragged
            if need.kind == LAYERS:
                if need.view in self._codebooks:
                    codebooks = self._codebooks[need.view]
                    found = [codebooks.pooled(codes, need.codes_as) for codes in found]
                view = torch.from_numpy(of_layers(np.stack(found), need)).to(self._device)
            else:
                view = padded([of_layers(frames, need) for frames in found], self._device)
            views[need.name] = standardised(view, self._standardisers.get(need.name))
        columns = clips[0].texts
        return Batch(
            views=views,
            texts={column: [clip.texts[column] for clip in clips] for column in columns},
            names=[clip.name for clip in clips],
        )
