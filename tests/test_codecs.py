"""EnCodec and DAC: loaded whole, their codes and codebooks those of the model itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DacFeatureExtractor

from helpers.codecs import HOP, RATE, save_codec
from helpers.encoders import edit_json, edit_weights
from pipeline.encoders.catalogue import is_at_hand, open_encoder, outline_of
from pipeline.encoders.codecs import CodecEncoder
from pipeline.errors import EncoderError

KINDS = ("encodec", "dac")


def opened(folder: Path, kind: str, compute_dtype: str = "float32") -> CodecEncoder:
    found = open_encoder(f"{kind}:{folder}", compute_dtype=compute_dtype, device="cpu")
    assert isinstance(found, CodecEncoder)
    return found


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=num_samples)
    return (0.3 * noise).astype(np.float32)


def codes_of(encoder: CodecEncoder, samples: np.ndarray) -> np.ndarray:
    codes = encoder.encode([samples])[0].codes
    assert codes is not None
    assert (codes.dtype, codes.device.type) == (torch.int64, "cpu")
    return codes.numpy()


@torch.no_grad()
def by_the_model(model: Any, kind: str, samples: np.ndarray) -> np.ndarray:
    """Return the codes (T, Q) that transformers gives, by its own preprocessor where it pads."""
    if kind == "encodec":
        encoded = model.encode(torch.from_numpy(samples)[None, None], bandwidth=0.3)
        return encoded.audio_codes[0, 0].T.numpy()
    extractor = DacFeatureExtractor(sampling_rate=RATE, hop_length=HOP)
    values = extractor(samples, sampling_rate=RATE, return_tensors="pt")["input_values"]
    return model.encode(values).audio_codes[0].T.numpy()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(tmp_path: Path, kind: str) -> Path:
    save_codec(tmp_path / kind, kind)
    return tmp_path / kind


def test_codes_are_those_of_the_model_itself(folder: Path, kind: str) -> None:
    model = save_codec(folder, kind)
    encoder = opened(folder, kind)
    for num_samples in (HOP, HOP + 1, 2 * HOP - 1, 8123):
        samples = waveform(num_samples)
        found = codes_of(encoder, samples)
        assert found.shape == (-(-num_samples // HOP), 3)
        np.testing.assert_array_equal(found, by_the_model(model, kind, samples))
    assert len(np.unique(found)) > 8


def test_the_outline_is_read_without_weights_from_the_checkpoints_own_config(
    folder: Path, kind: str
) -> None:
    (folder / "model.safetensors").unlink()
    outline = outline_of(f"{kind}:{folder}")
    dim = {"encodec": 8, "dac": 32}[kind]
    assert (outline.num_layers, outline.dim, outline.num_codes) == (3, dim, 16)
    assert (outline.frames_per_s, outline.compute_dtypes) == (RATE / HOP, ("float32",))
    assert is_at_hand(f"{kind}:{folder}")
    assert not is_at_hand(f"{kind}:{folder / 'absent'}")


def test_the_vectors_of_a_frames_codes_sum_up_to_the_quantised_latent(
    folder: Path, kind: str
) -> None:
    model = save_codec(folder, kind)
    encoder = opened(folder, kind)
    books = encoder.codebooks()
    assert (books.shape, books.dtype) == ((3, 16, encoder.dim), torch.float32)
    codes = torch.from_numpy(codes_of(encoder, waveform(5000)))
    for num_books in (1, 2, 3):
        few = codes[:, :num_books]
        found = books[torch.arange(num_books), few].sum(1)
        with torch.no_grad():
            wanted = (
                model.quantizer.decode(few.T[:, None])
                if kind == "encodec"
                else model.quantizer.from_codes(few.T[None])[0]
            )
        torch.testing.assert_close(found, wanted[0].T, rtol=1e-5, atol=1e-6)


def test_a_clips_codes_do_not_depend_on_its_neighbours(folder: Path, kind: str) -> None:
    encoder = opened(folder, kind)
    clips = [waveform(n, seed=n) for n in (HOP, 4001, 9000)]
    for clip, encoded in zip(clips, encoder.encode(clips), strict=True):
        assert encoded.codes is not None
        np.testing.assert_array_equal(encoded.codes.numpy(), codes_of(encoder, clip))
        assert (encoded.moments, encoded.frames) == (None, None)


def test_the_first_codebooks_are_those_of_a_lower_bandwidth(tmp_path: Path) -> None:
    model = save_codec(tmp_path / "e", "encodec")
    samples = waveform(4000)
    with torch.no_grad():
        low = model.encode(torch.from_numpy(samples)[None, None], bandwidth=0.1).audio_codes[0, 0]
    found = codes_of(opened(tmp_path / "e", "encodec"), samples)
    np.testing.assert_array_equal(found[:, : len(low)], low.T.numpy())


def test_the_identity_has_family_flags_and_a_digest_of_what_makes_codes(
    folder: Path, kind: str
) -> None:
    before = opened(folder, kind)
    assert before.identity["family"] == kind
    assert before.identity["flags"]["sampling_rate"] == before.sample_rate == RATE
    assert json.loads(json.dumps(before.identity)) == before.identity

    edit_weights(folder, lambda w: w["decoder.conv1.bias"].add_(1) if kind == "dac" else None)
    assert opened(folder, kind).identity == before.identity
    (book,) = (n for n in _names(folder) if "0.codebook." in n and n.endswith(("weight", "embed")))
    edit_weights(folder, lambda w: w[book].add_(1))
    assert opened(folder, kind).identity["weights"] != before.identity["weights"]


def _names(folder: Path) -> list[str]:
    names: list[str] = []
    edit_weights(folder, lambda weights: names.extend(weights))
    return names


def test_a_checkpoint_that_lacks_a_weight_is_refused(folder: Path, kind: str) -> None:
    name = next(n for n in _names(folder) if "quantizer" in n and n.endswith(("weight", "embed")))
    edit_weights(folder, lambda weights: weights.pop(name))
    with pytest.raises(EncoderError, match="lacks 1 weights of its model, the first 'quantizer"):
        opened(folder, kind)


def test_a_codec_that_is_no_folder_and_not_of_the_hub_is_refused(kind: str) -> None:
    for name in ("owner/name", "owner/name@", "owner/name@abc"):
        with pytest.raises(EncoderError, match=rf"^extract.encoder: {name}: no such folder, want"):
            outline_of(f"{kind}:{name}")


def test_a_codec_of_the_hub_that_is_not_cached_is_refused_in_one_line(kind: str) -> None:
    with pytest.raises(EncoderError, match="hf://owner/name@abc cannot be loaded") as caught:
        outline_of(f"{kind}:hf://owner/name@abc")
    assert "\n" not in str(caught.value)


def test_another_model_and_a_codec_spelled_as_an_encoder_are_refused(
    folder: Path, kind: str, tiny_encoder_folder: Path
) -> None:
    with pytest.raises(EncoderError, match=rf"is a 'hubert' model, wanted '{kind}'; spell it"):
        outline_of(f"{kind}:{tiny_encoder_folder}")
    with pytest.raises(EncoderError, match=rf"is a '{kind}' model, wanted one of"):
        outline_of(str(folder))


def test_a_config_that_leaves_the_rate_to_the_class_is_refused(folder: Path, kind: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["sampling_rate"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match=r"config\.json does not say sampling_rate; use the"):
        outline_of(f"{kind}:{folder}")


@pytest.mark.parametrize("changes", [{"audio_channels": 2}, {"chunk_length_s": 1.0}])
def test_an_encodec_of_stereo_or_of_chunks_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    save_codec(tmp_path / "e", "encodec")
    edit_json(tmp_path / "e" / "config.json", **changes)
    with pytest.raises(EncoderError, match="wanted one channel and no chunks, as facebook/encodec"):
        outline_of(f"encodec:{tmp_path / 'e'}")


def test_a_codec_without_codebooks_is_refused(tmp_path: Path) -> None:
    save_codec(tmp_path / "d", "dac", n_codebooks=0)
    with pytest.raises(EncoderError, match="says 0 codebooks of 16 codes, wanted one or more"):
        outline_of(f"dac:{tmp_path / 'd'}")


def test_half_precision_and_frames_are_refused(folder: Path, kind: str) -> None:
    with pytest.raises(EncoderError, match="takes 'float32', found 'bfloat16'"):
        opened(folder, kind, compute_dtype="bfloat16")
    with pytest.raises(EncoderError, match=rf"{kind} gives codes, found frames of layers \[1\]"):
        opened(folder, kind).encode([waveform(4000)], frames_of=[1])
