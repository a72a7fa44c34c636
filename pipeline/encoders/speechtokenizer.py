"""SpeechTokenizer through its own package (`extract.encoder: speechtokenizer:<folder>`).

Zhang et al. 2024, SpeechTokenizer: Unified Speech Tokenizer for Speech Language Models. Book 1 is
taught by HuBERT and says what is said, the others how. A folder has config.json and
SpeechTokenizer.pt; on the hub both may lie in a folder, `fnlp/SpeechTokenizer/<folder>@<commit>`.

The package (extra `codecs`) is 1.0.1. Importing it imports its trainer, with torchaudio, accelerate
and two packages that it does not even declare; here its model's module is imported alone. Its own
loader unpickles anything; here weights are read as tensors.
"""

import math
import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from pipeline.encoders.base import Outline
from pipeline.encoders.codecs import (
    CONFIG,
    CodecEncoder,
    codec_outline,
    read_json,
    require_stated,
    tensors_of,
    whereabouts,
)
from pipeline.encoders.hub import hub_model
from pipeline.encoders.layer_moments import placed
from pipeline.encoders.loading import tensors_digest
from pipeline.errors import EncoderError

NAME = "speechtokenizer"
WEIGHTS = "SpeechTokenizer.pt"
ALONE = "speechtokenizer_model_alone"  # the package's name here, its own stays free

# Parts of the configuration that change a code; the model is made of them and needs each.
NUMERIC_FLAGS = (
    "activation",
    "bidirectional",
    "codebook_size",
    "dilation_base",
    "dimension",
    "lstm_layers",
    "n_filters",
    "n_q",
    "n_residual_layers",
    "residual_kernel_size",
    "sample_rate",
    "strides",
)
STATED = (*NUMERIC_FLAGS, "semantic_dimension")


class SpeechTokenizerEncoder(CodecEncoder):
    """A frozen SpeechTokenizer.

    Attributes:
        model: The package's model without its decoder.
    """

    def __init__(
        self, model: Any, config: Mapping[str, Any], outline: Outline, *, device: str
    ) -> None:
        del model.decoder, model.transform  # not used, and no part of the digest
        self.outline = outline
        self.identity = {
            "family": NAME,
            "weights": tensors_digest(model.state_dict()),
            "flags": {name: config[name] for name in NUMERIC_FLAGS},
        }
        self.sample_rate = int(config["sample_rate"])
        self.min_samples = math.prod(config["strides"])
        self._books = torch.stack([layer.codebook for layer in model.quantizer.vq.layers])
        self._device = device
        self.model = placed(model, compute_dtype="float32", device=device)

    def codebooks(self) -> Tensor:
        """Return the vectors of its codebooks, shape (Q, K, D)."""
        return self._books

    def codes(self, waveform: Tensor) -> Tensor:
        """Return the codes of samples (N,), shape (Q, T), T = ceil(N / hop)."""
        codes: Tensor = self.model.encode(waveform[None, None].to(self._device))[:, 0]
        return codes


def outline(spelling: str) -> Outline:
    """Return the shape that a checkpoint's configuration promises, its package there or not.

    Raises:
        EncoderError: If it cannot be had, or leaves something out.
    """
    return _outline(spelling, _read_config(spelling))


def open_codec(spelling: str, *, device: str) -> SpeechTokenizerEncoder:
    """Load a checkpoint, whole or not at all.

    Raises:
        EncoderError: If the package or the checkpoint is not to be had, or they do not fit.
    """
    config = _read_config(spelling)
    found = _outline(spelling, config)
    model = _built(spelling, config)
    name, is_folder, subfolder = _place(spelling)
    weights = tensors_of(name, WEIGHTS, is_folder=is_folder, subfolder=subfolder)
    own = model.state_dict()
    wrong = sorted(own.keys() ^ weights.keys())
    wrong += [name for name in own.keys() & weights if own[name].shape != weights[name].shape]
    if wrong:
        raise EncoderError(
            f"extract.encoder: {spelling}: {len(wrong)} weights of {WEIGHTS} and of the model that "
            f"{CONFIG} describes do not fit, the first {wrong[0]!r}; take both files from one "
            "checkpoint."
        )
    model.load_state_dict(weights)
    return SpeechTokenizerEncoder(model, config, found, device=device)


def _place(spelling: str) -> tuple[str, bool, str]:
    """Return folder or model of the hub, which of the two, and the folder within that model."""
    name, is_folder = whereabouts(spelling)
    if is_folder:
        return name, True, ""
    path, revision = hub_model(name)
    owner, _, rest = path.partition("/")
    repository, _, subfolder = rest.partition("/")
    return f"hf://{owner}/{repository}@{revision}", False, subfolder


def _read_config(spelling: str) -> dict[str, Any]:
    name, is_folder, subfolder = _place(spelling)
    config = read_json(name, is_folder=is_folder, subfolder=subfolder)
    require_stated(spelling, config, STATED)
    return config


def _outline(spelling: str, config: Mapping[str, Any]) -> Outline:
    return codec_outline(
        spelling,
        num_codebooks=config["n_q"],
        num_codes=config["codebook_size"],
        dim=config["dimension"],
        rate=config["sample_rate"],
        hop=math.prod(config["strides"]),
    )


def _built(spelling: str, config: Mapping[str, Any]) -> Any:
    """Return the model that a configuration describes, its weights not read yet."""
    try:
        kind = _model_module().SpeechTokenizer
    except ImportError as error:
        raise EncoderError(
            f"extract.encoder: {spelling} needs the package speechtokenizer, whose model cannot be "
            f"imported ({error}); pip install 'genser[codecs]'."
        ) from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*weight_norm", category=FutureWarning)
        try:
            return kind(config)
        except (AttributeError, TypeError, ValueError) as error:
            raise EncoderError(
                f"extract.encoder: {spelling}: {CONFIG} describes no model of the package "
                f"speechtokenizer ({error}); use the file of the checkpoint itself."
            ) from error


def _model_module() -> ModuleType:
    """Import the module of the model alone: the package's own `__init__` imports its trainer."""
    found = find_spec(NAME)
    if found is None or not found.submodule_search_locations:
        raise ImportError("it is not installed")
    if ALONE not in sys.modules:
        package = ModuleType(ALONE)
        package.__path__ = list(found.submodule_search_locations)
        sys.modules[ALONE] = package
    return import_module(f"{ALONE}.model")
