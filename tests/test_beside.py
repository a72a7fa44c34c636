"""A vector beside the layers in each dense head: sums by hand, and nothing changed without it."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.errors import ParamsError
from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import build_head, config_json, head_kind, head_needs
from pipeline.heads.condition import KINDS, Condition, ConditionConfig
from pipeline.heads.needs import FeatureShape
from pipeline.training.config import TrainConfig
from pipeline.typed import typed

HEADS = ("genser", "twin", "mlp", "linear", "logreg")
LAYERS = FeatureShape(num_layers=3, dim=16, last_layer=2, input_layer=0)
TEXT = FeatureShape(num_layers=1, dim=5, last_layer=0, input_layer=None)
ALONE, BOTH = {"layers": LAYERS}, {"layers": LAYERS, "beside": TEXT}


def batch(seed: int = 0) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    layers, text = torch.randn(4, 3, 16, generator=draw), torch.randn(4, 1, 5, generator=draw)
    return Batch(views={"layers": layers, "beside": text})


def made(name: str, shapes: dict[str, FeatureShape], **changes):
    torch.manual_seed(0)
    return build_head(name, shapes, 3, head_kind(name).config(**changes)).eval()


def scores(head, given: Batch, name: str) -> torch.Tensor:
    kind = head_kind(name)
    with torch.inference_mode():
        return head.scores(given, None if kind.scoring is None else kind.scoring())


@pytest.mark.parametrize("name", HEADS)
def test_the_need_beside_is_read_where_it_is_named(name: str):
    config = head_kind(name).config
    assert [need.name for need in head_needs(name, config())] == ["layers"]
    (own, beside) = head_needs(name, config(view="a", beside="text"))
    assert (own.view, beside.name, beside.kind, beside.view) == ("a", "beside", "layers", "text")
    with pytest.raises(ParamsError, match="beside: 'layers' is the view of the layers already"):
        config(beside="layers")


@pytest.mark.parametrize("name", HEADS)
def test_without_one_nothing_is_kept_of_it(name: str):
    config = head_kind(name).config
    kept = asdict(config())
    assert kept.pop("beside") == ""
    assert config_json(config()) == kept
    assert typed(config, kept, "head.json") == config()
    assert config_json(config(beside="text"))["beside"] == "text"
    assert "beside" not in TrainConfig(head=name).as_json()["config"]


@pytest.mark.parametrize("name", ["genser", "twin"])
def test_the_other_weights_of_a_condition_are_drawn_as_without_it(name: str):
    alone = {k: v for k, v in made(name, ALONE).condition.state_dict().items()}
    both = made(name, BOTH).condition.state_dict()
    assert {k for k in both if k not in alone} == {
        f"join.{part}" for part in ("0.weight", "0.bias", "2.weight", "2.bias")
    }
    for key, value in alone.items():
        torch.testing.assert_close(both[key], value, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["mlp", "linear"])
def test_a_classifier_sees_layers_and_vector_side_by_side(name: str):
    head, given = made(name, BOTH), batch()
    wide = torch.cat([given.layers.flatten(1), given.views["beside"][:, 0]], dim=1)
    first = head.network[1]
    x = functional.linear(wide, first.weight, first.bias)
    if name == "mlp":
        last = head.network[4]
        x = functional.linear(functional.gelu(x), last.weight, last.bias)
    torch.testing.assert_close(scores(head, given, name), x)


def test_a_sum_of_layers_stands_beside_the_vector_as_well():
    head, given = made("mlp", BOTH, input="sum"), batch()
    assert head.network[1].in_features == 16 + 5
    assert scores(head, given, "mlp").shape == (4, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_is_joined_by_what_is_mapped_to_it(kind: str):
    torch.manual_seed(0)
    condition = Condition(LAYERS, ConditionConfig(kind=kind), 5).eval()
    given = batch()
    _, _, linear = condition.join
    text = given.beside
    centred = (text - text.mean(1, keepdim=True)) / (
        text.var(1, correction=0, keepdim=True) + 1e-5
    ).sqrt()
    mapped = centred @ linear.weight.T + linear.bias
    found, own = condition(given.layers, text), condition.of(given.layers)
    wanted = torch.cat([own, mapped[:, None]], 1) if kind == "tokens" else own + mapped
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_heeds_the_vector(name: str):
    head, given = made(name, BOTH), batch()
    if name == "logreg":
        head.weight.copy_(torch.randn(head.weight.shape))
    for parameter in head.parameters():
        # What a transformer's blocks begin with at 0 lets nothing pass.
        torch.nn.init.normal_(parameter, std=0.3)
    other = Batch(views={**given.views, "beside": given.views["beside"] + 1 + torch.arange(5)})
    assert (scores(head, given, name) - scores(head, other, name)).abs().max() > 1e-4


def test_logistic_regression_is_fitted_on_both():
    given = batch()
    labels = torch.tensor([0, 1, 0, 1])
    text = given.views["beside"].clone()
    text[:, 0, 0] = 10.0 * labels
    targets = functional.one_hot(labels, 3).float()
    # Layers that say nothing: only the vector tells the classes.
    views = {"layers": torch.zeros(4, 3, 16), "beside": text}
    head = made("logreg", BOTH, strength=1.0)
    head.fit(Batch(views=views, targets=targets), np.array(list("abcd")), seed=0)
    assert scores(head, Batch(views=views), "logreg").argmax(1).tolist() == labels.tolist()
    assert head.weight[:, : 3 * 16].abs().max() < 1e-6 < 0.1 < head.weight[:, 3 * 16].abs().max()
