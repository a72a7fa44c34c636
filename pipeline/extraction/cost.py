"""What a view would take, told before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.encoders.base import Outline
from pipeline.encoders.pooling import MEAN_STD
from pipeline.extraction.settings import ViewSettings
from pipeline.store.reader import FeatureStore
from pipeline.store.views import CODES

BYTES_BESIDE = 400  # of a clip: its row in the tables


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the clips that a view lacks would take.

    Attributes:
        num_new: Clips that the view does not have.
        num_known: Clips that it has.
        hours: Of the new clips whose length is known.
        num_unmeasured: New clips whose length is not known.
        frames_per_hour: Of frames or codes, as stored; None of a view that keeps neither.
        unit_bytes: What one clip takes; of frames or codes what an hour takes.
    """

    num_new: int
    num_known: int
    hours: float
    num_unmeasured: int
    frames_per_hour: float | None
    unit_bytes: float

    def __str__(self) -> str:
        if self.frames_per_hour is None:
            disk = self.num_new * self.unit_bytes / 1e6
            return f"{self._clips}; {self.unit_bytes / 1e3:.1f} kB a clip, {disk:.1f} MB of disk"
        per_hour = (
            f"{self._clips}; {self.frames_per_hour:,.0f} frames and {self.unit_bytes / 1e6:.1f} MB "
            "an hour"
        )
        frames = f"{self.hours * self.frames_per_hour:,.0f} frames"
        disk = self.hours * self.unit_bytes / 1e6
        if self.num_unmeasured:
            return (
                f"{per_hour}, {frames} and {disk:.1f} MB of disk for {self.hours:.3g} h, and more "
                f"for {self.num_unmeasured} clips of unknown length"
            )
        return f"{per_hour}, {frames} and {disk:.1f} MB of disk for {self.hours:.3g} h"

    @property
    def _clips(self) -> str:
        return (
            f"{self.num_new} clips to extract, {self.num_known} known, which are looked at again "
            "if their audio has changed"
        )


def cost_of(
    settings: ViewSettings, outline: Outline, requests: pd.DataFrame, store: FeatureStore | None
) -> Cost:
    """Return what a view's new clips would take.

    Args:
        settings: Of the view, as `check_settings` returned them.
        outline: Of its encoder.
        requests: The clips, `pipeline.manifests.manifest.requests`.
        store: The store that the view is of; None where there is none yet.
    """
    known: Sequence[str] = ()
    if store is not None and settings.name in store.views:
        known = store.view(settings.name).records["utterance_id"].tolist()
    new = requests[~requests["utterance_id"].isin(known)]
    seconds = _durations(new, store)
    frames_per_hour: float | None = None
    unit = float(bytes_per_clip(outline, settings))
    if settings.is_ragged:
        assert outline.frames_per_s is not None
        frames_per_hour = 3600 * outline.frames_per_s / settings.every
        unit = frames_per_hour * bytes_per_frame(outline, settings)
    return Cost(
        num_new=len(new),
        num_known=len(requests) - len(new),
        hours=float(np.nansum(seconds)) / 3600,
        num_unmeasured=int(np.isnan(seconds).sum()),
        frames_per_hour=frames_per_hour,
        unit_bytes=unit,
    )


def bytes_per_clip(outline: Outline, settings: ViewSettings) -> int:
    """Return the disk that one clip's layers take, with what stands in tables beside them."""
    width = outline.dim * (2 if settings.pooling == MEAN_STD else 1)
    return outline.num_layers * width * np.dtype(settings.stored_dtype).itemsize + BYTES_BESIDE


def bytes_per_frame(outline: Outline, settings: ViewSettings) -> int:
    """Return the disk that one stored frame takes: R layers of width D, or a code of Q books."""
    if settings.kind == CODES:
        return settings.codebooks * np.dtype(settings.stored_dtype).itemsize
    return len(settings.layers) * outline.dim * np.dtype(settings.stored_dtype).itemsize


def _durations(requests: pd.DataFrame, store: FeatureStore | None) -> np.ndarray:
    """Return each clip's seconds, by the manifest or else by another view; NaN where unknown."""
    counted = (requests["num_samples"] > 0) & (requests["sample_rate"] > 0)
    promised = (requests["num_samples"] / requests["sample_rate"]).where(counted)
    cut = requests["end"] - requests["start"].fillna(0)
    seconds = promised.fillna(cut)
    if store is not None:
        recorded = store.index.set_index("utterance_id")["duration"]
        recorded = recorded[recorded > 0].reindex(requests["utterance_id"])
        seconds = seconds.fillna(pd.Series(recorded.to_numpy(), index=requests.index))
    return seconds.to_numpy(dtype=np.float64)
