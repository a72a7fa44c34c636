"""Dropout leaves out the share it is told, scales the rest, and gradients go the same way."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dropout import Dropout


def dropped(units: torch.Tensor, p: float, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return Dropout(p)(units)


@given(st.floats(0.0, 0.99), st.lists(st.integers(1, 7), min_size=1, max_size=3))
def test_a_unit_is_nothing_or_scaled(p: float, shape: list[int]) -> None:
    found = dropped(torch.ones(shape), p)
    assert found.shape == tuple(shape)
    scale = 1 / (1 - round(p * 2**16) / 2**16)
    assert ((found == 0) | torch.isclose(found, torch.tensor(scale))).all()


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_is_that_of_pytorch_and_units_are_independent(p: float, dtype) -> None:
    kept = (dropped(torch.ones(400, 1001, dtype=dtype), p) != 0).double()
    deviation = (p * (1 - p) / kept.numel()) ** 0.5
    assert abs(kept.mean().item() - (1 - p)) < 5 * deviation
    for one, other in (
        (kept[:, 1:], kept[:, :-1]),
        (kept[:, 4:], kept[:, :-4]),
        (kept[1:], kept[:-1]),
    ):
        together = (one * other).mean().item()
        assert abs(together - (1 - p) ** 2) < 10 * deviation


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_go_where_units_went(dtype) -> None:
    units = torch.randn(33, 5, dtype=dtype, requires_grad=True)
    found = dropped(units, 0.5)
    found.sum().backward()
    assert units.grad is not None
    assert torch.equal(units.grad, 2 * (found != 0).to(dtype))
    assert torch.equal(found, 2 * units * (found != 0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_byte_of_each_unit_is_remembered(dtype) -> None:
    saved = []
    units = torch.randn(33, 5, dtype=dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        dropped(units, 0.5)
    assert sum(tensor.nbytes for tensor in saved) == units.numel()


def test_a_seed_decides_and_scoring_drops_nothing() -> None:
    units = torch.randn(64, 7)
    assert torch.equal(dropped(units, 0.4, seed=1), dropped(units, 0.4, seed=1))
    assert not torch.equal(dropped(units, 0.4, seed=1), dropped(units, 0.4, seed=2))
    assert torch.equal(Dropout(0.4).eval()(units), units)
    assert torch.equal(Dropout(0.0)(units), units)
    assert not Dropout(1.0)(units).any()


def test_it_is_known_as_pytorchs_own() -> None:
    assert isinstance(Dropout(0.1), torch.nn.Dropout)
