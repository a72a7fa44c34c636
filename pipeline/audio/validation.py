"""A manifest against its recordings, before anything is computed."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pipeline.audio.decoders import decoders
from pipeline.audio.decoding import read_clip
from pipeline.audio.outcomes import OK
from pipeline.audio.roots import found_requests
from pipeline.audio.segments import segments
from pipeline.errors import AudioError
from pipeline.manifests.manifest import Manifest
from pipeline.progress import Reporter

AT_ONCE = 64
ANY_RATE = 16000  # the digest is of the file's own samples; the rate only feeds the statistics


def decode_all(
    manifest: Manifest, audio_roots: Mapping[str, Path], *, workers: int, reporter: Reporter
) -> pd.DataFrame:
    """Decode every clip of a manifest.

    Returns:
        One row per manifest row: outcome, message (of a clip that is ok what its decoder complained
        of), audio_digest ("" where it failed) and duration in seconds (NaN where it failed).

    Raises:
        ManifestError: If a corpus has no audio root, or none of its recordings is there.
    """
    every = segments(found_requests(manifest, audio_roots))
    reporter.begin(len(every))
    found: list[tuple[str, str, str, float]] = []

    def decode(position: int) -> tuple[str, str, str, float]:
        try:
            clip = read_clip(every[position], sample_rate=ANY_RATE, max_kept_s=0.0)
        except AudioError as error:
            return error.outcome, str(error), "", math.nan
        return OK, clip.complaints, clip.audio_digest, clip.duration

    with decoders(workers) as pool:
        for start in range(0, len(every), AT_ONCE):
            part = range(start, min(start + AT_ONCE, len(every)))
            found.extend(pool.map(decode, part))
            reporter.advance(len(part))
    return pd.DataFrame(found, columns=["outcome", "message", "audio_digest", "duration"])
