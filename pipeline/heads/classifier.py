"""Plain classifiers of stored features, the honest baselines of Gen-SER.

Linear or one hidden layer, on the last layer ("HuBERT + CLS" in Gen-SER's tables), on one chosen
layer, on the weighted sum of all layers, or on all layers side by side; trained with cross-entropy.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.dropout import Dropout
from pipeline.errors import ParamsError
from pipeline.evaluation.links import SHARES
from pipeline.heads.base import Head
from pipeline.heads.batch import Batch
from pipeline.heads.condition import LayerSum, drop_layers, require_layer_weights
from pipeline.heads.needs import FeatureShape, LayersInput, Shapes, width_beside
from pipeline.heads.phase import Phase
from pipeline.store.views import LAYERS

INPUTS = ("last", "layer", "sum", "all")


def require_input(section: str, name: str) -> None:
    """Refuse an unknown choice of layers.

    Raises:
        ParamsError: Naming those known.
    """
    if name not in INPUTS:
        raise ParamsError(f"{section}.input: {name!r} is not one of {list(INPUTS)}.")


def input_layers(shape: FeatureShape, name: str, layer: int, section: str) -> list[int]:
    """Return the layers that a choice of them means.

    Raises:
        ParamsError: If there is no such layer.
    """
    if name == "last":
        return [shape.last_layer]
    if name != "layer":
        return list(range(shape.num_layers))
    if not 0 <= layer < shape.num_layers:
        raise ParamsError(
            f"{section}.layer: {layer} is not a layer of the features, 0 to {shape.num_layers - 1}."
        )
    return [layer]


@dataclass(frozen=True, kw_only=True)
class LinearConfig(LayersInput):
    """A linear classifier."""

    section: ClassVar[str] = "train.linear"
    input: str = "all"  # last layer, one layer, the weighted sum of all, or all side by side
    layer: int = 0  # which, where input is layer
    layer_weights: str = "softmax"  # of the sum: raw or softmax
    layer_norm: bool = False  # normalise each layer before the sum
    label_smoothing: float = 0.0  # of the cross-entropy, in [0, 1)
    hidden: int = 0  # units of a hidden layer; 0 has none
    dropout: float = 0.5  # of the input and the hidden units, in [0, 1)
    layer_dropout: float = 0.0  # chance that a whole layer is left out of a training clip

    def __post_init__(self) -> None:
        super().__post_init__()
        require_input(self.section, self.input)
        require_layer_weights(self.section, self.layer_weights)
        for name in ("label_smoothing", "dropout", "layer_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ParamsError(f"{self.section}.{name}: wanted at least 0 and below 1.")
        if self.hidden < 0:
            raise ParamsError(f"{self.section}.hidden: {self.hidden} is below 0.")


@dataclass(frozen=True, kw_only=True)
class MLPConfig(LinearConfig):
    """A classifier with one hidden layer."""

    section: ClassVar[str] = "train.mlp"
    hidden: int = 512  # units of the hidden layer
    dropout: float = 0.7  # of the input and the hidden units, in [0, 1)


class LogitHead(Head):
    """A head that gives logits and is trained with cross-entropy.

    Where labels are numbers, its two outputs are the shares of the ends themselves, trained with
    the squared error: the loss of Gen-SER's Eq. 8, so that heads differ in nothing but the head.

    Attributes:
        label_smoothing: Of the cross-entropy, in [0, 1).
    """

    takes_numbers = True
    label_smoothing: float

    @abstractmethod
    def logits(self, batch: Batch) -> Tensor:
        """Return logits of clips, float32, shape (B, C)."""

    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Return the cross-entropy with label smoothing, or of numbers the squared error."""
        del phase, progress, generator
        return logit_loss(self.logits(batch), batch, self.link, self.label_smoothing)

    def scores(self, batch: Batch, options: None) -> Tensor:
        """Return the logits."""
        del options
        return self.logits(batch)

    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        """Add the factors' logarithms to the logits, by Bayes' rule."""
        return reweighted_logits(scores, factors, temperature)


def logit_loss(
    logits: Tensor, batch: Batch, link: str, label_smoothing: float = 0.0
) -> dict[str, Tensor]:
    """Return the loss of logits (B, C), each clip counted by its weight.

    Cross-entropy; of shares of the ends of a scale (`SHARES`) the squared error.
    """
    assert batch.targets is not None
    if link == SHARES:
        return {"square": batch.weighted_mean((logits - batch.targets).square().sum(-1))}
    value = functional.cross_entropy(
        logits, batch.targets, label_smoothing=label_smoothing, reduction="none"
    )
    return {"cross_entropy": batch.weighted_mean(value)}


def reweighted_logits(logits: Tensor, factors: Tensor, temperature: float) -> Tensor:
    """Return logits whose softmax at a temperature is the old one times the factors, anew 1.

    Bayes' rule: softmax((s + T log f) / T) = f softmax(s / T) / sum.
    """
    return logits + temperature * factors.log()


class Classifier(LogitHead):
    """Logits of the classes from some layers of a clip."""

    def __init__(self, shapes: Shapes, num_classes: int, config: LinearConfig) -> None:
        super().__init__()
        shape = shapes[LAYERS]
        self.config = config
        self.label_smoothing = config.label_smoothing
        self.layers = input_layers(shape, config.input, config.layer, config.section)
        width = shape.dim * (len(self.layers) if config.input == "all" else 1)
        width += width_beside(shapes)
        self.sum = (
            LayerSum(self.layers, layer_weights=config.layer_weights, layer_norm=config.layer_norm)
            if config.input == "sum"
            else None
        )
        dropout = Dropout(config.dropout)
        if config.hidden:
            self.network = nn.Sequential(
                dropout,
                nn.Linear(width, config.hidden),
                nn.GELU(),
                dropout,
                nn.Linear(config.hidden, num_classes),
            )
        else:
            self.network = nn.Sequential(dropout, nn.Linear(width, num_classes))

    def logits(self, batch: Batch) -> Tensor:
        """Return logits of clips, float32, shape (B, C)."""
        logits: Tensor = self.network(self._inputs(batch))
        return logits.float()

    def embedding(self, batch: Batch, options: None) -> Tensor:
        """Return the hidden units (B, H) of clips; of a linear one its logits about their mean."""
        if not self.config.hidden:
            return super().embedding(batch, options)
        hidden: Tensor = self.network[:-1](self._inputs(batch))
        return hidden

    def _inputs(self, batch: Batch) -> Tensor:
        layers = batch.layers
        if self.training:
            layers = drop_layers(layers, self.config.layer_dropout)
        x = self.sum(layers) if self.sum is not None else layers[:, self.layers].flatten(1)
        return batch.with_beside(x)
