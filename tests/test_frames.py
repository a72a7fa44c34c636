"""Frames of an encoder: those of the layers asked for, beside moments that do not change."""

import numpy as np
import pytest
import torch

from pipeline.encoders.base import Encoder
from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.filterbank import FilterbankEncoder
from pipeline.encoders.functionals import FunctionalsEncoder
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.errors import EncoderError

LENGTHS = (400, 5000, 1200, 16000)


def clips() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [(0.1 * draw.standard_normal(length)).astype(np.float32) for length in LENGTHS]


@pytest.fixture(scope="module", params=["hubert", "hubert-post", "wavlm", "whisper", "fbank"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    if request.param == "fbank":
        return FilterbankEncoder()
    folder = tmp_path_factory.mktemp("encoder")
    family, _, post = request.param.partition("-")
    save_seeded_encoder(folder, size="tiny", family=family, layer_norm_front=not post)
    return open_encoder(str(folder), compute_dtype="float32", device="cpu")


def test_the_means_of_the_frames_are_the_moments(encoder: Encoder) -> None:
    every = range(encoder.num_layers)
    for encoded in encoder.encode(clips(), every):
        assert encoded.frames is not None
        frames = encoded.frames.double()
        num_frames = encoded.moments.num_frames
        assert encoded.frames.shape == (num_frames, encoder.num_layers, encoder.dim)
        assert (encoded.frames.dtype, encoded.frames.device.type) == (torch.float32, "cpu")
        means, scatters = encoded.moments.mean.double(), encoded.moments.scatter.double()
        torch.testing.assert_close(frames.mean(0), means, rtol=1e-4, atol=1e-5)
        # Two ways to the scatter: around the mean, and by the square of the sums.
        around = (frames - frames.mean(0)).square().sum(0)
        torch.testing.assert_close(around, scatters, rtol=1e-3, atol=1e-4)
        by_sums = frames.square().sum(0) - frames.sum(0).square() / num_frames
        torch.testing.assert_close(by_sums, scatters, rtol=1e-3, atol=1e-3)


def test_the_moments_are_the_same_bits_whichever_frames_are_asked_for(encoder: Encoder) -> None:
    plain = encoder.encode(clips())
    for layers in ([0], [1, 2], range(encoder.num_layers)):
        for a, b in zip(plain, encoder.encode(clips(), layers), strict=True):
            assert a.frames is None
            assert a.moments.num_frames == b.moments.num_frames
            assert torch.equal(a.moments.mean, b.moments.mean)
            assert torch.equal(a.moments.scatter, b.moments.scatter)


def test_frames_are_those_of_the_layers_asked_for_and_hold_no_padding(encoder: Encoder) -> None:
    last = encoder.num_layers - 1
    every = encoder.encode(clips(), range(encoder.num_layers))
    some = encoder.encode(clips(), [1, last])
    for a, b in zip(every, some, strict=True):
        assert a.frames is not None
        assert b.frames is not None
        assert torch.equal(b.frames, a.frames[:, [1, last]])
        # No view of the padded batch, which would be kept alive by it.
        assert b.frames.untyped_storage().nbytes() == b.frames.numel() * 4


def test_frames_of_a_batch_are_those_of_each_clip_alone(encoder: Encoder) -> None:
    for clip, together in zip(clips(), encoder.encode(clips(), [0, 2]), strict=True):
        alone = encoder.encode([clip], [0, 2])[0].frames
        assert together.frames is not None
        torch.testing.assert_close(together.frames, alone, rtol=1e-3, atol=1e-3)


def test_an_encoder_says_how_many_frames_a_second_it_makes(encoder: Encoder) -> None:
    second = encoder.encode([np.ones(16000, np.float32)])[0].moments.num_frames
    assert encoder.outline.frames_per_s is not None
    assert second <= encoder.outline.frames_per_s < second + 3


def test_functionals_have_no_frames() -> None:
    pytest.importorskip("opensmile")
    encoder = FunctionalsEncoder("opensmile:eGeMAPSv02")
    assert encoder.outline.frames_per_s is None
    with pytest.raises(EncoderError, match=r"functionals of a whole clip, found frames of layers"):
        encoder.encode(clips(), [0])
