"""A head trained as the command does, into a folder."""

from pathlib import Path
from typing import Any

from pipeline.manifests.manifest import Manifest
from pipeline.progress import Reporter, Silence
from pipeline.training.config import TrainConfig
from pipeline.training.loop import Selection
from pipeline.training.train import train_manifest


def train_into(
    out: Path,
    manifest: Manifest,
    store: Path,
    config: TrainConfig,
    reporter: Reporter | None = None,
    **settings: Any,
) -> Selection:
    """Train a head of emotions on a manifest and its one store."""
    return train_manifest(
        manifest,
        {"": store},
        task="emotion",
        label_map=None,
        config=config,
        out=out,
        allow_overlap=False,
        device="cpu",
        reporter=reporter or Silence(),
        **settings,
    )
