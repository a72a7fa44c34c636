"""openSMILE's functionals of a clip as an encoder (`extract.encoder: opensmile:eGeMAPSv02`).

One layer: the functionals that the package `opensmile` gives, an optional extra whose licence
allows research and other non-commercial use only. They are of the whole clip, so there are no
deviations to pool; of a clip longer than `extract.max_duration_s` they are the mean of its
windows'.

The package turns samples into 16-bit integers and lets a sample of 1.0 or more wrap around to the
loudest negative one; here such samples are clipped before. ComParE_2016 has numbers far beyond
float16, so it wants `extract.stored_dtype: float32`.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from pipeline.encoders.base import Encoded, Encoder, Outline
from pipeline.encoders.pooling import MEAN, Moments
from pipeline.errors import EncoderError

PREFIX = "opensmile:"
# Feature sets, and how many functionals each has.
SIZES = {"eGeMAPSv02": 88, "ComParE_2016": 6373}
SAMPLE_RATE = 16000
MIN_SAMPLES = 960  # 60 ms, one frame of its pitch; a shorter clip is all NaN
LARGEST = 32767 / 32768  # what a 16-bit integer can say


class FunctionalsEncoder(Encoder):
    """The functionals of one of openSMILE's feature sets."""

    layer_convention = "functionals"
    sample_rate = SAMPLE_RATE
    min_samples = MIN_SAMPLES

    def __init__(self, spelling: str) -> None:
        self.outline = outline(spelling)
        name = spelling.removeprefix(PREFIX)
        package = _opensmile(spelling)
        self.identity = {
            "family": "opensmile",
            "feature_set": name,
            # Another version may give other numbers.
            "version": version("opensmile"),
            "flags": {"clipped_at": LARGEST},
        }
        self._smile = package.Smile(
            feature_set=getattr(package.FeatureSet, name),
            feature_level=package.FeatureLevel.Functionals,
        )

    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        """Return each waveform's functionals as the moments of a single frame.

        Raises:
            EncoderError: If frames are asked for: functionals are of a whole clip.
        """
        if frames_of:
            raise EncoderError(
                f"openSMILE's {self.identity['feature_set']} gives functionals of a whole clip, "
                f"found frames of layers {list(frames_of)} wanted; take them of another encoder."
            )
        return [Encoded(moments=self._moments(waveform)) for waveform in waveforms]

    def _moments(self, waveform: np.ndarray) -> Moments:
        values = self._smile(np.clip(waveform, -1.0, LARGEST), SAMPLE_RATE)
        row = torch.from_numpy(np.asarray(values, np.float32).reshape(1, self.dim))
        return Moments(1, row, torch.zeros_like(row))


def outline(spelling: str) -> Outline:
    """Return the shape of a feature set, whether openSMILE is installed or not.

    Raises:
        EncoderError: If the set is unknown.
    """
    name = spelling.removeprefix(PREFIX)
    if name not in SIZES:
        raise EncoderError(
            f"extract.encoder: {spelling}: feature set {name!r} is not one of {list(SIZES)}."
        )
    return Outline(num_layers=1, dim=SIZES[name], poolings=(MEAN,), compute_dtypes=("float32",))


def _opensmile(spelling: str) -> Any:
    try:
        return import_module("opensmile")
    except ImportError as error:
        raise EncoderError(
            f"extract.encoder: {spelling} needs the package opensmile, which cannot be imported "
            f"({error}); pip install 'genser[opensmile]', if its licence suits you: research and "
            "other non-commercial use only."
        ) from error
