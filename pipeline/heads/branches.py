"""The branches of the head of descriptors: frames through bottlenecks into soft tokens."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.heads.batch import Ragged
from pipeline.heads.bottleneck import Bottleneck, Latent, LayerSum, sampled
from pipeline.heads.descriptors_config import DescriptorsConfig
from pipeline.heads.descriptors_stages import CONTENT, branches_of
from pipeline.heads.needs import FeatureShape
from pipeline.heads.projector import FrameProjector


class Heard(NamedTuple):
    """What a branch makes of clips.

    Attributes:
        soft: Soft tokens of each clip, shape (S, E), S its own.
        latent: Of each frame, shape (B, T, Z).
    """

    soft: Sequence[Tensor]
    latent: Latent


class Branch(nn.Module):
    """Weighted layers, a bottleneck, and an adapter into a language model's space (2505.23236).

    Attributes:
        layers: Its weights of layers; None where it takes those of the content branch.
    """

    def __init__(
        self,
        shape: FeatureShape,
        embeddings: nn.Embedding,
        config: DescriptorsConfig,
        *,
        sums_layers: bool,
    ) -> None:
        super().__init__()
        self.layers = LayerSum(shape.num_layers) if sums_layers else None
        self.bottleneck = Bottleneck(shape.dim, config.hidden, config.width)
        self.project = FrameProjector(
            config.width, config.neighbours, config.projector_hidden, embeddings
        )

    def forward(self, summed: Tensor, frames: Ragged, generator: torch.Generator | None) -> Heard:
        """Return soft tokens and what they were made of.

        Args:
            summed: Frames, their layers summed, shape (B, T, D).
            frames: The same, for their lengths.
            generator: What z is drawn by; None takes the mean.
        """
        latent: Latent = self.bottleneck(summed)
        z = latent.mean if generator is None else sampled(latent, generator)
        return Heard(self.project(z * frames.mask[..., None], frames.lengths), latent)


class Branches(nn.Module):
    """Content and descriptor, or content alone; each a child of its name."""

    def __init__(
        self, shape: FeatureShape, embeddings: nn.Embedding, config: DescriptorsConfig
    ) -> None:
        """Make the branches of a configuration.

        Args:
            shape: Of the frames.
            embeddings: Of the language model.
            config: Of the head.
        """
        super().__init__()
        self._is_drawn = config.bottleneck
        self._names = branches_of(config)
        for name in self._names:
            sums_layers = name == CONTENT or not config.shared_layers
            self.add_module(name, Branch(shape, embeddings, config, sums_layers=sums_layers))

    def forward(
        self,
        frames: Ragged,
        *,
        names: Sequence[str] | None = None,
        trains: Sequence[str] = (),
        generator: torch.Generator | None = None,
    ) -> Mapping[str, Heard]:
        """Return what branches make of clips.

        Args:
            frames: Of clips, values (B, T, R, D).
            names: Which branches; None asks all.
            trains: Those whose z are drawn and which gradients reach; others give their mean.
            generator: What z are drawn by; None takes means.
        """
        found = {}
        for name in self._names if names is None else names:
            branch = self._branch(name)
            owner = CONTENT if branch.layers is None else name
            layers = self._branch(owner).layers
            assert layers is not None
            with _gradients(is_wanted=owner in trains):
                summed = layers(frames.values)
            drawn = generator if name in trains and self._is_drawn else None
            with _gradients(is_wanted=name in trains):
                found[name] = branch(summed, frames, drawn)
        return found

    def _branch(self, name: str) -> Branch:
        branch = self.get_submodule(name)
        assert isinstance(branch, Branch)
        return branch


def _gradients(*, is_wanted: bool) -> torch.set_grad_enabled:
    return torch.set_grad_enabled(is_wanted and torch.is_grad_enabled())
