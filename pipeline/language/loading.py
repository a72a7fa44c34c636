"""A frozen causal language model with its tokeniser, from a folder or the hub."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.encoders.hub import has_file, is_local
from pipeline.encoders.loading import fetched, load_model, tensors_digest, tokeniser_digest
from pipeline.errors import EncoderError
from pipeline.files import fingerprint

BFLOAT16, FLOAT32, NF4 = "bfloat16", "float32", "nf4"
BASE_DTYPES = (BFLOAT16, FLOAT32, NF4)  # float16 overflows in these models
_DTYPES = {BFLOAT16: torch.bfloat16, FLOAT32: torch.float32, NF4: torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """A causal language model whose own weights never move.

    Attributes:
        spelling: As `pipeline.encoders.hub` reads it.
        digest: SHA-256 of its tensors as they were loaded, of all that its tokeniser does, and of
            its chat template.
        network: The transformers model, without gradients.
        tokeniser: Its tokeniser.
        is_checkpointed: Whether activations are computed twice rather than kept.
    """

    spelling: str
    digest: str
    network: Any
    tokeniser: Any
    is_checkpointed: bool = False

    @property
    def decoder(self) -> Any:
        """The network below its output: embeddings in, last hidden states out."""
        return self.network.base_model

    @property
    def embeddings(self) -> nn.Embedding:
        """Of its tokens."""
        found: nn.Embedding = self.network.get_input_embeddings()
        return found

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits of next tokens, float32, of last hidden states (..., D)."""
        found: Tensor = self.network.get_output_embeddings()(hidden)
        return found.float()

    def token_ids(self, text: str) -> list[int]:
        """Return the tokens of a piece of a prompt that is ours: marks of the template count."""
        found: list[int] = self.tokeniser(text, add_special_tokens=False)["input_ids"]
        return found

    def plain_ids(self, text: str) -> list[int]:
        """Return the tokens of somebody's words, in which marks of the template are plain text."""
        encoded = self.tokeniser(text, add_special_tokens=False, split_special_tokens=True)
        found: list[int] = encoded["input_ids"]
        return found


def load_language_model(
    spelling: str, *, base_dtype: str, gradient_checkpointing: bool, where: str
) -> LanguageModel:
    """Load a language model, whole or not at all, its weights frozen.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        base_dtype: One of `BASE_DTYPES`; nf4 takes a GPU and bitsandbytes.
        gradient_checkpointing: Whether activations are computed twice rather than kept.
        where: The parameter that names it, for messages.

    Raises:
        EncoderError: If it cannot be loaded, or is no causal language model.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    is_folder = is_local(spelling)
    config = fetched(
        AutoConfig, spelling, is_folder=is_folder, where=where, trust_remote_code=False
    )
    tokeniser = fetched(
        AutoTokenizer, spelling, is_folder=is_folder, where=where, trust_remote_code=False
    )
    words = tokeniser_digest(tokeniser, f"{where}: {spelling}")
    options: dict[str, Any] = {"attn_implementation": attention(is_trained=True)}
    if base_dtype == NF4:
        options |= _four_bits(where)
    network = load_model(
        spelling,
        config,
        is_folder=is_folder,
        kind=AutoModelForCausalLM,
        where=where,
        dtype=_DTYPES[base_dtype],
        **options,
    )
    if tokeniser.eos_token_id is None:
        raise EncoderError(
            f"{where}: {spelling}: its tokenizer has no end token, wanted one, which ends an "
            "answer; mend its tokenizer_config.json."
        )
    known = network.get_input_embeddings().num_embeddings
    if len(tokeniser) > known:
        raise EncoderError(
            f"{where}: {spelling}: its tokenizer has {len(tokeniser)} tokens, the model {known}; "
            "take both from one checkpoint."
        )
    network.requires_grad_(requires_grad=False)
    if gradient_checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    return LanguageModel(
        spelling=spelling,
        digest=fingerprint(
            [tensors_digest(network.state_dict()), words, str(tokeniser.chat_template)]
        ),
        network=network.eval(),
        tokeniser=tokeniser,
        is_checkpointed=gradient_checkpointing,
    )


def outline_language_model(
    spelling: str, *, base_dtype: str, gradient_checkpointing: bool, where: str
) -> LanguageModel:
    """Return a language model without weights, on torch's meta device, to be counted.

    Args:
        spelling: A folder that holds at least config.json, or a model of the hub in the cache.
        base_dtype: One of `BASE_DTYPES`.
        gradient_checkpointing: Whether activations are computed twice rather than kept.
        where: The parameter that names it, for messages.

    Raises:
        EncoderError: If its configuration is not to be had, or of no causal language model.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    is_folder = is_local(spelling)
    config = fetched(
        AutoConfig,
        spelling,
        is_folder=is_folder,
        where=where,
        trust_remote_code=False,
        local_files_only=True,
    )
    try:
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config, dtype=_DTYPES[base_dtype])
    except ValueError as error:
        raise EncoderError(
            f"{where}: {spelling} is a {config.model_type!r} model, wanted a causal language model."
        ) from error
    network.requires_grad_(requires_grad=False)
    return LanguageModel(
        spelling=spelling,
        digest="",
        network=network.eval(),
        tokeniser=_tokeniser_or_size(spelling, config, where),
        is_checkpointed=gradient_checkpointing,
    )


@dataclass(frozen=True)
class _Size:
    """Stands for a tokeniser that is not at hand: how many tokens it has at most."""

    num_tokens: int
    pad_token_id: int = 0

    def __len__(self) -> int:
        return self.num_tokens


def _tokeniser_or_size(spelling: str, config: Any, where: str) -> Any:
    from transformers import AutoTokenizer

    # Of a folder without one, transformers makes some families' tokenisers up, empty.
    if not has_file(spelling, "tokenizer_config.json"):
        return _Size(int(config.get_text_config().vocab_size))
    return fetched(
        AutoTokenizer,
        spelling,
        is_folder=is_local(spelling),
        where=where,
        trust_remote_code=False,
        local_files_only=True,
    )


def attention(*, is_trained: bool) -> str:
    """Return how attention is computed: plainly where gradients are taken on a CPU.

    There a fused gradient takes three to five times as long for the short sequences of prompts, but
    an answer is generated in three quarters of the time.
    """
    return "eager" if is_trained and not torch.cuda.is_available() else "sdpa"


def _four_bits(where: str) -> dict[str, Any]:
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise EncoderError(f"{where}: base_dtype nf4 takes a GPU, found none; use bfloat16.")
    if find_spec("bitsandbytes") is None:
        raise EncoderError(
            f"{where}: base_dtype nf4 takes the package bitsandbytes, found none; pip install "
            "'genser[quantised]', or use bfloat16."
        )
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=NF4, bnb_4bit_compute_dtype=torch.bfloat16
        )
    }
