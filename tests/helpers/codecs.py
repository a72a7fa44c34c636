"""Small codecs of the real classes, saved as a checkpoint would be, and a stand-in package."""

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

RATE = 8000
SIZES: dict[str, dict[str, Any]] = {
    # 3 codebooks at the larger bandwidth: 300 bits of 4-bit codes, 25 frames a second.
    "encodec": {
        "num_filters": 4,
        "hidden_size": 8,
        "num_lstm_layers": 1,
        "upsampling_ratios": [8, 8, 5],
        "target_bandwidths": [0.1, 0.3],
        "codebook_size": 16,
        "sampling_rate": RATE,
    },
    "dac": {
        "encoder_hidden_size": 4,
        "decoder_hidden_size": 16,
        "downsampling_ratios": [8, 8, 5],
        "n_codebooks": 3,
        "codebook_size": 16,
        "codebook_dim": 4,
        "sampling_rate": RATE,
    },
}
HOP = 320

SPEECHTOKENIZER: dict[str, Any] = {
    "n_filters": 4,
    "strides": [8, 8, 5],
    "dimension": 8,
    "semantic_dimension": 6,
    "bidirectional": True,
    "dilation_base": 2,
    "residual_kernel_size": 3,
    "n_residual_layers": 1,
    "lstm_layers": 1,
    "activation": "ELU",
    "codebook_size": 16,
    "n_q": 3,
    "sample_rate": RATE,
}

# What of the package speechtokenizer 1.0.1 is used: the model's shape and names, not its layers.
STAND_IN = """
import torch
from torch import nn


class Book(nn.Module):
    def __init__(self, size, dim):
        super().__init__()
        self.register_buffer("codebook", torch.zeros(size, dim))


class SpeechTokenizer(nn.Module):
    def __init__(self, config):
        super().__init__()
        hop = torch.tensor(config.get("strides")).prod().item()
        dim, size = config.get("dimension"), config.get("codebook_size")
        getattr(nn, config.get("activation"))
        self.encoder = nn.Conv1d(1, dim, hop, stride=hop)
        self.transform = nn.Linear(dim, config.get("semantic_dimension"))
        self.quantizer = nn.Module()
        self.quantizer.vq = nn.Module()
        books = [Book(size, dim) for _ in range(config.get("n_q"))]
        self.quantizer.vq.layers = nn.ModuleList(books)
        self.decoder = nn.ConvTranspose1d(dim, 1, hop, stride=hop)

    def encode(self, x, n_q=None):
        rest = self.encoder(nn.functional.pad(x, (0, -x.shape[-1] % self.encoder.stride[0])))
        codes = []
        for book in self.quantizer.vq.layers[:n_q]:
            codes.append(torch.cdist(rest.transpose(1, 2), book.codebook[None]).argmin(-1))
            rest = rest - book.codebook[codes[-1]].transpose(1, 2)
        return torch.stack(codes)
"""


def save_codec(folder: Path, kind: str, seed: int = 0, **changes: Any) -> Any:
    """Save a small codec of a kind of transformers with drawn weights; return the model."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModel.from_config(AutoConfig.for_model(kind, **(SIZES[kind] | changes))).eval()
        if kind == "encodec":
            _spread_out(model)
    model.save_pretrained(folder)
    return model


@torch.no_grad()
def _spread_out(model: Any) -> None:
    """Draw codebooks from what the encoder makes of noise, so that many codes are met."""
    frames = model.encoder(0.3 * torch.randn(1, 1, 16 * HOP))[0].T
    for layer in model.quantizer.layers:
        layer.codebook.embed.copy_(frames[: len(layer.codebook.embed)])
        frames = (frames - frames.mean(0))[torch.randperm(len(frames))] / 2


def without_module(prefix: str) -> None:
    for name in [name for name in sys.modules if name.startswith(prefix)]:
        del sys.modules[name]


def stand_in_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package of that name, if the real one is not, whose own import fails."""
    without_module("speechtokenizer")
    if find_spec("speechtokenizer") is None:
        package = folder / "site" / "speechtokenizer"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('no trainer here')\n")
        (package / "model.py").write_text(STAND_IN)
        monkeypatch.syspath_prepend(folder / "site")


def save_speechtokenizer(
    folder: Path, edit: Callable[[dict[str, Any]], object] = lambda state: None
) -> None:
    """Save a small SpeechTokenizer of the package as it is released, its weights as edited."""
    from pipeline.encoders.speechtokenizer import _built

    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = _built("a test", SPEECHTOKENIZER).state_dict()
        for name, tensor in state.items():
            if name.endswith(("codebook", "embed")):
                tensor.normal_()
    edit(state)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SPEECHTOKENIZER))
    torch.save(state, folder / "SpeechTokenizer.pt")
