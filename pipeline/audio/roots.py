"""Where a manifest's recordings are, and whether any is there."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.manifest import Manifest, requests


def found_requests(manifest: Manifest, audio_roots: Mapping[str, Path]) -> pd.DataFrame:
    """Return `pipeline.manifests.manifest.requests`; a root that holds no recording is refused.

    Raises:
        ManifestError: If a corpus has no audio root, or no recording of a root is there.
    """
    asked = requests(manifest, audio_roots)
    corpus = manifest.table["corpus"]
    keys = corpus.where(corpus.isin(list(audio_roots)), "")
    for key, sources in asked["source"].groupby(keys):
        # A link that leads nowhere is there, and is a matter of its own row.
        if not any(map(os.path.lexists, sources)):
            named = f"{key}=" if key else ""
            raise ManifestError(
                f"{manifest.path}: none of {len(sources)} recordings is there, the first that was "
                f"tried is {sources.iloc[0]}; is --audio-root {named}{audio_roots[str(key)]} right?"
            )
    return asked
