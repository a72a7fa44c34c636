"""Loading pretrained weights, from a folder or the hub, whole or not at all.

Nothing is run that a checkpoint brings: no remote code, and pickles only as tensors (transformers
5 reads them with weights_only=True).
"""

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.encoders.hub import ENCODER, hub_model
from pipeline.encoders.preprocessors import WaveformPreprocessor, read_preprocessor
from pipeline.errors import EncoderError
from pipeline.files import fingerprint, sha256_bytes

_FILES = {ENCODER: "config.json, preprocessor_config.json"}

WHISPER, W2V_BERT = "whisper", "wav2vec2-bert"
# Models that hear by an encoder like Whisper's and answer by a language model, which is not read.
QWEN2_AUDIO, VOXTRAL = "qwen2_audio", "voxtral"
OF_WAVEFORMS = ("hubert", "wavlm", "wav2vec2", "data2vec-audio", "unispeech", "unispeech-sat")
FAMILIES = (*OF_WAVEFORMS, W2V_BERT, WHISPER, QWEN2_AUDIO, VOXTRAL)

# Parts of the configuration that change a number in eval mode; the rest is training or naming.
NUMERIC_FLAGS = (
    "add_adapter",
    "conv_bias",
    "conv_dim",
    "conv_kernel",
    "conv_pos_batch_norm",
    "conv_pos_kernel_size",
    "conv_stride",
    "do_stable_layer_norm",
    "feat_extract_activation",
    "feat_extract_norm",
    "feat_proj_layer_norm",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "max_bucket_distance",
    "num_attention_heads",
    "num_buckets",
    "num_conv_pos_embedding_groups",
    "num_conv_pos_embeddings",
    "num_hidden_layers",
)

# Raised by transformers of files that are not there, and of what is in them and cannot be.
_UNLOADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    pickle.UnpicklingError,
)

# Used in training only, and drawn at random where a checkpoint lacks it.
IGNORED_WEIGHT = "masked_spec_embed"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded encoder of raw waveforms and what identifies it.

    Attributes:
        model: The transformers model, float32, on the CPU.
        family: Its model type, one of `FAMILIES`.
        weights_digest: SHA-256 over the tensors, whatever file format they came in.
        config: The numeric flags of its configuration.
        sample_rate: Hertz that it was trained on.
        normalisation: `"zscore"` per clip, or `"none"`, as its preprocessor says.
    """

    model: Any  # the families share attributes, not a class
    family: str
    weights_digest: str
    config: Mapping[str, Any]
    sample_rate: int
    normalisation: str


def read_encoder_config(spelling: str, *, is_folder: bool) -> Any:
    """Return the transformers configuration of an encoder, without its weights.

    Raises:
        EncoderError: If it is not to be had or of another family.
    """
    from transformers import AutoConfig

    # Without the False transformers asks on a terminal whether to run a checkpoint's own code.
    config = fetched(AutoConfig, spelling, is_folder=is_folder, trust_remote_code=False)
    if config.model_type not in FAMILIES:
        raise EncoderError(
            f"extract.encoder: {spelling} is a {config.model_type!r} model, "
            f"wanted one of {FAMILIES}."
        )
    return config


def load_checkpoint(spelling: str, config: Any, *, is_folder: bool) -> Checkpoint:
    """Load weights and preprocessor of an encoder of raw waveforms.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        config: What `read_encoder_config` read of it.
        is_folder: Whether it is a folder.

    Raises:
        EncoderError: If a file is not to be had, or a weight is missing.
    """
    from transformers import Wav2Vec2FeatureExtractor

    model = load_model(spelling, config, is_folder=is_folder)
    preprocessor = fetched(Wav2Vec2FeatureExtractor, spelling, is_folder=is_folder)
    told = read_preprocessor(WaveformPreprocessor, spelling, preprocessor)
    flags = {name: getattr(config, name) for name in NUMERIC_FLAGS if hasattr(config, name)}
    return Checkpoint(
        model=model,
        family=config.model_type,
        weights_digest=tensors_digest(model.state_dict()),
        config={k: list(v) if isinstance(v, tuple) else v for k, v in flags.items()},
        sample_rate=told.sampling_rate,
        normalisation="zscore" if told.do_normalize else "none",
    )


def load_model(
    spelling: str,
    config: Any,
    *,
    is_folder: bool,
    part: str = "",
    kind: Any = None,
    where: str = ENCODER,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Any:
    """Load a transformers model, whole or not at all.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        config: Its transformers configuration.
        is_folder: Whether it is a folder.
        part: Beginning of the names of the weights that must be there; "" for all.
        kind: A class of transformers; None takes the bare model of the configuration.
        where: The parameter that names it, for messages.
        dtype: Of its weights.
        options: More of `from_pretrained`.

    Raises:
        EncoderError: If it is not to be had, or a weight is missing or of another shape.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # of reading a file: ours shows clips
    # Its report of what did not fit is a screenful; what matters of it is an error below.
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        model, info = fetched(
            kind or AutoModel,
            spelling,
            is_folder=is_folder,
            config=config,
            where=where,
            trust_remote_code=False,
            dtype=dtype,
            output_loading_info=True,
            **options,
        )
    finally:
        logging.set_verbosity(verbosity)
    missing = (name for name in info["missing_keys"] if name.startswith(part))
    wrong = sorted(name for name in missing if not name.endswith(IGNORED_WEIGHT))
    wrong += sorted(str(name) for name in info["mismatched_keys"])
    if wrong:
        raise EncoderError(
            f"{where}: {spelling} lacks {len(wrong)} weights of its model, the first "
            f"{wrong[0]!r}; they would be random numbers: use a complete checkpoint."
        )
    return model


def tensors_digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a model's tensors in its own order, whatever file they came in.

    Names are left out: they change between versions of torch (weight norm), values do not.
    """
    digests = []
    for name, tensor in state.items():
        if name.endswith(IGNORED_WEIGHT):
            continue
        array = _as_numpy(tensor.detach().cpu().contiguous())
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        digests.append([str(array.dtype), list(array.shape), digest])
    return fingerprint(digests)


def tokeniser_digest(tokeniser: Any, where: str) -> str:
    """Return the SHA-256 of all that a tokeniser does to a text.

    Raises:
        EncoderError: If it is not one of the library tokenizers, which can say that.
    """
    backend = getattr(tokeniser, "backend_tokenizer", None)
    if backend is None:
        raise EncoderError(
            f"{where}: found a tokenizer written in Python, wanted one of the library tokenizers; "
            "save it with its tokenizer.json."
        )
    # How texts are cut and padded is said anew at every call.
    backend.no_truncation()
    backend.no_padding()
    return sha256_bytes(backend.to_str().encode())


def _as_numpy(tensor: Tensor) -> np.ndarray:
    # NumPy has no bfloat16: its bits stand for it.
    bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
    return np.asarray(bits)


def fetched(
    kind: Any, spelling: str, *, is_folder: bool, where: str = ENCODER, **options: Any
) -> Any:
    """Call `kind.from_pretrained` on a folder or a model of the hub, with errors a user can mend.

    Args:
        kind: A class of transformers.
        spelling: As `pipeline.encoders.hub` reads it.
        is_folder: Whether it is a folder.
        where: The parameter that names it, for messages.
        options: Of `from_pretrained`.

    Raises:
        EncoderError: If it is not to be had.
    """
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    name, revision = (spelling, None) if is_folder else hub_model(spelling, where)
    try:
        if is_folder:
            return kind.from_pretrained(name, **{**options, "local_files_only": True})
        return kind.from_pretrained(name, revision=revision, **options)
    except Exception as error:
        known = (*_UNLOADABLE, SafetensorError, StrictDataclassError)
        # What the library tokenizers raises is no more than an Exception.
        if not isinstance(error, known) and type(error) is not Exception:
            raise
        raise EncoderError(
            f"{where}: {spelling} cannot be loaded ({_reason(error)}); name a folder with "
            f"{_FILES.get(where, 'config.json, its tokenizer')} and weights, or a model of the "
            "hub that is reachable or cached."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        # Torch's own text advises to run the pickle.
        return "its pickled weights are damaged or hold more than tensors"
    lines = str(error).strip().splitlines() or [repr(error)]
    return " ".join(line.strip() for line in lines[: 2 if lines[0].endswith(":") else 1])
