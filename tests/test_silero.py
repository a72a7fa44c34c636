"""Silero's detector against the TorchScript that its package runs, and its absence."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import EncoderError
from pipeline.segmentation import silero


def test_it_says_what_its_torchscript_says():
    pytest.importorskip("silero_vad")
    found = find_spec("silero_vad")
    script = torch.jit.load(Path(found.submodule_search_locations[0], "data", "silero_vad.jit"))
    generator = np.random.default_rng(0)
    loudness = np.repeat([0.001, 0.3, 0.02, 0.6], 10 * 512)
    times = np.arange(len(loudness)) / 16000
    voice = sum(np.sin(2 * np.pi * 140 * k * times) / k for k in range(1, 20))
    samples = loudness * (voice + 0.1 * generator.standard_normal(len(times)))
    frames = samples.astype(np.float32).reshape(-1, 512)
    script.reset_states()
    with torch.no_grad():
        wanted = [script(torch.from_numpy(frame), 16000).item() for frame in frames]
    detector = silero.SileroDetector()
    for parts in ([frames], [frames[:7], frames[7:8], frames[8:]]):
        detector.begin()
        told = np.concatenate([detector.probabilities(part) for part in parts])
        np.testing.assert_allclose(told, wanted, atol=1e-5)
    assert np.ptp(wanted) > 0.1


def test_without_its_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(silero, "find_spec", lambda _: None)
    with pytest.raises(
        EncoderError, match=r"needs silero-vad, found none: pip install 'genser\[va"
    ):
        silero.SileroDetector()
