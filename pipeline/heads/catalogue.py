"""The heads by name: `train.head` chooses one, its own section of `train` configures it."""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ParamsError
from pipeline.heads.base import FeatureShape, Head
from pipeline.heads.genser import GenSER, GenSERConfig
from pipeline.heads.network import TrunkConfig

HEADS = ("genser",)


def build_head(
    kind: str, shape: FeatureShape, num_classes: int, config: GenSERConfig | Mapping[str, Any]
) -> Head:
    """Return an untrained head, its weights drawn from torch's generator.

    Args:
        kind: One of `HEADS`.
        shape: Of the features.
        num_classes: C.
        config: The head's configuration, or the mapping it was saved as.

    Raises:
        ParamsError: If the kind is unknown, or the classes are too many for the width.
    """
    if kind not in HEADS:
        raise ParamsError(f"train.head: {kind!r} is not one of {list(HEADS)}.")
    if isinstance(config, Mapping):
        config = GenSERConfig(**{**config, "trunk": TrunkConfig(**config["trunk"])})
    return GenSER(shape, num_classes, config)
