"""A clip that is in no store, as a head sees it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.needs import Need
from pipeline.heads.standardiser import Standardiser
from pipeline.sources.source import of_layers, padded
from pipeline.store.views import LAYERS


def lone_batch(
    features: Mapping[str, np.ndarray],
    texts: Mapping[str, str],
    needs: Sequence[Need],
    standardisers: Mapping[str, Standardiser],
    *,
    device: str,
) -> Batch:
    """Return the batch of one clip.

    Args:
        features: By view, as they would be stored: (L, D), or frames (T, R, D).
        texts: By manifest column.
        needs: What the head reads.
        standardisers: By need; not by group.
        device: A torch device.
    """
    views: dict[str, torch.Tensor | Ragged] = {}
    for need in needs:
        one = standardisers.get(need.name)
        if need.kind == LAYERS:
            layers = torch.from_numpy(of_layers(features[need.view][None], need)).to(device)
            views[need.name] = layers.float() if one is None else one(layers)
        else:
            frames = padded([of_layers(features[need.view], need)], device)
            plain = Ragged(frames.values.float(), frames.lengths)
            views[need.name] = plain if one is None else one.frames(plain)
    return Batch(views=views, texts={column: [text] for column, text in texts.items()})
