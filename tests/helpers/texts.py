"""A tiny encoder of text with random weights, and a corpus whose texts tell its classes."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipeline.encoders.text import TextEncoder, open_text_encoder
from pipeline.extraction.embed import EmbedConfig, Embedded, embed
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.progress import Silence

SPLITS = ("train", "train", "train", "dev", "test")
WORDS = {"calm": ("a quiet day", "all is well here"), "angry": ("go away now", "I hate this")}
WHOLE = ("quiet", "day", "all", "is", "well", "here", "go", "away", "now", "hate", "this", "yes")
DIM = 16


def save_text_encoder(folder: Path, family: str = "bert", seed: int = 0, **changes: Any) -> Any:
    """Save a small model of text with drawn weights and a tokeniser of its own; return the model.

    A word that is not among `WHOLE` is split into letters.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = "abcdefghijklmnopqrstuvwxyz"
    known = [*marks, *letters, *(f"##{one}" for one in letters), *WHOLE]
    vocabulary = {word: i for i, word in enumerate(known)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **named).save_pretrained(folder)
    sizes = {
        "vocab_size": len(known),
        "hidden_size": DIM,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 40,
        "pad_token_id": 0,
        "initializer_range": 0.3,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = AutoConfig.for_model(family, **(sizes | changes))
        model = AutoModel.from_config(config).eval()
    model.save_pretrained(folder)
    return model


def opened(folder: Path, **changes: Any) -> TextEncoder:
    settings = {"pooling": "mean", "max_tokens": 12, "compute_dtype": "float32", "device": "cpu"}
    return open_text_encoder(str(folder), **(settings | changes))


def write_texts(path: Path, num_rows: int = 30, **columns: Any) -> pd.DataFrame:
    """Write a manifest whose texts tell the classes; no recording of it exists."""
    classes = [("calm", "angry")[row % 2] for row in range(num_rows)]
    ids = [f"t{row:02d}" for row in range(num_rows)]
    table = pd.DataFrame(
        {
            "utterance_id": ids,
            "path": [f"{name}.wav" for name in ids],
            "corpus": "toy",
            "speaker": [f"s{row * 10 // num_rows}" for row in range(num_rows)],
            "split": [SPLITS[row * 5 // num_rows] for row in range(num_rows)],
            "emotion": classes,
            "text": [WORDS[label][row // 2 % 2] for row, label in enumerate(classes)],
        }
    ).assign(**columns)
    write_manifest(path, table)
    return table


def embed_texts(manifest: Path, store: Path, encoder: Path, **options: Any) -> Embedded:
    """Embed a manifest as the command does, with few rows to a shard."""
    settings = {"encoder": str(encoder), "max_tokens": 12, "batch_size": 4, "rows_per_shard": 8}
    config = EmbedConfig(**(settings | options.pop("settings", {})))
    model = opened(encoder, pooling=config.pooling, max_tokens=config.max_tokens)
    name = options.pop("name", "text")
    return embed(read_manifest(manifest), store, name, config, model, **options, reporter=Silence())
