"""A frozen encoder of text, BERT or one of its kin through transformers: a vector for each text.

Texts of a batch are padded; the mask keeps padding out of attention and of the mean, so a text has
the vector that it has alone, to rounding.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.encoders.hub import is_local
from pipeline.encoders.loading import fetched, load_model, tensors_digest, tokeniser_digest
from pipeline.errors import EncoderError

MEAN, CLS = "mean", "cls"
TEXT_POOLINGS = (MEAN, CLS)
FAMILIES = (
    "albert",
    "bert",
    "camembert",
    "deberta-v2",
    "distilbert",
    "electra",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
# Their positions are counted from one beyond the number of the padding token.
OFFSET_FAMILIES = ("camembert", "mpnet", "roberta", "xlm-roberta")

# Parts of the configuration that change a number in eval mode; the rest is training or naming.
TEXT_FLAGS = (
    "activation",
    "dim",
    "embedding_size",
    "hidden_act",
    "hidden_dim",
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "max_relative_positions",
    "n_heads",
    "n_layers",
    "num_attention_heads",
    "num_hidden_groups",
    "num_hidden_layers",
    "pad_token_id",
    "pos_att_type",
    "position_biased_input",
    "position_buckets",
    "relative_attention",
    "relative_attention_num_buckets",
    "share_att_key",
    "sinusoidal_pos_embds",
    "type_vocab_size",
    "vocab_size",
)
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """A frozen model of text with its tokeniser.

    Attributes:
        model: The transformers model, on its device, in evaluation mode.
        tokeniser: Its tokeniser.
        identity: What tells it from another one: family, digest of the tensors, flags, digest of
            the tokeniser.
        dim: D, width of a vector.
        max_tokens: What a text is cut to, marks of beginning and end among them.
        pooling: Of `TEXT_POOLINGS`: the mean over a text's own tokens, or its first one.
    """

    model: Any
    tokeniser: Any
    identity: Mapping[str, Any]
    dim: int
    max_tokens: int
    pooling: str

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of texts in one batch, float32, shape (B, D)."""
        given = self.tokeniser(
            list(texts),
            truncation=True,
            max_length=self.max_tokens,
            padding=True,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self.model.device)
        hidden = self.model(**given).last_hidden_state.float()
        pooled = pool(hidden, given["attention_mask"], self.pooling)
        vectors: np.ndarray = pooled.cpu().numpy()
        return vectors

    def lengths(self, texts: Sequence[str]) -> np.ndarray:
        """Return how many tokens texts have, one above `max_tokens` for all that are cut, (N,)."""
        found = self.tokeniser(list(texts), truncation=True, max_length=self.max_tokens + 1)
        return np.array([len(ids) for ids in found["input_ids"]], np.int64)


def pool(hidden: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Return one vector of each text.

    Args:
        hidden: Last hidden states, shape (B, T, D); a text's own come first.
        mask: 1 for a text's own tokens, else 0, shape (B, T).
        pooling: One of `TEXT_POOLINGS`.

    Returns:
        Shape (B, D).
    """
    if pooling == CLS:
        return hidden[:, 0]
    own = mask[:, :, None].to(hidden.dtype)
    return (hidden * own).sum(1) / own.sum(1)


def open_text_encoder(
    spelling: str,
    *,
    pooling: str,
    max_tokens: int,
    compute_dtype: str,
    device: str,
    where: str = "embed.encoder",
) -> TextEncoder:
    """Load an encoder of text, whole or not at all.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        pooling: One of `TEXT_POOLINGS`.
        max_tokens: What a text is cut to.
        compute_dtype: One of `pipeline.encoders.base.COMPUTE_DTYPES`.
        device: A torch device.
        where: The parameter that names it, for messages.

    Raises:
        EncoderError: If it cannot be loaded, is of another kind, or takes fewer tokens.
    """
    from transformers import MODEL_MAPPING, AutoTokenizer

    is_folder = is_local(spelling)
    config = read_text_config(spelling, where=where)
    tokeniser = fetched(
        AutoTokenizer, spelling, is_folder=is_folder, where=where, trust_remote_code=False
    )
    digest = tokeniser_digest(tokeniser, f"{where}: {spelling}")
    limit = _most_tokens(config)
    least = int(tokeniser.num_special_tokens_to_add()) + 1
    if not least <= max_tokens <= limit:
        raise EncoderError(
            f"{where}: {spelling} takes {least} to {limit} tokens, found max_tokens {max_tokens}; "
            "mend one of them."
        )
    # The pooler above the last layer is not used, and many checkpoints lack it.
    takes = inspect.signature(MODEL_MAPPING[type(config)].__init__).parameters
    options: dict[str, Any] = {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}
    model = load_model(spelling, config, is_folder=is_folder, where=where, **options)
    flags = {name: getattr(config, name) for name in TEXT_FLAGS if hasattr(config, name)}
    identity = {
        "family": config.model_type,
        "weights": tensors_digest(model.state_dict()),
        "flags": {k: list(v) if isinstance(v, tuple) else v for k, v in flags.items()},
        "tokeniser": digest,
    }
    return TextEncoder(
        model=model.to(device, _DTYPES[compute_dtype]).eval().requires_grad_(requires_grad=False),
        tokeniser=tokeniser,
        identity=identity,
        dim=int(config.hidden_size),
        max_tokens=max_tokens,
        pooling=pooling,
    )


def read_text_config(spelling: str, *, where: str = "embed.encoder") -> Any:
    """Return the transformers configuration of an encoder of text, without its weights.

    Raises:
        EncoderError: If it is not to be had, or of another family.
    """
    from transformers import AutoConfig

    config = fetched(
        AutoConfig, spelling, is_folder=is_local(spelling), where=where, trust_remote_code=False
    )
    if config.model_type not in FAMILIES:
        raise EncoderError(
            f"{where}: {spelling} is a {config.model_type!r} model, wanted one of {FAMILIES}."
        )
    return config


def _most_tokens(config: Any) -> int:
    """Return how many tokens its positions allow."""
    most = int(config.max_position_embeddings)
    return most - config.pad_token_id - 1 if config.model_type in OFFSET_FAMILIES else most
