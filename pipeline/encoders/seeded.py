"""Encoders of the real classes with seeded random weights, saved as a pretrained one would be.

They go through the same loading as a downloaded checkpoint. They know nothing of speech: what a
head reaches on them shows that the mechanism works, and no accuracy.
"""

from pathlib import Path
from typing import Any

import torch

from pipeline.errors import EncoderError

# The large one is HuBERT-large (24 blocks of 1024, layer-norm front end, pre-norm blocks) with the
# flags of chinese-hubert-large; the tiny one keeps those flags at a size that a laptop trains on.
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "conv_dim": (64,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    },
    "base": {},
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
}
LARGE_FLAGS = {
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "conv_bias": False,
}
FAMILIES = ("hubert", "wavlm", "wav2vec2", "data2vec-audio")


def save_seeded_encoder(
    folder: Path,
    *,
    size: str = "tiny",
    family: str = "hubert",
    seed: int = 0,
    layer_norm_front: bool = True,
) -> None:
    """Save an encoder with seeded random weights, its configuration and its preprocessor.

    Args:
        folder: Where to; made if need be.
        size: Key of `SIZES`.
        family: One of `FAMILIES`.
        seed: Seed of the weights.
        layer_norm_front: The flags of the large models (layer-norm front end, pre-norm blocks), or
            those of the base ones (group-norm front end, post-norm blocks).

    Raises:
        EncoderError: If size or family is unknown.
    """
    from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for name, value, allowed in (("size", size, tuple(SIZES)), ("family", family, FAMILIES)):
        if value not in allowed:
            raise EncoderError(f"seeded encoder: {name} {value!r} is not one of {list(allowed)}.")
    flags = LARGE_FLAGS if layer_norm_front and family != "data2vec-audio" else {}
    config = AutoConfig.for_model(family, **SIZES[size], **flags)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModel.from_config(config)
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
