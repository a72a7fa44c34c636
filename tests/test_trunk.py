import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.errors import ParamsError, ShapeError
from pipeline.heads.trunk import Trunk, TrunkConfig, time_features

DIM = 6
SMALL = TrunkConfig(width=8, num_blocks=2, num_heads=2)


@pytest.fixture(autouse=True)
def _repeatable() -> Iterator[None]:
    # A second thread gains nothing at this size, and beside another busy process it stalls.
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(num_threads)


def opened(config: TrunkConfig = SMALL, dim: int = DIM) -> Trunk:
    """A trunk whose gates are open, as they are after training."""
    trunk = Trunk(dim, config)
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return trunk.eval()


def inputs(
    batch: int = 5, *, num_tokens: int | None = None, dim: int = DIM
) -> tuple[Tensor, Tensor]:
    shape = (batch, 2 * dim) if num_tokens is None else (batch, num_tokens, 2 * dim)
    return torch.randn(shape), torch.rand(batch)


def naive_norm(x: Tensor) -> Tensor:
    return x / math.sqrt(sum(v * v for v in x.tolist()) / len(x) + 1e-6)


def naive_trunk(trunk: Trunk, tokens_in: Tensor, t: float) -> Tensor:
    """One clip, token by token and head by head."""
    width, heads = trunk.config.width, trunk.config.num_heads
    waves = [1000 * t / 10000 ** (2 * i / width) for i in range(width // 2)]
    features = torch.tensor([math.cos(w) for w in waves] + [math.sin(w) for w in waves])
    code = trunk.embed_time(features)
    code = code / (1 + torch.exp(-code))
    tokens = [trunk.fuse(token) for token in tokens_in]
    for block in trunk.blocks:
        scale_a, gate_a, scale_f, gate_f = block.modulate(code).split(width)
        q, k, v = zip(
            *(block.qkv(naive_norm(h) * (1 + scale_a)).split(width) for h in tokens), strict=True
        )
        for i in range(len(tokens)):
            mixed = []
            for head in range(heads):
                part = slice(head * width // heads, (head + 1) * width // heads)
                logits = [float(q[i][part] @ key[part]) / math.sqrt(width / heads) for key in k]
                weights = [math.exp(a) for a in logits]
                rows = [w / sum(weights) * value[part] for w, value in zip(weights, v, strict=True)]
                mixed.append(torch.stack(rows).sum(0))
            tokens[i] = tokens[i] + gate_a * block.attention_out(torch.cat(mixed))
        for i, h in enumerate(tokens):
            inner = block.widen(naive_norm(h) * (1 + scale_f))
            inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
            tokens[i] = h + gate_f * block.narrow(inner)
    return trunk.output(sum(trunk.norm.weight * naive_norm(h) for h in tokens) / len(tokens))


def gradients(trunk: Trunk, tokens: Tensor, t: Tensor) -> dict[str, Tensor]:
    trunk.zero_grad()
    trunk(tokens, t).square().sum().backward()
    return {name: weight.grad.clone() for name, weight in trunk.named_parameters()}


def test_the_paper_size_has_71_4_million_parameters() -> None:
    with torch.device("meta"):
        trunk = Trunk(1024, TrunkConfig(width=1024, num_blocks=4, num_heads=16))
    count = sum(weight.numel() for weight in trunk.parameters())
    layer_weights = 23  # held by the head
    assert count == 71_360_512
    assert 71.35e6 <= count + layer_weights < 71.45e6


@pytest.mark.parametrize("num_tokens", [1, 3])
def test_forward_is_that_of_the_token_by_token_twin(num_tokens: int) -> None:
    trunk = opened()
    tokens, t = inputs(3, num_tokens=num_tokens)
    with torch.no_grad():
        found = trunk(tokens, t)
        wanted = [naive_trunk(trunk, row, float(time)) for row, time in zip(tokens, t, strict=True)]
    assert found.shape == (3, DIM)
    # Angles reach 1000 rad, where float32 itself is 3e-5 coarse.
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-3, atol=1e-3)


def test_one_token_may_come_without_its_axis() -> None:
    trunk = opened()
    tokens, t = inputs(num_tokens=1)
    assert torch.equal(trunk(tokens, t), trunk(tokens[:, 0], t))


def test_a_token_given_twice_counts_once_and_order_has_no_meaning() -> None:
    # Also holds the kernel for one token against the one for several.
    trunk = opened()
    tokens, t = inputs(num_tokens=1)
    torch.testing.assert_close(trunk(tokens.expand(-1, 4, -1), t), trunk(tokens, t))
    several, t = inputs(num_tokens=4)
    torch.testing.assert_close(trunk(several, t), trunk(several.flip(1), t))


def test_a_fresh_trunk_is_a_normalised_linear_map_that_ignores_time() -> None:
    trunk = Trunk(DIM, SMALL)
    tokens, t = inputs()
    hidden = trunk.fuse(tokens)
    hidden = hidden / (hidden.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(trunk(tokens, t), trunk.output(hidden))
    assert torch.equal(trunk(tokens, t), trunk(tokens, 1 - t))


def test_an_opened_trunk_depends_on_time_state_and_condition() -> None:
    trunk = opened()
    tokens, t = inputs()
    base = trunk(tokens, t)
    assert not torch.allclose(base, trunk(tokens, (t + 0.01) % 1), atol=1e-3)
    for column in (0, 2 * DIM - 1):
        moved = tokens.clone()
        moved[:, column] += 1
        assert not torch.allclose(base, trunk(moved, t), atol=1e-3)


def test_after_one_step_gradient_reaches_all_but_query_and_key() -> None:
    # One token attends to itself with weight 1, whatever query and key are: exactly no gradient.
    trunk = Trunk(DIM, SMALL)
    tokens, t = inputs(16)
    gradients(trunk, tokens, t)
    torch.optim.AdamW(trunk.parameters(), lr=0.01).step()
    dead = 2 * SMALL.width  # rows of query and key in the joint projection
    for name, gradient in gradients(trunk, tokens, t).items():
        if ".qkv." in name:
            assert torch.equal(gradient[:dead], torch.zeros_like(gradient[:dead])), name
            gradient = gradient[dead:]
        assert (gradient != 0).all(), name


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("batch", [1, 33])
def test_query_and_key_get_exactly_no_gradient_under_autocast(width: int, batch: int) -> None:
    trunk = opened(TrunkConfig(width=width, num_blocks=1, num_heads=4))
    tokens, t = inputs(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients(trunk, tokens, t)["blocks.0.qkv.weight"]
    assert torch.equal(found[: 2 * width], torch.zeros(2 * width, width))
    assert (found[2 * width :] != 0).any()


def test_with_several_tokens_query_and_key_learn() -> None:
    trunk = opened()
    found = gradients(trunk, *inputs(16, num_tokens=3))
    assert (found["blocks.0.qkv.weight"] != 0).all()


@pytest.mark.parametrize("num_tokens", [None, 3])
def test_a_batch_gives_what_its_rows_give_alone(num_tokens: int | None) -> None:
    config = TrunkConfig(width=64, num_blocks=4, num_heads=4, dropout=0.5)
    trunk = Trunk(32, config).eval()
    for block in trunk.blocks:
        torch.nn.init.normal_(block.modulate.weight, std=0.1)
    tokens, t = inputs(17, num_tokens=num_tokens, dim=32)
    alone = torch.cat([trunk(tokens[i : i + 1], t[i : i + 1]) for i in range(17)])
    torch.testing.assert_close(trunk(tokens, t), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("closed_gate", [1, 3])  # of the four parts of the modulation
def test_dropout_acts_in_training_only_and_in_both_sub_layers(closed_gate: int) -> None:
    trunk = opened(TrunkConfig(width=8, num_blocks=1, num_heads=2, dropout=0.5))
    with torch.no_grad():
        for parameter in trunk.blocks[0].modulate.parameters():
            parameter.chunk(4)[closed_gate].zero_()
    tokens, t = inputs()
    assert torch.equal(trunk(tokens, t), trunk(tokens, t))
    trunk.train()
    assert not torch.equal(trunk(tokens, t), trunk(tokens, t))


@pytest.mark.parametrize("tokens_dtype", [torch.float32, torch.bfloat16])
def test_autocast_to_bfloat16_stays_near_full_precision(tokens_dtype: torch.dtype) -> None:
    config = TrunkConfig(width=64, num_blocks=4, num_heads=4)
    trunk = Trunk(DIM, config)
    for block in trunk.blocks:
        torch.nn.init.normal_(block.modulate.weight, std=0.1)
    tokens, t = inputs(9)
    full = trunk(tokens, t)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = trunk(tokens.to(tokens_dtype), t)
    half.float().square().sum().backward()
    assert half.dtype == torch.bfloat16
    assert all(weight.grad.isfinite().all() for weight in trunk.parameters())
    torch.testing.assert_close(half.float(), full, rtol=0.05, atol=0.05)


def test_a_trunk_of_double_or_bfloat16_weights_runs_without_autocast() -> None:
    tokens, t = inputs()
    for dtype in (torch.float64, torch.bfloat16):
        trunk = opened().to(dtype)
        assert trunk(tokens.to(dtype), t).dtype == dtype


def test_a_trunk_learns_to_tell_two_codes_apart() -> None:
    trunk = Trunk(DIM, SMALL)
    tokens, t = inputs(32)
    target = torch.where(tokens[:, :1] > 0, 1.0, -1.0).expand(-1, DIM)
    optimiser = torch.optim.AdamW(trunk.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = functional.mse_loss(trunk(tokens, t), target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_time_features_tell_near_times_apart() -> None:
    # Without the factor 1000 the two rows would agree to 1e-2 everywhere.
    near = time_features(torch.tensor([0.500, 0.501]), 64)
    assert (near.shape, near.dtype) == ((2, 64), torch.float32)
    assert float((near[0] - near[1]).norm()) > 1
    assert time_features(torch.zeros(1), 6).tolist() == [[1, 1, 1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("tokens", "t", "message"),
    [
        ((4, DIM), (4,), r"found tokens \(4, 6\), wanted \(B, 12\)"),
        ((4, 1, 1, 2 * DIM), (4,), r"found tokens \(4, 1, 1, 12\)"),
        ((4, 2 * DIM), (1,), r"found times \(1,\).*wanted \(4,\)"),
        ((4, 2 * DIM), (4, 1), r"found times \(4, 1\)"),
    ],
)
def test_other_shapes_are_refused(
    tokens: tuple[int, ...], t: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        Trunk(DIM, SMALL)(torch.zeros(tokens), torch.zeros(t))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 0}, "width: found 0"),
        ({"width": 9, "num_heads": 3}, "width: found 9"),
        ({"width": 10, "num_heads": 4}, "width: found 10 with num_heads 4"),
        ({"num_blocks": 0}, "num_blocks: found 0, wanted 1 to 1000; the default is 2"),
        ({"num_heads": 0}, "num_heads: found 0"),
        ({"dropout": 1.0}, "dropout: found 1.0"),
        ({"dropout": -0.1}, "dropout: found -0.1"),
        ({"dropout": math.nan}, "dropout: found nan"),
    ],
)
def test_sizes_out_of_range_are_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        TrunkConfig(**changed)
