"""Stage 1 of EmoQ: multi-task affective losses of what the former hears (2509.15775)."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from pipeline.heads.batch import Batch
from pipeline.heads.emoq_config import FOCAL, MAL_BOTH, NONE, SCL, EmoQConfig
from pipeline.heads.mal import class_weights_of, focal, supervised_contrastive


class Stage1(nn.Module):
    """MAL = contrastive(z) + lambda focal(MLP(z)), or one of the two, or cross-entropy of the MLP.

    The MLP is dropped when the stage is over.
    """

    def __init__(self, width: int, num_classes: int, config: EmoQConfig) -> None:
        super().__init__()
        self.config = config
        self.classify = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, num_classes)
        )

    def logits(self, z: Tensor) -> Tensor:
        """Return the MLP's logits of z (B, W), float32, shape (B, C)."""
        logits: Tensor = self.classify(z)
        return logits.float()

    def losses(self, z: Tensor, batch: Batch, shares: Tensor) -> Mapping[str, Tensor]:
        """Return the losses by name.

        Args:
            z: What is heard, shape (B, W), |z| = 1.
            batch: Of the same clips, with targets.
            shares: Of each class in training, shape (C,).
        """
        assert batch.targets is not None
        config = self.config
        losses = {}
        if config.mal == NONE:
            plain = functional.cross_entropy(self.logits(z), batch.targets, reduction="none")
            losses["cross_entropy"] = batch.weighted_mean(plain)
        if config.mal in (MAL_BOTH, SCL):
            labels = batch.targets.argmax(1)
            losses["contrastive"] = supervised_contrastive(
                z, labels, temperature=config.temperature
            )
        if config.mal in (MAL_BOTH, FOCAL):
            losses["focal"] = config.focal_weight * focal(
                self.logits(z),
                batch.targets,
                class_weights_of(shares),
                gamma=config.gamma,
                weights=batch.weights,
            )
        return losses
