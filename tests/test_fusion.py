"""Fusion of layers against sums by hand, in a loop and by einsum."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.heads.fusion import FUSIONS, Fusion

WIDTH = 4


def fusion(kind: str, num_layers: int) -> Fusion:
    torch.manual_seed(1)
    made = Fusion(kind, num_layers=num_layers, width=WIDTH, hidden=5)
    if kind == "weights":
        torch.nn.init.normal_(made.logits)
    return made


def layers(*shape: int) -> Tensor:
    return torch.randn(*shape, WIDTH, generator=torch.Generator().manual_seed(2))


def attention_in_a_loop(made: Fusion, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the fused vector of layers (R, W), and their weights, by exponentials and sums."""
    first, last = made.score[0], made.score[2]
    parts = [(last.weight[0] @ torch.tanh(first.weight @ x + first.bias)).exp() for x in vectors]
    weights = [part / sum(parts) for part in parts]
    return sum(w * x for w, x in zip(weights, vectors, strict=True)), torch.stack(weights)


@given(st.integers(1, 5), st.integers(1, 3))
def test_attention_is_a_weighted_sum_in_a_loop(num_layers: int, num_clips: int):
    made = fusion("attention", num_layers)
    x = layers(num_clips, num_layers)
    for found, weights, vectors in zip(made(x), made.weights(x), x, strict=True):
        wanted, wanted_weights = attention_in_a_loop(made, vectors)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(weights, wanted_weights)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_attention_is_the_einsum_by_hand_for_clips_and_for_frames(shape: list[int]):
    made = fusion("attention", shape[-1])
    x = layers(*shape)
    hidden = torch.tanh(torch.einsum("hw,...w->...h", made.score[0].weight, x) + made.score[0].bias)
    scores = torch.einsum("h,...h->...", made.score[2].weight[0], hidden)
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    torch.testing.assert_close(made(x), torch.einsum("...r,...rw->...w", weights, x))


def test_learned_weights_are_the_same_for_every_clip():
    made = fusion("weights", 3)
    shares = made.logits.exp() / made.logits.exp().sum()
    x = layers(2, 7, 3)
    torch.testing.assert_close(made.weights(x), shares.expand(2, 7, 3))
    torch.testing.assert_close(made(x), sum(shares[i] * x[:, :, i] for i in range(3)))


def test_the_mean_is_the_mean_and_concat_a_map_of_all_side_by_side():
    x = layers(2, 3)
    torch.testing.assert_close(fusion("mean", 3)(x), x.mean(1))
    made = fusion("concat", 3)
    parts = made.join.weight.split(WIDTH, dim=1)
    wanted = sum(x[:, i] @ parts[i].T for i in range(3)) + made.join.bias
    torch.testing.assert_close(made(x), wanted)


@pytest.mark.parametrize("kind", [name for name in FUSIONS if name != "concat"])
def test_one_layer_is_itself(kind: str):
    x = layers(2, 5, 1)
    torch.testing.assert_close(fusion(kind, 1)(x), x[:, :, 0])


@pytest.mark.parametrize("kind", ["attention", "mean"])
def test_the_order_of_layers_has_no_meaning_where_weights_are_not_theirs(kind: str):
    made, x = fusion(kind, 4), layers(2, 4)
    torch.testing.assert_close(made(x), made(x.flip(1)))
