"""The start of a Former from a BERT-like checkpoint: its weights under the Former's names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pipeline.encoders.hub import is_local
from pipeline.encoders.loading import fetched, load_model, tensors_digest, tokeniser_digest
from pipeline.errors import EncoderError
from pipeline.files import fingerprint

BERT = "bert"
MODEL_TYPES = (BERT, "roberta", "xlm-roberta")

# What a checkpoint may hold besides: outputs of its training, and numbers that are counted anew.
_LEFT_OUT = re.compile(
    r"(?:bert\.|roberta\.)?"
    r"(?:pooler|lm_head|cls|classifier|qa_outputs|embeddings\.(?:position|token_type)_ids)\b"
)
_TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
_WORDS = "embeddings.word_embeddings.weight"
_FEED_FORWARD = re.compile(r"(encoder\.layer\.\d+\.)(intermediate|output)(\..+)")
_CROSS = ".crossattention."  # has no source: a BERT attends to nothing else


@dataclass(frozen=True, kw_only=True)
class Start:
    """A BERT-like checkpoint, ready to become a Former.

    Attributes:
        config: Its transformers configuration.
        state: Its weights under the Former's names, without cross-attention.
        tokeniser: Its tokeniser.
        digest: SHA-256 of its tensors.
    """

    config: Any
    state: Mapping[str, Tensor] = field(repr=False)
    tokeniser: Any
    digest: str

    @property
    def first_position(self) -> int:
        """The position of a text's first token: RoBERTa counts on from its padding."""
        return first_position(self.config)


def first_position(config: Any) -> int:
    """Return the position of a text's first token in a model of this configuration."""
    return 0 if config.model_type == BERT else int(config.pad_token_id) + 1


def read_start(spelling: str, *, where: str) -> Start:
    """Load a BERT-like checkpoint.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        where: The parameter that names it, for messages.

    Raises:
        EncoderError: If it cannot be loaded whole, or is of another kind.
    """
    from transformers import AutoTokenizer

    is_folder = is_local(spelling)
    config = read_start_config(spelling, where=where)
    tokeniser = fetched(
        AutoTokenizer, spelling, is_folder=is_folder, where=where, trust_remote_code=False
    )
    if len(tokeniser) > config.vocab_size:
        raise EncoderError(
            f"{where}: {spelling}: its tokeniser knows {len(tokeniser)} tokens, its model "
            f"{config.vocab_size}; use the tokeniser that the model was trained with."
        )
    words = tokeniser_digest(tokeniser, f"{where}: {spelling}")
    bare = _Bare()
    model = load_model(
        spelling, config, is_folder=is_folder, kind=bare, where=where, add_pooling_layer=False
    )
    strange = [name for name in bare.unexpected if not _LEFT_OUT.match(name)]
    if strange:
        raise EncoderError(
            f"{where}: {spelling}: found {len(strange)} weights that a {config.model_type!r} "
            f"model has no place for, the first {strange[0]!r}, which would be lost; use a plain "
            "checkpoint."
        )
    state = model.state_dict()
    return Start(
        config=config,
        state=former_state(state),
        tokeniser=tokeniser,
        digest=fingerprint([tensors_digest(state), words]),
    )


def outline_start(spelling: str, *, where: str) -> Start:
    """Return what is known of a BERT-like checkpoint without its weights and its tokeniser.

    Raises:
        EncoderError: If its configuration is not to be had, or of another kind.
    """
    config = read_start_config(spelling, where=where, local_files_only=True)
    return Start(config=config, state={}, tokeniser=None, digest="")


def read_start_config(spelling: str, *, where: str, **options: Any) -> Any:
    """Return the transformers configuration of a BERT-like checkpoint, without its weights.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        where: The parameter that names it, for messages.
        options: More of `from_pretrained`.

    Raises:
        EncoderError: If it is not to be had, or of another kind.
    """
    from transformers import AutoConfig

    config = fetched(
        AutoConfig,
        spelling,
        is_folder=is_local(spelling),
        where=where,
        trust_remote_code=False,
        **options,
    )
    if config.model_type not in MODEL_TYPES:
        raise EncoderError(
            f"{where}: {spelling} is a {config.model_type!r} model, wanted one of {MODEL_TYPES}; "
            "name another, or none, which starts at random."
        )
    positions = getattr(config, "position_embedding_type", None) or "absolute"
    if positions != "absolute" or config.is_decoder:
        found = "a decoder" if config.is_decoder else f"a model of {positions!r} positions"
        raise EncoderError(
            f"{where}: {spelling} is {found}, wanted an encoder of absolute positions; name "
            "another, or none, which starts at random."
        )
    return config


def former_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a BERT without pooler under the names of `InstructBlipQFormerModel`.

    The Former has no types of tokens: the first, which all of a text has, goes into the words. Its
    queries have feed-forward layers of their own, which start as the text's.

    Args:
        state: Of the bare model.
    """
    named = {}
    for name, tensor in state.items():
        if name == _TOKEN_TYPES:
            continue
        name = name.replace("embeddings.LayerNorm.", "embeddings.layernorm.")
        named[name.replace(".attention.self.", ".attention.attention.")] = tensor
        if found := _FEED_FORWARD.fullmatch(name):
            layer, part, rest = found.groups()
            named[f"{layer}{part}_query{rest}"] = tensor
    named[_WORDS] = state[_WORDS] + state[_TOKEN_TYPES][0]
    return named


def load_start(network: torch.nn.Module, start: Start, spelling: str, *, where: str) -> None:
    """Put a checkpoint's weights into a Former's network, all but cross-attention.

    Raises:
        EncoderError: If a weight has no place, or another than cross-attention is wanting.
    """
    found = network.load_state_dict(dict(start.state), strict=False)
    wanting = [name for name in found.missing_keys if _CROSS not in name]
    if wrong := [*wanting, *found.unexpected_keys]:
        raise EncoderError(
            f"{where}: {spelling}: {len(wrong)} weights do not fit a Former, the first "
            f"{wrong[0]!r}; use a plain checkpoint."
        )


@dataclass
class _Bare:
    """The bare model of a configuration, and what its file holds besides."""

    unexpected: Iterable[str] = ()

    def from_pretrained(self, name: str, **options: Any) -> Any:
        from transformers import AutoModel

        model, info = AutoModel.from_pretrained(name, **options)
        self.unexpected = sorted(info["unexpected_keys"])
        return model, info
