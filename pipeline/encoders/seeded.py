"""Encoders of the real classes with seeded random weights, saved as a pretrained one would be.

They go through the same loading as a downloaded checkpoint. They know nothing of speech: what a
head reaches on them shows that the mechanism works, and no accuracy.
"""

from pathlib import Path
from typing import Any

import torch

from pipeline.encoders.loading import FAMILIES, QWEN2_AUDIO, VOXTRAL, W2V_BERT, WHISPER
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

# A tiny Whisper on its whole window of 30 s, and the sizes of whisper-base and -large-v3.
WHISPER_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 64, "encoder_layers": 4, "encoder_attention_heads": 4},
    "base": {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8},
    "large": {
        "d_model": 1280,
        "encoder_layers": 32,
        "encoder_attention_heads": 20,
        "num_mel_bins": 128,
    },
}


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
            those of the base ones (group-norm front end, post-norm blocks); Whisper and w2v-BERT
            have neither.

    Raises:
        EncoderError: If size or family is unknown.
    """
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for name, value, allowed in (("size", size, tuple(SIZES)), ("family", family, FAMILIES)):
        if value not in allowed:
            raise EncoderError(f"seeded encoder: {name} {value!r} is not one of {list(allowed)}.")
    if family == WHISPER:
        config, preprocessor = _whisper(size)
    elif family in (QWEN2_AUDIO, VOXTRAL):
        config, preprocessor = _in_a_tower(size, family)
    elif family == W2V_BERT:
        config, preprocessor = _w2v_bert(size)
    else:
        config, preprocessor = _of_waveforms(size, family, layer_norm_front=layer_norm_front)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModel.from_config(config)
    model.save_pretrained(folder)
    preprocessor.save_pretrained(folder)


def _of_waveforms(size: str, family: str, *, layer_norm_front: bool) -> tuple[Any, Any]:
    from transformers import AutoConfig, Wav2Vec2FeatureExtractor

    flags = LARGE_FLAGS if layer_norm_front and family != "data2vec-audio" else {}
    config = AutoConfig.for_model(family, **SIZES[size], **flags)
    return config, Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)


def _w2v_bert(size: str) -> tuple[Any, Any]:
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig

    known = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    sizes = {name: value for name, value in SIZES[size].items() if name in known}
    return Wav2Vec2BertConfig(**sizes), SeamlessM4TFeatureExtractor()


def _in_a_tower(size: str, family: str) -> tuple[Any, Any]:
    from transformers import AutoConfig, WhisperFeatureExtractor

    kinds = {QWEN2_AUDIO: ("qwen2_audio_encoder", "qwen2"), VOXTRAL: ("voxtral_encoder", "llama")}
    heard, said = kinds[family]
    sizes = {"num_mel_bins": 128, **WHISPER_SIZES[size]}
    audio = AutoConfig.for_model(heard, **sizes, encoder_ffn_dim=4 * sizes["d_model"])
    # The language model, which nothing here uses, is as small as it may be.
    least = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 8}
    text = AutoConfig.for_model(
        said, **least, num_attention_heads=1, num_key_value_heads=1, head_dim=8
    )
    config = AutoConfig.for_model(family, audio_config=audio.to_dict(), text_config=text.to_dict())
    return config, WhisperFeatureExtractor(feature_size=audio.num_mel_bins)


def _whisper(size: str) -> tuple[Any, Any]:
    from transformers import WhisperConfig, WhisperFeatureExtractor

    sizes = WHISPER_SIZES[size]
    # The decoder, which nothing here uses, is as small as it may be.
    config = WhisperConfig(
        **sizes,
        encoder_ffn_dim=4 * sizes["d_model"],
        decoder_layers=1,
        decoder_attention_heads=1,
        decoder_ffn_dim=4,
        vocab_size=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=2,
    )
    return config, WhisperFeatureExtractor(feature_size=config.num_mel_bins)
