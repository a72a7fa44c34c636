"""Tiny BERT-like models with a tokeniser, their weights random, saved as transformers does."""

from pathlib import Path
from typing import Any

import torch

WORDS = ("i", "am", "so", "happy", "go", "away", "they", "have", "left", "me", "##ly", "un")
SPECIAL = {
    "bert": ("[PAD]", "[CLS]", "[SEP]", "[UNK]"),
    "roberta": ("<s>", "<pad>", "</s>", "<unk>"),
}
MAX_TOKENS = 20


def word_tokeniser(kind: str = "bert") -> Any:
    """Return a tokeniser of a few words, which puts the marks of this kind around a text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = SPECIAL[kind]
    pad, cls, sep, unknown = special if kind == "bert" else (special[i] for i in (1, 0, 2, 3))
    ids = {word: place for place, word in enumerate((*special, *WORDS))}
    made = Tokenizer(models.WordPiece(ids, unk_token=unknown))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", special_tokens=[(cls, ids[cls]), (sep, ids[sep])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=pad, cls_token=cls, sep_token=sep, unk_token=unknown
    )


def tiny_config(kind: str, **options: Any) -> Any:
    """Return the configuration of three small blocks."""
    from transformers import AutoConfig

    roberta = kind != "bert"
    return AutoConfig.for_model(
        kind,
        vocab_size=24,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=24,
        type_vocab_size=1 if roberta else 2,
        pad_token_id=1 if roberta else 0,
        # RoBERTa's positions begin after that of padding.
        max_position_embeddings=MAX_TOKENS + 2 * roberta,
        layer_norm_eps=1e-5 if roberta else 1e-12,
        **options,
    )


def save_bert(folder: Path, kind: str = "bert", *, model: Any = None, **options: Any) -> Path:
    """Save a model of this kind with its tokeniser, and return its folder.

    Args:
        folder: Where to.
        kind: bert, roberta or xlm-roberta.
        model: A class of transformers; None is the bare model.
        options: More of its configuration.
    """
    from transformers import AutoModel

    word_tokeniser("bert" if kind == "bert" else "roberta").save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = (model or AutoModel).from_config(tiny_config(kind, **options))
        for parameter in made.parameters():
            # As they are drawn biases are 0 and norms 1: a weight in a wrong place would not show.
            parameter.data.add_(0.3 * torch.randn_like(parameter))
        made.save_pretrained(folder)
    return folder
