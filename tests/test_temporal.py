"""Temporal models: each frame hears its own clip, and nothing of what pads it."""

import pytest
import torch
from torch import Tensor

from pipeline.heads.temporal import NONE, TEMPORALS, make_temporal

WIDTH = 8
LENGTHS = torch.tensor([7, 1, 4, 3])
HEARING = [name for name in TEMPORALS if name != NONE]


def model(kind: str, **sizes: int) -> torch.nn.Module:
    torch.manual_seed(0)
    sizes = {"num_blocks": 2, "kernel_size": 3, "num_heads": 2} | sizes
    return make_temporal(kind, WIDTH, dropout=0.5, **sizes)


def frames() -> Tensor:
    return torch.randn(len(LENGTHS), 9, WIDTH, generator=torch.Generator().manual_seed(1))


# In evaluation torch takes a faster way through transformers, where nobody asks for slopes.
@pytest.mark.parametrize("with_slopes", [True, False])
@pytest.mark.parametrize("kind", TEMPORALS)
def test_a_clip_alone_is_what_it_is_in_a_batch(kind: str, with_slopes: bool):
    made, x = model(kind).eval(), frames()
    with torch.set_grad_enabled(with_slopes):
        found = made(x, LENGTHS)
        assert found.shape == x.shape
        for row, own, length in zip(found, x, LENGTHS.tolist(), strict=True):
            alone = made(own[None, :length], torch.tensor([length]))
            torch.testing.assert_close(row[:length], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", TEMPORALS)
def test_what_stands_in_the_padding_has_no_say(kind: str):
    made, x = model(kind).eval(), frames()
    padding = torch.arange(9)[None, :] >= LENGTHS[:, None]
    found, other = made(x, LENGTHS), made(x.masked_fill(padding[..., None], 1e3), LENGTHS)
    torch.testing.assert_close(found[~padding], other[~padding], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", HEARING)
def test_the_order_of_frames_tells(kind: str):
    made, x = model(kind).eval(), frames()[:1, :7]
    length = LENGTHS[:1]
    gap = made(x, length).mean(1) - made(x.flip(1), length).mean(1)
    assert gap.abs().max() > 1e-4


@pytest.mark.parametrize("kind", HEARING)
def test_frames_hear_their_neighbours(kind: str):
    made, x = model(kind).eval(), frames()[:1, :7]
    changed = x.clone()
    changed[0, 3] = changed[0, 3].flip(0)
    moved = (made(changed, LENGTHS[:1]) - made(x, LENGTHS[:1])).abs().amax(2)[0] > 1e-7
    # Two blocks of three frames reach two to either side, the others everything.
    assert moved.tolist() == [kind != "conv" or 1 <= t <= 5 for t in range(7)]


@pytest.mark.parametrize("kind", TEMPORALS)
def test_slopes_are_finite_even_where_a_clip_has_no_frame(kind: str):
    made, x = model(kind).train(), frames().requires_grad_()
    made(x, torch.tensor([9, 0, 1, 3])).square().sum().backward()
    assert x.grad is not None
    assert all(s.isfinite().all() for s in (x.grad, *(p.grad for p in made.parameters())))


@pytest.mark.parametrize("kind", TEMPORALS)
def test_it_runs_in_bfloat16(kind: str):
    made, x = model(kind, num_blocks=1).eval(), frames()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = made(x, LENGTHS)
    torch.testing.assert_close(rounded.float()[0, :7], made(x, LENGTHS)[0, :7], atol=0.1, rtol=0.1)
