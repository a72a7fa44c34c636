"""Silero's voice activity detector (silero-vad 6, MIT), from the weights that its package brings.

The package itself is not imported: it would set torch's threads for the whole program. Its network
for 16 kHz is run here on many frames at once, with the same numbers: the magnitudes of a short-time
Fourier transform, four convolutions, an LSTM over the frames, and a sigmoid. Each frame of 512
samples sees the 64 before it. The weights are those of its TorchScript; the tensors that lie beside
are of another training.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.errors import EncoderError
from pipeline.files import sha256_file

WEIGHTS = Path("data", "silero_vad.jit")
OWN = "_model."  # the network for 16 kHz; another one is for 8 kHz
BEFORE, MIRRORED = 64, 64  # samples before a frame, and those mirrored at its end
BINS, STRIDE = 129, 128
STRIDES = (1, 2, 2, 1)  # of the convolutions
WIDTH = 128


class SileroDetector:
    """The detector of one recording after another.

    Attributes:
        sample_rate: 16 kHz.
        frame_samples: 512, which are 32 ms.
        identity: The digest of its weights.
    """

    sample_rate = 16000
    frame_samples = 512

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            EncoderError: If silero-vad is not installed.
        """
        path = _weights_file()
        self.identity = f"silero-vad:{sha256_file(path)}"
        told = torch.jit.load(path).state_dict()  # type: ignore[no-untyped-call]
        own = {name.removeprefix(OWN): told[name] for name in told if name.startswith(OWN)}
        self._fourier = own["stft.forward_basis_buffer"]
        self._convolutions = [
            (own[f"encoder.{i}.reparam_conv.weight"], own[f"encoder.{i}.reparam_conv.bias"], stride)
            for i, stride in enumerate(STRIDES)
        ]
        self._last = own["decoder.decoder.2.weight"][0, :, 0], own["decoder.decoder.2.bias"]
        self._lstm = torch.nn.LSTM(WIDTH, WIDTH)
        self._lstm.load_state_dict({f"{name}_l0": own[f"decoder.rnn.{name}"] for name in _LSTM})
        self.begin()

    def begin(self) -> None:
        """Forget what was heard: another recording begins."""
        self._before = np.zeros(BEFORE, np.float32)
        self._state: tuple[Tensor, Tensor] | None = None

    @torch.inference_mode()
    def probabilities(self, frames: np.ndarray) -> np.ndarray:
        """Return the probability of speech of the next frames (T, 512), float32, shape (T,)."""
        tails = np.concatenate([self._before[None], frames[:-1, -BEFORE:]])
        self._before = frames[-1, -BEFORE:].copy()
        x = torch.from_numpy(np.concatenate([tails, frames], axis=1))
        x = functional.pad(x, (0, MIRRORED), mode="reflect")[:, None]  # (T, 1, 640)
        x = functional.conv1d(x, self._fourier, stride=STRIDE)
        x = (x[:, :BINS].square() + x[:, BINS:].square()).sqrt()  # (T, 129, 4)
        for weight, bias, stride in self._convolutions:
            x = functional.conv1d(x, weight, bias, stride=stride, padding=1).relu()
        hidden, self._state = self._lstm(x.squeeze(-1), self._state)  # (T, 128)
        weight, bias = self._last
        found: np.ndarray = torch.sigmoid(hidden.relu() @ weight + bias).numpy()
        return found


_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _weights_file() -> Path:
    found = find_spec("silero_vad")
    folder = found and found.submodule_search_locations
    path = Path(next(iter(folder or [])), WEIGHTS) if folder else None
    if path is None or not path.is_file():
        there = f"none of its weights at {path}" if folder else "none"
        raise EncoderError(
            f"--segments speech: needs silero-vad, found {there}: "
            "pip install 'genser[vad]', or take --segments windows."
        )
    return path
