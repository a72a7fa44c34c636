"""What a head is and what its training takes, from configurations alone: no weight is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.encoders.hub import has_file

if TYPE_CHECKING:
    from pipeline.heads.base import Head
    from pipeline.heads.needs import Shapes
    from pipeline.heads.phase import Phase

FLOAT = 4  # bytes
# Of each trained number beside itself: its gradient, AdamW's two moments, its average, the best.
KEPT_BESIDE = 5


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a head.

    Attributes:
        num: Parameters.
        weight_bytes: Memory of them.
        is_frozen: Whether nothing of it is ever trained.
    """

    num: int
    weight_bytes: int
    is_frozen: bool = False


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a head is and what its training takes.

    Attributes:
        num: Parameters, those of frozen models too.
        parts: Where the head tells them apart.
        num_trained: Parameters that each phase trains, by its name.
        weight_bytes: Memory of all weights.
        beside_bytes: Of gradients, AdamW's moments, averages and the best, in the largest phase.
        activation_bytes: Of what a step keeps for its gradients, in the phase that keeps most;
            None where the head's kind has not been reckoned.
        checkpointed_bytes: The same with gradient checkpointing.
    """

    num: int
    parts: Mapping[str, Part]
    num_trained: Mapping[str, int]
    weight_bytes: int
    beside_bytes: int
    activation_bytes: int | None
    checkpointed_bytes: int | None

    def total_bytes(self, *, is_checkpointed: bool) -> int | None:
        """Return the memory of training, all in all."""
        kept = self.checkpointed_bytes if is_checkpointed else self.activation_bytes
        return None if kept is None else self.weight_bytes + self.beside_bytes + kept


def wanting(kind: "type[Head]", config: Any) -> list[str]:
    """Return the checkpoints of a head whose configuration is neither in a folder nor cached."""
    return [name for name in kind.checkpoints(config) if name and not has_file(name)]


def reckon(
    kind: "type[Head]",
    shapes: "Shapes",
    num_classes: int,
    config: Any,
    *,
    phase: "Phase",
    itemsize: int,
) -> Cost:
    """Return what a head of a configuration is, and what training it takes.

    bytes = weights (frozen ones in their own type, 4 of each other number)
          + 4 x 5 of each trained number (gradient, m, v, average, best) + activations.

    Args:
        kind: Of the head.
        shapes: Of its features.
        num_classes: C.
        config: Its own section.
        phase: The one that the section `train` describes.
        itemsize: Bytes of a number under `train.precision`.

    Raises:
        EncoderError: If the configuration of a checkpoint is not at hand or of a strange kind.
    """
    head = kind.outline(shapes, num_classes, config)
    own = sum(parameter.numel() for parameter in head.parameters())
    parts = head.parts() or {"": Part(num=own, weight_bytes=FLOAT * own)}
    trained, plain, checkpointed = {}, [], []
    for one in head.phases(phase):
        kept = [
            head.activation_bytes(one, itemsize=itemsize, is_checkpointed=with_checkpoints)
            for with_checkpoints in (False, True)
        ]
        plain.append(kept[0])
        checkpointed.append(kept[1])
        trained[one.name] = sum(p.numel() for p in head.enter(one).values())
    return Cost(
        num=sum(part.num for part in parts.values()),
        parts={name: part for name, part in parts.items() if name},
        num_trained=trained,
        weight_bytes=sum(part.weight_bytes for part in parts.values()),
        beside_bytes=KEPT_BESIDE * FLOAT * max(trained.values()),
        activation_bytes=_most(plain),
        checkpointed_bytes=_most(checkpointed),
    )


def _most(kept: list[int | None]) -> int | None:
    known = [one for one in kept if one is not None]
    return max(known) if known else None
