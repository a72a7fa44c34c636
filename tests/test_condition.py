import pytest
import torch
from torch.nn import functional

from pipeline.errors import ParamsError
from pipeline.heads.condition import Condition, ConditionConfig, beside
from pipeline.heads.needs import FeatureShape

SHAPE = FeatureShape(num_layers=5, dim=8, last_layer=4, input_layer=0)


def layers(size: int = 3) -> torch.Tensor:
    return torch.randn(size, 5, 8, generator=torch.Generator().manual_seed(0))


def make(**settings) -> Condition:
    torch.manual_seed(0)
    return Condition(SHAPE, ConditionConfig(**settings)).eval()


@pytest.mark.parametrize(("use_input", "rows"), [(True, [0, 1, 2, 3, 4]), (False, [1, 2, 3, 4])])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_a_projection_sees_all_layers_side_by_side(use_input, rows, layer_norm) -> None:
    condition = make(kind="projection", use_input=use_input, layer_norm=layer_norm, hidden=6)
    wide = layers()[:, rows]
    if layer_norm:
        wide = functional.layer_norm(wide, (8,))
    first, second = condition.of.network[1], condition.of.network[4]
    hidden = functional.gelu(wide.flatten(1) @ first.weight.T + first.bias)
    torch.testing.assert_close(condition(layers()), hidden @ second.weight.T + second.bias)


def test_tokens_are_the_layers_each_with_its_place() -> None:
    condition = make(kind="tokens", layer_norm=False)
    tokens = condition(layers())
    assert tokens.shape == (3, 4, 8)
    torch.testing.assert_close(tokens, layers()[:, 1:] + condition.of.places)


def test_a_vector_stands_beside_its_condition_or_each_of_its_tokens() -> None:
    vector = torch.arange(6.0).reshape(2, 3)
    one, many = torch.ones(2, 3), torch.ones(2, 4, 3)
    assert beside(vector, one).tolist() == torch.cat([vector, one], 1).tolist()
    tokens = beside(vector, many)
    assert tokens.shape == (2, 4, 6)
    for place in range(4):
        assert tokens[:, place, :3].tolist() == vector.tolist()


@pytest.mark.parametrize("kind", ["sum", "projection", "tokens"])
def test_whole_layers_are_left_out_in_training_only(kind: str) -> None:
    condition = make(kind=kind, layer_dropout=0.5, dropout=0.0, layer_norm=False)
    torch.testing.assert_close(condition(layers()), condition(layers()))
    condition.train()
    seen = [condition(layers()) for _ in range(8)]
    assert any(not torch.equal(seen[0], other) for other in seen[1:])


def test_left_out_layers_leave_the_mean_of_the_sum() -> None:
    condition = make(kind="sum", layer_dropout=0.3, layer_norm=False).train()
    torch.manual_seed(0)
    many = torch.stack([condition(layers()) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(many, condition.eval()(layers()), atol=0.05, rtol=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mean"}, r"condition\.kind: 'mean' is not one of"),
        ({"layer_weights": "mean"}, r"condition\.layer_weights: 'mean' is not one of"),
        ({"hidden": 0}, r"condition\.hidden: 0 is below 1"),
        ({"dropout": 1.0}, r"condition\.dropout: wanted at least 0 and below 1"),
        ({"layer_dropout": -0.1}, r"condition\.layer_dropout: wanted at least 0 and below 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message) -> None:
    with pytest.raises(ParamsError, match=message):
        ConditionConfig(**settings)
