"""The no-transport twin of Gen-SER: the same trunk on the same inputs, without x_t.

What it gets less than Gen-SER is the path alone, so the difference is what the transport is worth.
At N = 1 Gen-SER predicts the code from (x1, x_c) at t = 1, which is this head with the Brier score
for a loss (codes of equal norm that are orthogonal) in place of the cross-entropy.
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

from pipeline.errors import ParamsError
from pipeline.heads.batch import Batch
from pipeline.heads.classifier import LogitHead
from pipeline.heads.condition import Condition, ConditionConfig, beside
from pipeline.heads.needs import LayersInput, Shapes, width_beside
from pipeline.heads.trunk import Trunk, TrunkConfig
from pipeline.store.views import LAYERS


@dataclass(frozen=True, kw_only=True)
class TwinConfig(LayersInput):
    """The trunk and the condition, as in `train.genser`, and the loss."""

    condition: ConditionConfig = field(default_factory=ConditionConfig)
    label_smoothing: float = 0.1  # of the cross-entropy, in [0, 1)
    trunk: TrunkConfig = field(default_factory=TrunkConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.label_smoothing < 1:
            raise ParamsError("train.twin.label_smoothing: wanted at least 0 and below 1.")


class Twin(LogitHead):
    """Logits from [x1, x_c] through the trunk of Gen-SER at a fixed time."""

    def __init__(self, shapes: Shapes, num_classes: int, config: TwinConfig) -> None:
        super().__init__()
        shape = shapes[LAYERS]
        self.config = config
        self.label_smoothing = config.label_smoothing
        self.shape = shape
        self.condition = Condition(shape, config.condition, width_beside(shapes))
        self.trunk = Trunk(shape.dim, config.trunk)
        self.classify = nn.Linear(shape.dim, num_classes)

    def logits(self, batch: Batch) -> Tensor:
        """Return logits of clips, float32, shape (B, C)."""
        logits: Tensor = self.classify(self._estimate(batch))
        return logits.float()

    def embedding(self, batch: Batch, options: None) -> Tensor:
        """Return what the trunk makes of clips, shape (B, D)."""
        del options
        return self._estimate(batch)

    def _estimate(self, batch: Batch) -> Tensor:
        layers = batch.layers
        x1 = layers[:, self.shape.last_layer]
        tokens = beside(x1, self.condition(layers, batch.beside))
        estimate: Tensor = self.trunk(tokens, tokens.new_ones(tokens.shape[0]))
        return estimate
