"""Which checkpoints are taken, which are refused, and what their digest is of."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig

from helpers.encoders import digest_of, edit_json, edit_weights, hubert_at, loaded
from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.loading import tensors_digest
from pipeline.errors import EncoderError


@pytest.fixture
def folder(tiny_encoder_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(tiny_encoder_folder, tmp_path / "encoder"))


def test_what_was_loaded_is_described(tiny_encoder_folder: Path) -> None:
    checkpoint = loaded(tiny_encoder_folder)
    assert (checkpoint.family, checkpoint.sample_rate) == ("hubert", 16000)
    assert checkpoint.config["hidden_size"] == 64
    assert checkpoint.config["conv_dim"] == [64] * 7
    assert checkpoint.config["do_stable_layer_norm"] is True
    assert json.loads(json.dumps(dict(checkpoint.config))) == checkpoint.config


def use_pickle(folder: Path, extra: dict[str, object]) -> None:
    weights: dict[str, Any] = {**load_file(folder / "model.safetensors"), **extra}
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def test_the_digest_is_of_the_weights_not_of_the_file(folder: Path) -> None:
    before = digest_of(folder)
    use_pickle(folder, {})
    assert digest_of(folder) == before


def test_the_digest_leaves_out_what_only_training_uses(folder: Path) -> None:
    before = digest_of(folder)
    edit_weights(folder, lambda weights: weights.pop("masked_spec_embed"))
    assert digest_of(folder) == before


def test_the_digest_changes_with_one_weight(folder: Path) -> None:
    before = digest_of(folder)
    edit_weights(folder, lambda weights: weights["encoder.layer_norm.bias"][3].add_(1e-6))
    assert digest_of(folder) != before


def test_the_digest_changes_when_two_weights_of_one_shape_change_places() -> None:
    a, b = torch.zeros(2, 2), torch.ones(2, 2)
    assert tensors_digest({"q": a, "k": b}) != tensors_digest({"q": b, "k": a})
    assert tensors_digest({"q": a, "k": b}) == tensors_digest({"query": a, "key": b})


def test_a_missing_weight_is_refused_by_name(folder: Path) -> None:
    name = "encoder.layers.1.attention.k_proj.weight"
    edit_weights(folder, lambda weights: weights.pop(name))
    with pytest.raises(EncoderError, match=rf"lacks 1 weights of its model, the first '{name}'"):
        hubert_at(folder)


def test_a_weight_of_another_shape_is_refused(folder: Path) -> None:
    edit_weights(
        folder, lambda weights: weights.update({"encoder.layer_norm.bias": torch.zeros(3)})
    )
    with pytest.raises(EncoderError, match=r"extract\.encoder: .* cannot be loaded"):
        hubert_at(folder)


@pytest.mark.parametrize("size", [3, 5000])
def test_damaged_weights_are_refused(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(EncoderError, match=r"cannot be loaded \(Error while deserializing"):
        hubert_at(folder)


class Malicious:
    """Unpickled without care, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    use_pickle(folder, {"extra": Malicious(tmp_path / "harm")})
    with pytest.raises(EncoderError, match="pickled weights are damaged or hold more than tensors"):
        hubert_at(folder)
    assert not (tmp_path / "harm").exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("model_type", ["martian", "hubert"])
def test_code_that_a_checkpoint_brings_is_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: str
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    own = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    edit_json(folder / "config.json", model_type=model_type, auto_map=own)
    (folder / "own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'harm')!r})\n")
    if model_type == "hubert":
        hubert_at(folder)
    else:
        with pytest.raises(EncoderError, match="contains custom code"):
            hubert_at(folder)
    assert not (tmp_path / "harm").exists()


def test_a_model_of_another_family_is_refused(tmp_path: Path) -> None:
    BertConfig(hidden_size=16).save_pretrained(tmp_path)
    wanted = r"is a 'bert' model, wanted one of \('hubert', 'wavlm', .*'whisper'.*\)"
    with pytest.raises(EncoderError, match=wanted):
        hubert_at(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_folder_without_one_of_its_files_is_refused_in_one_line(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=r"cannot be loaded .*; name a folder with") as caught:
        hubert_at(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("spelling", ["hf://owner/name", "hf://owner/name@v1", f"o/n@{40 * 'a'}"])
def test_a_model_of_the_hub_that_is_not_cached_is_refused_in_one_line(spelling: str) -> None:
    with pytest.raises(EncoderError, match=f"extract.encoder: {spelling} cannot be") as caught:
        open_encoder(spelling, compute_dtype="float32", device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": "wide"}, "expected int, got str"),
        ({"conv_dim": [64, 64]}, "convolutional layers is incorrect"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    folder: Path, values: dict[str, object], message: str
) -> None:
    edit_json(folder / "config.json", **values)
    with pytest.raises(EncoderError, match=message):
        hubert_at(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sampling_rate": 0}, "sampling_rate 0, wanted 1000 to 192000 Hz"),
        ({"sampling_rate": 10**9}, "wanted 1000 to 192000 Hz"),
        ({"sampling_rate": "fast"}, "sampling_rate: found 'fast', wanted a whole number"),
        ({"sampling_rate": 1e400}, "sampling_rate: found inf, wanted a whole number"),
        ({"do_normalize": "no"}, "do_normalize: found 'no', wanted true or false"),
    ],
)
def test_a_preprocessor_with_impossible_numbers_is_refused(
    folder: Path, values: dict[str, object], message: str
) -> None:
    edit_json(folder / "preprocessor_config.json", **values)
    with pytest.raises(EncoderError, match=message) as caught:
        hubert_at(folder)
    assert "\n" not in str(caught.value)
