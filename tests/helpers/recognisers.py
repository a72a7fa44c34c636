"""Tiny recognisers with random weights and a tokeniser, saved as pretrained ones are."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models
from transformers import (
    BartConfig,
    HubertConfig,
    HubertForCTC,
    MoonshineConfig,
    MoonshineForConditionalGeneration,
    PreTrainedTokenizerFast,
    Speech2TextConfig,
    Speech2TextFeatureExtractor,
    Speech2TextForConditionalGeneration,
    SpeechEncoderDecoderConfig,
    SpeechEncoderDecoderModel,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)
from transformers.utils import logging

WORDS = ("kids", "are", "talking", "by", "the", "door", "dogs", "sitting")
MARKS = ("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|pl|>", "<|translate|>")
MARKS += ("<|transcribe|>", "<|notimestamps|>")
TIME_STAMPS = 3  # tokens beyond the tokeniser's, as a Whisper has them
END = len(WORDS)
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "initializer_range": 1.0,
}
LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnop")


def save_whisper(folder: Path, *, seed: int = 0, marks: tuple[str, ...] = MARKS) -> Path:
    """Save a Whisper of eight words on its window of 30 s, made by hand: it says little of itself.

    Its generation_config.json has neither languages nor tasks nor the token of no timestamps.
    """
    config = WhisperConfig(
        d_model=16,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        vocab_size=END + len(MARKS) + TIME_STAMPS,
        pad_token_id=END,
        bos_token_id=END,
        eos_token_id=END,
        decoder_start_token_id=END + 1,
        begin_suppress_tokens=[END],
        max_target_positions=32,
        init_std=1.0,
    )
    _save(WhisperForConditionalGeneration, config, folder, seed)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    _save_words(folder, marks)
    return folder


def save_ctc(folder: Path, *, family: str = "wav2vec2", group_norm: bool = False) -> Path:
    """Save a recogniser of letters under CTC, its front end with layer norms or a group norm."""
    kinds = {"wav2vec2": (Wav2Vec2Config, Wav2Vec2ForCTC), "hubert": (HubertConfig, HubertForCTC)}
    config_kind, model_kind = kinds[family]
    norm = {"feat_extract_norm": "group"} if group_norm else {"feat_extract_norm": "layer"}
    config = config_kind(
        vocab_size=len(LETTERS),
        pad_token_id=0,
        **SIZES,
        **norm,
    )
    _save(model_kind, config, folder, 0)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    vocabulary = folder / "letters.json"
    vocabulary.write_text(json.dumps({letter: i for i, letter in enumerate(LETTERS)}))
    Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(folder)
    return folder


DECODER = {
    "d_model": 16,
    "decoder_layers": 1,
    "decoder_ffn_dim": 16,
    "decoder_attention_heads": 2,
    "init_std": 1.0,
}
TOKENS = {
    "vocab_size": END + 2,
    "eos_token_id": END,
    "pad_token_id": END,
    "bos_token_id": END + 1,
    "decoder_start_token_id": END + 1,
}


def save_other(folder: Path, family: str) -> Path:
    """Save a recogniser of eight words that is no Whisper."""
    preprocessor = Wav2Vec2FeatureExtractor(do_normalize=family != "moonshine")
    if family == "moonshine":
        layers = {f"{part}_num_hidden_layers": 1 for part in ("encoder", "decoder")}
        heads = {f"{part}_num_attention_heads": 2 for part in ("encoder", "decoder")}
        heads |= {f"{part}_num_key_value_heads": 2 for part in ("encoder", "decoder")}
        sizes = {"hidden_size": 16, "intermediate_size": 16, "initializer_range": 1.0}
        config = MoonshineConfig(**layers, **heads, **sizes, **TOKENS)
        _save(MoonshineForConditionalGeneration, config, folder, 0)
    elif family == "speech_to_text":
        encoder = {"encoder_layers": 1, "encoder_ffn_dim": 16, "encoder_attention_heads": 2}
        config = Speech2TextConfig(**encoder, **DECODER, **TOKENS, conv_channels=16)
        _save(Speech2TextForConditionalGeneration, config, folder, 0)
        preprocessor = Speech2TextFeatureExtractor()
    else:
        decoder = BartConfig(**DECODER, **TOKENS, is_decoder=True, add_cross_attention=True)
        config = SpeechEncoderDecoderConfig.from_encoder_decoder_configs(
            Wav2Vec2Config(**SIZES), decoder
        )
        for name, value in TOKENS.items():
            if name != "vocab_size":
                setattr(config, name, value)
        _save(SpeechEncoderDecoderModel, config, folder, 0)
    preprocessor.save_pretrained(folder)
    _save_words(folder, ("</s>", "<s>"))
    return folder


def _save_words(folder: Path, marks: Sequence[str]) -> None:
    """Save a tokeniser of the eight words and some marks beyond them, the first one the end."""
    vocabulary = {f"Ġ{word}": i for i, word in enumerate(WORDS)}
    vocabulary |= {mark: END + i for i, mark in enumerate(marks)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=marks[0]))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(marks))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=marks[0]).save_pretrained(folder)


def _save(kind, config, folder: Path, seed: int) -> None:
    logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind(config)
    model.save_pretrained(folder)
