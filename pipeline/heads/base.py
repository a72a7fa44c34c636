"""The contract between heads and the commands that train and score them.

A head says what it reads of a store, in which phases it is trained, gives named losses from a
batch, and gives class scores. `genser train` and `genser score` know nothing else of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import HeadError
from pipeline.evaluation.links import SHARES, SOFTMAX
from pipeline.heads.batch import Batch
from pipeline.heads.cost import Part
from pipeline.heads.needs import LAYERS_OF_A_CLIP, LayersInput, Need, Shapes
from pipeline.heads.outline import outlined
from pipeline.heads.phase import Phase
from pipeline.quantisation.codebooks import Codebooks


@dataclass
class Base:
    """A frozen pretrained model that a head holds: named in the head, never stored in it.

    It is no `nn.Module`, so whatever walks over a head's parameters passes it by.

    Attributes:
        spelling: As `pipeline.encoders.hub` reads it.
        digest: SHA-256 of its tensors, held to when the head is loaded.
        model: The model, in evaluation mode and without gradients; None where a head only began
            from it, and holds what became of its weights.
    """

    spelling: str
    digest: str
    model: Any = None

    def to(self, device: str) -> None:
        """Put its model on a torch device."""
        if self.model is not None:
            self.model.to(device)


class Head(nn.Module, ABC):
    """A small network on stored features; see the module's docstring.

    Attributes:
        fits_at_once: Whether `fit` takes the place of steps; such a head reads no frames.
        takes_numbers: Whether it can learn labels that are numbers; see `learn_numbers`.
        link: How its scores become probabilities, one of `pipeline.evaluation.links.LINKS`; or
            `SHARES`, where labels are numbers.
        columns: Manifest columns that it reads beside the labels.
        learns: Manifest columns that it is taught to say: training and dev read them too, no clip
            that is scored needs them.
        watched: What `watch` may give and `train.select_by` name.
        bases: The frozen models that it holds.
        facts: What `head.json` says of it besides, JSON values by name.
    """

    fits_at_once: ClassVar[bool] = False
    takes_numbers: ClassVar[bool] = False
    link: str = SOFTMAX
    columns: Sequence[str] = ()
    learns: Sequence[str] = ()
    watched: ClassVar[Sequence[str]] = ()
    bases: Sequence[Base] = ()
    facts: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def needs(cls, config: Any) -> Sequence[Need]:
        """Return the views that a head with this configuration reads; layers, unless it says so."""
        return config.needs if isinstance(config, LayersInput) else (LAYERS_OF_A_CLIP,)

    @classmethod
    def checkpoints(cls, config: Any) -> Sequence[str]:
        """Return what it begins from or holds of others, as it is spelled; nothing here."""
        del config
        return ()

    @classmethod
    def outline(cls, shapes: Shapes, num_classes: int, config: Any) -> Self:
        """Return it without weights, on torch's meta device, for `reckon` to count.

        Of what `checkpoints` names, configurations are read and nothing else.
        """
        with outlined():
            return cls(shapes, num_classes, config)

    def parts(self) -> Mapping[str, Part]:
        """Return what it is made of where that is to be told apart, by name; nothing here."""
        return {}

    def activation_bytes(self, phase: Phase, *, itemsize: int, is_checkpointed: bool) -> int | None:
        """Return what a step of a phase keeps for its gradients; None where nobody reckoned it.

        Args:
            phase: Its batch size counts.
            itemsize: Bytes of a number under `train.precision`.
            is_checkpointed: Whether gradients are checkpointed, where the head knows how.
        """
        del phase, itemsize, is_checkpointed
        return None

    def adopt(self, codebooks: Mapping[str, Codebooks]) -> None:
        """Take what it wants of the codebooks of its codes; nothing here.

        It is called once when a head is made, to be trained or loaded: what a head only looks up
        there need not be among `kept`.

        Args:
            codebooks: By the name of each need of kind `codes`, of the layers that it reads.
        """
        del codebooks

    def name_classes(self, classes: Sequence[str]) -> None:
        """Take the names of the classes, in score order; nothing here.

        It is called once when a head is made, to be trained or loaded.
        """
        del classes

    def learn_numbers(self, kind: str) -> None:
        """Take that labels are numbers: of the two classes the low and the high end of a scale.

        It is called once when a head is made, to be trained or loaded. From then on targets are
        shares of the ends (`pipeline.manifests.numbers`), and scores are estimates of these, in
        their own scale: `link` is `SHARES`.

        Args:
            kind: The head's name in the catalogue, for messages.

        Raises:
            HeadError: If it tells classes apart and nothing else.
        """
        if not self.takes_numbers:
            raise HeadError(
                f"train.head: {kind} tells classes apart, and the label map says that labels are "
                "numbers; take genser, twin, linear, mlp, logreg or tokens."
            )
        self.link = SHARES

    def learn_shares(self, shares: Tensor) -> None:
        """Take the share of each class in what the loss will see, shape (C,); nothing here.

        It is called once, before training.
        """
        del shares

    def phases(self, default: Phase) -> Sequence[Phase]:
        """Return the phases of training.

        Args:
            default: The one phase that the section `train` describes.
        """
        return [default]

    def enter(self, phase: Phase) -> dict[str, nn.Parameter]:
        """Freeze what a phase does not train, and return what it trains by the names of `kept`."""
        del phase
        return self.train_only(lambda _: True)

    def train_only(self, is_trained: Callable[[str], bool]) -> dict[str, nn.Parameter]:
        """Let gradients reach those parameters whose name passes, and return them by name."""
        trained = {}
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(is_trained(name))
            if parameter.requires_grad:
                trained[name] = parameter
        return trained

    def rate_factor(self, name: str) -> float:
        """Return what the phase's learning rate is multiplied with for a trained parameter; 1."""
        del name
        return 1.0

    def fit(self, batch: Batch, groups: np.ndarray, *, seed: int) -> None:
        """Take everything from the training rows at once, where `fits_at_once`.

        Args:
            batch: All training rows, with their targets.
            groups: The speaker of each row, shape (N,).
            seed: The training seed.
        """
        raise NotImplementedError

    @abstractmethod
    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Return named losses, scalars whose sum is minimised.

        Args:
            batch: Clips with their targets.
            phase: The phase under way.
            progress: Part of the phase that is done, from 0 to 1.
            generator: The source of every random number, on the CPU.
        """

    def watch(self, batch: Batch, *, phase: Phase) -> Mapping[str, Tensor]:
        """Return named numbers of each dev clip, shape (B,), the lower the better; none here.

        A phase may be selected by the mean of one of them (`Phase.select_by`), where class scores
        mean nothing yet, or cost much: they are not asked for then.

        Args:
            batch: Dev clips with their targets.
            phase: The phase under way.
        """
        del batch, phase
        return {}

    def dev_scoring(self) -> Any:
        """Return the scoring options that dev is scored with while training; None has none."""
        return None

    @abstractmethod
    def scores(self, batch: Batch, options: Any) -> Tensor:
        """Return class scores, the higher the likelier, shape (B, C).

        Args:
            batch: Clips.
            options: The head's own section of `score`; None where it has none.
        """

    def extras(self, batch: Batch, options: Any) -> Mapping[str, Sequence[str] | Tensor]:
        """Return what it says of each clip besides, texts or numbers (B,) by column; none here."""
        del batch, options
        return {}

    def answer(
        self, batch: Batch, options: Any
    ) -> tuple[Tensor, Mapping[str, Sequence[str] | Tensor]]:
        """Return `scores` and `extras`; for a head to override that finds both at once."""
        return self.scores(batch, options), self.extras(batch, options)

    def embedding(self, batch: Batch, options: Any) -> Tensor:
        """Return what clips are to it before classes are told apart, shape (B, P).

        A class that it never learnt is told by such vectors of a few clips. Unless a head knows
        better, its scores about their mean, to which a softmax is blind.
        """
        scores = self.scores(batch, options)
        return scores - scores.mean(dim=1, keepdim=True)

    def representations(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return what it makes of each clip within, float32, shape (B, W) by name; none here.

        A probe asks of each what it knows, whatever the head says.
        """
        del batch
        return {}

    @abstractmethod
    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        """Return the scores that a head gives when each class is so many times as frequent.

        Args:
            scores: Of `scores`, shape (B, C).
            factors: How many times each class's posterior is multiplied, above 0, shape (C,); one
                over the shares of the training rows makes every class equally frequent.
            temperature: By which scores are divided before they are probabilities.
        """

    def kept(self) -> dict[str, Tensor]:
        """Return what is averaged, checkpointed and saved: all that is its own, no base."""
        return self.state_dict()

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Take up what `kept` returned."""
        self.load_state_dict(dict(kept))
