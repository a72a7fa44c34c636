"""A clip that is in no store, as a head sees it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.needs import Need
from pipeline.heads.standardiser import Standardiser
from pipeline.quantisation.codebooks import Codebooks
from pipeline.sources.source import of_layers, padded, standardised
from pipeline.store.views import LAYERS


def lone_batch(
    features: Mapping[str, np.ndarray],
    texts: Mapping[str, str],
    name: str,
    needs: Sequence[Need],
    standardisers: Mapping[str, Standardiser],
    *,
    codebooks: Mapping[str, Codebooks],
    device: str,
) -> Batch:
    """Return the batch of one clip.

    Args:
        features: By view, as they would be stored: (L, D), frames (T, R, D), or codes (T, R).
        texts: By manifest column.
        name: Its utterance id.
        needs: What the head reads.
        standardisers: By need; not by group.
        codebooks: Of the views of codes.
        device: A torch device.
    """
    view: torch.Tensor | Ragged
    views: dict[str, torch.Tensor | Ragged] = {}
    for need in needs:
        if need.kind == LAYERS:
            whole = features[need.view]
            if need.view in codebooks:
                whole = codebooks[need.view].pooled(whole, need.codes_as)
            view = torch.from_numpy(of_layers(whole[None], need)).to(device)
        else:
            view = padded([of_layers(features[need.view], need)], device)
        views[need.name] = standardised(view, standardisers.get(need.name))
    return Batch(
        views=views, texts={column: [text] for column, text in texts.items()}, names=[name]
    )
