"""SpeechTokenizer: loaded without its trainer, its weights as tensors, its codes as the package's.

The package is a stand-in of the same names and shapes where the real one is not installed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.codecs import (
    HOP,
    RATE,
    SPEECHTOKENIZER,
    save_speechtokenizer,
    stand_in_package,
    without_module,
)
from helpers.encoders import edit_json
from pipeline.encoders.catalogue import open_encoder, outline_of
from pipeline.encoders.codecs import CodecEncoder
from pipeline.encoders.speechtokenizer import WEIGHTS, _built, _place
from pipeline.errors import EncoderError


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    stand_in_package(tmp_path, monkeypatch)
    yield
    without_module("speechtokenizer")


def opened(folder: Path) -> CodecEncoder:
    found = open_encoder(f"speechtokenizer:{folder}", compute_dtype="float32", device="cpu")
    assert isinstance(found, CodecEncoder)
    return found


def waveform(num_samples: int) -> np.ndarray:
    return (0.3 * np.random.default_rng(0).normal(size=num_samples)).astype(np.float32)


def test_codes_and_codebooks_are_those_of_the_package(tmp_path: Path) -> None:
    save_speechtokenizer(tmp_path / "s")
    model = _built("a test", SPEECHTOKENIZER).eval()
    model.load_state_dict(torch.load(tmp_path / "s" / WEIGHTS, weights_only=True))
    encoder = opened(tmp_path / "s")
    books = encoder.codebooks()
    for num_samples in (HOP, HOP + 1, 8000):
        codes = encoder.encode([waveform(num_samples)])[0].codes
        assert codes is not None
        assert codes.shape == (-(-num_samples // HOP), 3)
        with torch.no_grad():
            wanted = model.encode(torch.from_numpy(waveform(num_samples))[None, None])
            first = model.encode(torch.from_numpy(waveform(num_samples))[None, None], n_q=2)
        assert torch.equal(codes, wanted[:, 0].T)
        assert torch.equal(codes[:, :2], first[:, 0].T)
    assert books.shape == (3, 16, 8)
    for layer, book in zip(model.quantizer.vq.layers, books, strict=True):
        assert torch.equal(layer.codebook, book)


def test_the_outline_needs_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_speechtokenizer(tmp_path / "s")
    without_module("speechtokenizer")
    monkeypatch.setattr("pipeline.encoders.speechtokenizer.find_spec", lambda name: None)
    outline = outline_of(f"speechtokenizer:{tmp_path / 's'}")
    assert (outline.num_layers, outline.dim, outline.num_codes) == (3, 8, 16)
    assert outline.frames_per_s == RATE / HOP
    message = r"needs the package speechtokenizer, .* \(it is not installed\); pip install"
    with pytest.raises(EncoderError, match=message):
        opened(tmp_path / "s")


def test_the_digest_is_of_what_makes_codes(tmp_path: Path) -> None:
    save_speechtokenizer(tmp_path / "a")
    save_speechtokenizer(tmp_path / "b", lambda state: state["transform.bias"].add_(1))
    book = "quantizer.vq.layers.0."
    save_speechtokenizer(
        tmp_path / "c",
        lambda state: [v.add_(1) for k, v in state.items() if k.startswith(book)],
    )
    a, b, c = (opened(tmp_path / name).identity for name in "abc")
    assert a == b
    assert a["flags"] == c["flags"]
    assert a["weights"] != c["weights"]


def test_weights_that_are_missing_or_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_speechtokenizer(tmp_path / "a", lambda state: state.pop("transform.bias"))
    with pytest.raises(EncoderError, match=r"1 weights of .* do not fit, the first 'transform.bia"):
        opened(tmp_path / "a")
    save_speechtokenizer(
        tmp_path / "b", lambda state: state.update({"transform.bias": torch.zeros(9)})
    )
    with pytest.raises(EncoderError, match=r"the first 'transform\.bias'; take both files"):
        opened(tmp_path / "b")


def test_a_pickle_of_more_than_tensors_is_not_opened(tmp_path: Path) -> None:
    save_speechtokenizer(tmp_path / "s")
    torch.save({"a": Path("x")}, tmp_path / "s" / WEIGHTS)
    with pytest.raises(EncoderError, match="damaged or hold more than tensors"):
        opened(tmp_path / "s")
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "s" / WEIGHTS)
    with pytest.raises(EncoderError, match="holds more than tensors by name"):
        opened(tmp_path / "s")


def test_a_config_that_is_absent_broken_or_silent_is_refused(tmp_path: Path) -> None:
    save_speechtokenizer(tmp_path / "s")
    config = tmp_path / "s" / "config.json"
    edit_json(config, activation="Nothing")
    with pytest.raises(EncoderError, match="describes no model of the package speechtokenizer"):
        opened(tmp_path / "s")
    edit_json(config, n_q=None)
    with pytest.raises(EncoderError, match=r"config\.json does not say n_q; use the file"):
        opened(tmp_path / "s")
    config.write_text("[1]")
    with pytest.raises(EncoderError, match=r"config\.json: found \[1\], wanted names"):
        opened(tmp_path / "s")
    config.write_text("{")
    with pytest.raises(EncoderError, match=r"config\.json: is no JSON \(Expecting"):
        opened(tmp_path / "s")
    config.unlink()
    with pytest.raises(EncoderError, match="cannot be loaded"):
        opened(tmp_path / "s")


def test_a_folder_on_the_hub_stands_between_repository_and_revision() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    found = _place(f"speechtokenizer:owner/name/some/folder@{commit}")
    assert found == (f"hf://owner/name@{commit}", False, "some/folder")
    assert _place("speechtokenizer:hf://owner/name/folder@v1") == (
        "hf://owner/name@v1",
        False,
        "folder",
    )
    assert _place("speechtokenizer:hf://owner/name") == ("hf://owner/name@main", False, "")
    with pytest.raises(EncoderError, match="owner/name/folder: no such folder, wanted a folder"):
        _place("speechtokenizer:owner/name/folder")
