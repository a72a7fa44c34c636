import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import HeadError, ParamsError
from pipeline.heads.batch import Batch, of_layers
from pipeline.heads.catalogue import build_head, head_kind, head_kinds
from pipeline.heads.classifier import Classifier, LinearConfig, MLPConfig
from pipeline.heads.condition import ConditionConfig
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.logreg import STRENGTHS, LogReg, LogRegConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.trunk import TrunkConfig
from pipeline.heads.twin import Twin, TwinConfig
from pipeline.training.config import TrainConfig
from pipeline.typed import typed

SHAPES = {"layers": FeatureShape(num_layers=4, dim=8, last_layer=3, input_layer=0)}
SMALL = TrunkConfig(width=8, num_blocks=1, num_heads=2)
PHASE = TrainConfig(num_steps=1).phase
CONFIGS = {
    "genser": GenSERConfig(trunk=SMALL),
    "linear": LinearConfig(input="layer", layer=2),
    "mlp": MLPConfig(hidden=5),
    "twin": TwinConfig(trunk=SMALL, condition=ConditionConfig(kind="tokens")),
    "logreg": LogRegConfig(input="last"),
}


def layers(size: int = 5) -> torch.Tensor:
    return torch.randn(size, 4, 8, generator=torch.Generator().manual_seed(0))


def shares(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    return functional.one_hot(labels, num_classes).float()


def batch(size: int = 5) -> Batch:
    return of_layers(layers(size), targets=shares(torch.arange(size) % 3, 3))


def loss_of(head, labelled: Batch) -> torch.Tensor:
    values = head.loss(labelled, phase=PHASE, progress=0.0, generator=torch.Generator())
    return sum(values.values())


# Heads of tokens and of texts read no layers; they have tests of their own.
@pytest.mark.parametrize("kind", [kind for kind in head_kinds() if kind in CONFIGS])
def test_a_head_is_built_again_from_what_its_file_says(kind: str) -> None:
    torch.manual_seed(0)
    head = build_head(kind, SHAPES, 3, CONFIGS[kind]).eval()
    told = json.loads(json.dumps(asdict(CONFIGS[kind])))
    again = build_head(kind, SHAPES, 3, typed(head_kind(kind).config, told, "head.json")).eval()
    assert again.config == CONFIGS[kind]
    again.load_state_dict(head.state_dict())
    sampler = SamplerConfig(num_steps=2)
    torch.testing.assert_close(again.scores(batch(), sampler), head.scores(batch(), sampler))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("last", lambda x: x[:, 3]),
        ("layer", lambda x: x[:, 1]),
        ("all", lambda x: x.reshape(len(x), -1)),
        ("sum", lambda x: x.mean(1)),
    ],
)
def test_a_linear_classifier_sees_the_layers_it_is_told(name: str, wanted) -> None:
    head = Classifier(SHAPES, 3, LinearConfig(input=name, layer=1)).eval()
    linear = head.network[1]
    expected = wanted(layers()) @ linear.weight.T + linear.bias
    torch.testing.assert_close(head.scores(batch(), None), expected)


def test_a_classifier_s_loss_is_the_smoothed_cross_entropy() -> None:
    head = Classifier(SHAPES, 3, LinearConfig(label_smoothing=0.3)).eval()
    log_p = functional.log_softmax(head.logits(of_layers(layers())), 1)
    target = 0.7 * batch().targets + 0.3 / 3
    torch.testing.assert_close(loss_of(head, batch()), -(target * log_p).sum(1).mean())


def test_the_twin_has_the_trunk_of_gen_ser_and_sees_the_embedding_in_place_of_the_path() -> None:
    config = TwinConfig(trunk=SMALL, label_smoothing=0.0)
    twin = Twin(SHAPES, 3, config).eval()
    genser = build_head("genser", SHAPES, 3, GenSERConfig(trunk=SMALL))
    shapes = {name: value.shape for name, value in twin.trunk.state_dict().items()}
    assert shapes == {name: value.shape for name, value in genser.trunk.state_dict().items()}
    tokens = torch.cat([layers()[:, 3], twin.condition(layers())], 1)
    expected = twin.classify(twin.trunk(tokens, torch.ones(5)))
    torch.testing.assert_close(twin.scores(batch(), None), expected)
    wanted = functional.cross_entropy(expected, batch().targets)
    torch.testing.assert_close(loss_of(twin, batch()), wanted)


def blobs(num_classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Ninety noisy rows of ten speakers, more features than rows."""
    generator = np.random.default_rng(seed)
    labels = np.arange(90) % num_classes
    centres = generator.normal(size=(num_classes, 4 * 60))
    rows = centres[labels] + 3 * generator.normal(size=(90, 4 * 60))
    features = torch.from_numpy(rows.reshape(90, 4, 60).astype(np.float32))
    return features, torch.from_numpy(labels), (np.arange(90) % 10).astype(str)


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("name", ["all", "last", "layer"])
def test_logistic_regression_is_scikit_learns(name: str, num_classes: int) -> None:
    features, labels, groups = blobs(num_classes)
    shapes = {"layers": FeatureShape(num_layers=4, dim=60, last_layer=3, input_layer=None)}
    head = LogReg(shapes, num_classes, LogRegConfig(input=name, layer=1, strength=0.01))
    head.fit(of_layers(features, targets=shares(labels, len(head.bias))), groups, seed=0)
    rows = {"all": slice(None), "last": slice(3, 4), "layer": slice(1, 2)}[name]
    plain = features[:, rows].flatten(1).double().numpy()
    oracle = LogisticRegression(C=0.01, max_iter=5000, tol=1e-8).fit(plain, labels)
    scores = head.scores(of_layers(features), None)
    np.testing.assert_allclose(scores.softmax(1).numpy(), oracle.predict_proba(plain), atol=2e-3)


def test_the_strength_is_chosen_over_speakers_and_is_kept_with_the_head() -> None:
    features, labels, groups = blobs(3)
    shapes = {"layers": FeatureShape(num_layers=4, dim=60, last_layer=3, input_layer=None)}
    head = LogReg(shapes, 3, LogRegConfig())
    head.fit(of_layers(features, targets=shares(labels, len(head.bias))), groups, seed=0)
    assert float(head.strength) in STRENGTHS
    assert "strength" in head.state_dict()
    other = LogReg(shapes, 3, LogRegConfig(strength=0.5))
    other.fit(of_layers(features, targets=shares(labels, len(other.bias))), groups, seed=0)
    assert float(other.strength) == 0.5


def test_the_same_features_in_every_row_are_refused() -> None:
    features, labels, groups = blobs(3)
    shapes = {"layers": FeatureShape(num_layers=4, dim=60, last_layer=3, input_layer=None)}
    head = LogReg(shapes, 3, LogRegConfig())
    batch = of_layers(torch.ones_like(features), targets=shares(labels, 3))
    with pytest.raises(HeadError, match="same features in every training row, wanted some that"):
        head.fit(batch, groups, seed=0)


def test_a_class_without_training_rows_keeps_its_place() -> None:
    features, labels, groups = blobs(2)
    shapes = {"layers": FeatureShape(num_layers=4, dim=60, last_layer=3, input_layer=None)}
    head = LogReg(shapes, 3, LogRegConfig(strength=0.1))
    apart = shares(labels * 2, 3)  # classes 0 and 2
    head.fit(of_layers(features, targets=apart), groups, seed=0)
    scores = head.scores(of_layers(features), None)
    assert set(scores.argmax(1).tolist()) == {0, 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearConfig(input="first"), r"train\.linear\.input: 'first' is not one of"),
        (lambda: MLPConfig(dropout=1.0), r"train\.mlp\.dropout: wanted at least 0 and below 1"),
        (lambda: MLPConfig(hidden=-1), r"train\.mlp\.hidden: -1 is below 0"),
        (lambda: LinearConfig(layer_weights="x"), r"train\.linear\.layer_weights: 'x' is not"),
        (lambda: TwinConfig(label_smoothing=1.0), r"train\.twin\.label_smoothing: wanted"),
        (lambda: LogRegConfig(input="sum"), r"train\.logreg\.input: 'sum' has weights to learn"),
        (lambda: LogRegConfig(strength=-1.0), r"train\.logreg\.strength: -1\.0 is below 0"),
        (
            lambda: Classifier(SHAPES, 3, LinearConfig(input="layer", layer=4)),
            r"train\.linear\.layer: 4 is not a layer of the features, 0 to 3",
        ),
        (lambda: build_head("forest", SHAPES, 3, {}), r"train\.head: 'forest' is not one of"),
    ],
)
def test_what_cannot_be_is_refused(make, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        make()


@pytest.mark.parametrize("name", ["all", "sum"])
def test_whole_layers_are_left_out_of_training_clips(name: str) -> None:
    torch.manual_seed(0)
    config = LinearConfig(input=name, layer_dropout=0.999)
    head = build_head("linear", SHAPES, 3, config)
    bias = head.network[-1].bias
    left = head.train().logits(of_layers(layers()))
    assert ((left - bias).abs() < 1e-6).all(1).any()
    whole = head.eval().logits(of_layers(layers()))
    torch.testing.assert_close(whole, head.eval().logits(of_layers(layers())))
    assert ((whole - bias).abs() > 1e-6).any(1).all()
