"""Codebooks: frames to codes and back, pooled, and on the disk."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from pipeline.errors import FeatureStoreError
from pipeline.quantisation.codebooks import HISTOGRAM, MEANS, Codebooks


def made(seed: int = 0, num_layers: int = 2, k: int = 5, dim: int = 3) -> Codebooks:
    draw = torch.Generator().manual_seed(seed)
    return Codebooks(
        centroids=torch.randn(num_layers, k, dim, generator=draw),
        mean=torch.randn(num_layers, dim, generator=draw),
        scale=torch.rand(num_layers, dim, generator=draw) + 0.5,
        inertia=torch.rand(num_layers, 4, generator=draw),
    )


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 7))
def test_a_code_is_the_nearest_centroid_of_the_standardised_frame(seed: int, t: int, k: int):
    codebooks = made(seed, k=k)
    frames = np.random.default_rng(seed).normal(size=(t, 2, 3)).astype(np.float32)
    codes = codebooks.assign(frames)
    assert codes.dtype == np.uint16
    for layer in range(2):
        for i in range(t):
            x = (frames[i, layer] - codebooks.mean[layer].numpy()) * codebooks.scale[layer].numpy()
            squared = ((x - codebooks.centroids[layer].numpy()) ** 2).sum(1)
            assert squared[codes[i, layer]] <= squared.min() + 1e-4


def test_half_precision_frames_are_coded_as_their_float32_selves():
    frames = np.random.default_rng(1).normal(size=(30, 2, 3)).astype(np.float16)
    codebooks = made(k=8)
    np.testing.assert_array_equal(
        codebooks.assign(frames), codebooks.assign(frames.astype(np.float32))
    )


def test_looking_up_gives_each_layer_its_own_centroids():
    codebooks = made()
    codes = torch.tensor([[[0, 4], [3, 3]]])
    found = codebooks.look_up(codes)
    assert found.shape == (1, 2, 2, 3)
    assert torch.equal(found[0, 0, 1], codebooks.centroids[1, 4])
    assert torch.equal(found[0, 1, 0], codebooks.centroids[0, 3])


def test_pooled_codes_are_shares_and_the_mean_of_looked_up_centroids():
    codebooks = made()
    codes = np.random.default_rng(0).integers(0, 5, (7, 2)).astype(np.uint16)
    shares = codebooks.pooled(codes, HISTOGRAM)
    assert shares.shape == (2, 5)
    for layer in range(2):
        for code in range(5):
            assert shares[layer, code] == pytest.approx((codes[:, layer] == code).mean())
    looked_up = codebooks.look_up(torch.from_numpy(codes.astype(np.int64))).mean(0)
    np.testing.assert_allclose(codebooks.pooled(codes, MEANS), looked_up, atol=1e-6)


def test_layers_are_taken_in_the_order_asked():
    codebooks = made(num_layers=3)
    assert codebooks.of_layers(None) is codebooks
    chosen = codebooks.of_layers((2, 0))
    for name in ("centroids", "mean", "scale", "inertia"):
        assert torch.equal(getattr(chosen, name), getattr(codebooks, name)[[2, 0]])


def test_bytes_come_back_and_are_the_same_again():
    data = made().to_bytes()
    back = Codebooks.from_bytes(data, "x")
    assert back.to_bytes() == made().to_bytes() == data
    assert (back.num_codes, back.dim) == (5, 3)


def test_a_codec_s_codebooks_leave_frames_as_they_are():
    codebooks = Codebooks.of_codec(torch.eye(3)[None])
    assert codebooks.assign(np.eye(3, dtype=np.float32)[:, None]).tolist() == [[0], [1], [2]]
    assert Codebooks.from_bytes(codebooks.to_bytes(), "x").inertia.shape == (1, 0)


def test_something_else_is_refused():
    with pytest.raises(FeatureStoreError, match=r"^x: found no codebooks .* the view again\.$"):
        Codebooks.from_bytes(b"noise", "x")
    with pytest.raises(FeatureStoreError, match="found no codebooks"):
        Codebooks.from_bytes(save({"centroids": torch.zeros(1, 2, 3)}), "x")
    odd = replace(made(), mean=torch.zeros(1, 3))
    with pytest.raises(FeatureStoreError, match=r"centroids \(2, 5, 3\) with means \(1, 3\)"):
        Codebooks.from_bytes(odd.to_bytes(), "x")
