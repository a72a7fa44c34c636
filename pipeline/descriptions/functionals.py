"""The numbers of slots from openSMILE's functionals in a store, by their names in eGeMAPSv02.

Functionals are of the whole clip, silence at its ends too, and have no line through F0 and no
pauses: what they have that could stand for these hardly agrees with the built-in prosody
(docs/descriptors.md). So those two slots are left out.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.descriptions.acoustics import PEAKS_PER_S, VOICED_S, Acoustics
from pipeline.errors import FeatureStoreError
from pipeline.files import fingerprint
from pipeline.store.recipe import Recipe

FEATURE_SET = "eGeMAPSv02"
PITCH = "F0semitoneFrom27.5Hz_sma3nz_percentile50.0"
VARIATION = "F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2"
ENERGY = "loudness_sma3_amean"
DYNAMICS = "loudness_sma3_pctlrange0-2"
SHIMMER = "shimmerLocaldB_sma3nz_amean"
HARMONICS = "HNRdBACF_sma3nz_amean"
PEAKS = "loudnessPeaksPerSec"
SEGMENTS = "VoicedSegmentsPerSec"
SEGMENT_S = "MeanVoicedSegmentLengthSec"
# Where they stand among the set's 88.
PLACES: Mapping[str, int] = {
    PITCH: 3,
    VARIATION: 5,
    ENERGY: 10,
    DYNAMICS: 15,
    SHIMMER: 32,
    HARMONICS: 34,
    PEAKS: 81,
    SEGMENTS: 82,
    SEGMENT_S: 83,
}
SHIMMER_WEIGHT = 10.0  # shimmer varies a tenth as much as HNR, both in dB


def stored_acoustics(features: StoredFeatures, view: str) -> Acoustics:
    """Return what a store tells of a manifest's clips: all slots but slope and pauses.

    Args:
        features: Of the manifest, with the view among them.
        view: Of openSMILE's eGeMAPSv02.

    Raises:
        FeatureStoreError: If the view is of something else, or damaged.
    """
    _require_functionals(view, features.recipes[view])
    rows = np.flatnonzero(features.has_features)
    values = pd.DataFrame(np.nan, index=range(len(features.outcomes)), columns=list(PLACES))
    if len(rows):
        dense = features.read(rows, view).astype(np.float64)  # (N, 1, 88)
        values.iloc[rows] = dense[:, 0, list(PLACES.values())]
    voiced_s = values[SEGMENTS] * values[SEGMENT_S] * features.durations.to_numpy()
    has_voice = voiced_s > 0
    numbers = pd.DataFrame(
        {
            "pitch": values[PITCH].where(has_voice),
            "variation": values[VARIATION].where(has_voice),
            "energy": values[ENERGY],
            "dynamics": values[DYNAMICS],
            "tone": (values[HARMONICS] - SHIMMER_WEIGHT * values[SHIMMER]).where(has_voice),
            PEAKS_PER_S: values[PEAKS],
            VOICED_S: voiced_s.where(has_voice),
        }
    )
    return Acoustics(
        numbers=numbers.set_index(features.manifest.table.index),
        outcomes=features.outcomes.tolist(),
        messages=features.messages.tolist(),
        stressed=[None] * len(numbers),
        measure={"measure": "functionals", "recipe": fingerprint(features.recipes[view])},
    )


def _require_functionals(view: str, recipe: Recipe) -> None:
    encoder = recipe.get("encoder", {})
    found = encoder.get("feature_set", encoder.get("family")) if encoder else recipe.get("source")
    if encoder.get("family") != "opensmile" or found != FEATURE_SET:
        raise FeatureStoreError(
            f"view {view!r}: holds features of {found!r}, wanted openSMILE's {FEATURE_SET}; name "
            "its view with --view, extract one (README), or measure recordings with --audio-root."
        )
