"""What a head makes of a clip's layers, beside its embedding.

The paper sums them with learnable weights, which loses little where all layers live in one residual
stream (HuBERT), and much where they do not: then the layers side by side through a hidden layer, or
each as a token of its own, keep what the sum mixes up.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.dropout import Dropout
from pipeline.errors import ParamsError
from pipeline.heads.needs import FeatureShape

KINDS = ("sum", "projection", "tokens")
LAYER_WEIGHTS = ("raw", "softmax")


@dataclass(frozen=True, kw_only=True)
class ConditionConfig:
    """How the layers enter beside the embedding."""

    kind: str = "projection"  # of all side by side; weighted sum (the paper's); or tokens
    layer_weights: str = "raw"  # of the sum: raw (the paper's word), or softmax
    use_input: bool = False  # whether the encoder's input (layer 0) joins them
    layer_norm: bool = True  # normalise each layer before; deep layers are larger
    hidden: int = 512  # units of the projection's hidden layer
    dropout: float = 0.5  # of the projection's input and hidden units, in [0, 1)
    layer_dropout: float = 0.0  # chance that a whole layer is left out of a training clip

    def __post_init__(self) -> None:
        require_layer_weights("condition", self.layer_weights)
        if self.kind not in KINDS:
            raise ParamsError(f"condition.kind: {self.kind!r} is not one of {list(KINDS)}.")
        if self.hidden < 1:
            raise ParamsError(f"condition.hidden: {self.hidden} is below 1.")
        for name in ("dropout", "layer_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ParamsError(f"condition.{name}: wanted at least 0 and below 1.")


def require_layer_weights(section: str, kind: str) -> None:
    """Refuse an unknown kind of layer weights.

    Raises:
        ParamsError: Naming those known.
    """
    if kind not in LAYER_WEIGHTS:
        raise ParamsError(f"{section}.layer_weights: {kind!r} is not one of {list(LAYER_WEIGHTS)}.")


class LayerSum(nn.Module):
    """The learnable weighted sum of some layers (Gen-SER, section 2.4).

    Attributes:
        layers: Those that it sums.
        weights: One each; they start at 1/n, as such or as the softmax of zeros.
    """

    def __init__(self, layers: list[int], *, layer_weights: str, layer_norm: bool) -> None:
        """Sum these layers; `layer_norm` normalises each before, as deep ones are larger."""
        super().__init__()
        self.layers = layers
        self.is_softmax = layer_weights == "softmax"
        self.layer_norm = layer_norm
        start = 0.0 if self.is_softmax else 1 / max(len(layers), 1)
        self.weights = nn.Parameter(torch.full((len(layers),), start))

    def forward(self, layers: Tensor) -> Tensor:
        """Return the sum of features (B, L, D), shape (B, D)."""
        summed = _normed(layers[:, self.layers], layer_norm=self.layer_norm)
        weights = self.weights.softmax(0) if self.is_softmax else self.weights
        return torch.einsum("l,bld->bd", weights, summed)


class Projection(nn.Module):
    """All layers side by side, through one hidden layer with dropout."""

    def __init__(self, layers: list[int], dim: int, config: ConditionConfig) -> None:
        super().__init__()
        self.layers = layers
        self.layer_norm = config.layer_norm
        self.network = nn.Sequential(
            Dropout(config.dropout),
            nn.Linear(len(layers) * dim, config.hidden),
            nn.GELU(),
            Dropout(config.dropout),
            nn.Linear(config.hidden, dim),
        )

    def forward(self, layers: Tensor) -> Tensor:
        """Return the projection of features (B, L, D), shape (B, D)."""
        projected: Tensor = self.network(
            _normed(layers[:, self.layers], layer_norm=self.layer_norm).flatten(1)
        )
        return projected.float()


class Tokens(nn.Module):
    """Each layer as a token, told apart by a learned vector that is added to it.

    Attributes:
        places: The vectors, shape (S, D).
    """

    def __init__(self, layers: list[int], dim: int, config: ConditionConfig) -> None:
        super().__init__()
        self.layers = layers
        self.layer_norm = config.layer_norm
        self.places = nn.Parameter(0.02 * torch.randn(len(layers), dim))

    def forward(self, layers: Tensor) -> Tensor:
        """Return S layers as tokens, shape (B, S, D)."""
        return _normed(layers[:, self.layers], layer_norm=self.layer_norm) + self.places


class Condition(nn.Module):
    """The condition that a config names, with whole layers left out at random in training."""

    def __init__(self, shape: FeatureShape, config: ConditionConfig, width_beside: int = 0) -> None:
        """Make the condition of layers, with a vector of `width_beside` beside them, or 0."""
        super().__init__()
        self.layer_dropout = config.layer_dropout
        layers = shape.condition_layers(use_input=config.use_input)
        self.of: nn.Module
        if config.kind == "sum":
            self.of = LayerSum(
                layers, layer_weights=config.layer_weights, layer_norm=config.layer_norm
            )
        elif config.kind == "projection":
            self.of = Projection(sorted([*layers, shape.last_layer]), shape.dim, config)
        else:
            self.of = Tokens(sorted([*layers, shape.last_layer]), shape.dim, config)
        # Made last: without it, a head's other weights are drawn as they always were.
        self.join = (
            nn.Sequential(
                nn.LayerNorm(width_beside),
                Dropout(config.dropout),
                nn.Linear(width_beside, shape.dim),
            )
            if width_beside
            else None
        )

    def forward(self, layers: Tensor, vector: Tensor | None = None) -> Tensor:
        """Return the condition of features (B, L, D), shape (B, D) or, as tokens, (B, S, D).

        A vector (B, P) beside them is mapped to D, and added; or it is one more token.
        """
        if self.training:
            layers = drop_layers(layers, self.layer_dropout)
        condition: Tensor = self.of(layers)
        if self.join is None:
            return condition
        joined: Tensor = self.join(vector).float()
        if condition.ndim == 3:
            return torch.cat([condition, joined[:, None]], dim=1)
        return condition + joined


def drop_layers(layers: Tensor, chance: float) -> Tensor:
    """Return features (B, L, D) with whole layers of clips set to 0 and the others scaled up."""
    if not chance:
        return layers
    return layers * functional.dropout(layers.new_ones(layers.shape[:2]), chance)[..., None]


def beside(vector: Tensor, condition: Tensor) -> Tensor:
    """Return a vector (B, D) with its condition beside it, as the trunk wants its tokens.

    Returns:
        Shape (B, 2D), or (B, S, 2D) for a condition of S tokens.
    """
    if condition.ndim == 3:
        vector = vector[:, None].expand_as(condition)
    return torch.cat([vector, condition], dim=-1)


def _normed(layers: Tensor, *, layer_norm: bool) -> Tensor:
    return functional.layer_norm(layers, layers.shape[-1:]) if layer_norm else layers
