"""A trained head on the disk: `head.json` and the tensors it names, nothing pickled.

`head.json` is replaced last and carries the digest of the tensors and of itself, so a head is the
old one or the new one, never half of each. A frozen base model is named with its digest, and its
tensors are not among the head's.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors

from pipeline.errors import HeadError
from pipeline.evaluation.links import Link, Power, Shares, Softmax
from pipeline.files import (
    publish_bytes,
    sealed_json,
    sha256_bytes,
    sha256_file,
)
from pipeline.heads.base import Head
from pipeline.heads.catalogue import build_head, head_kind
from pipeline.heads.folder import DESCRIPTION, read_description, read_weights
from pipeline.heads.needs import FeatureShape, adopted
from pipeline.heads.record import CURE, HeadRecord, StandardiserRecord, read_record, record_digest
from pipeline.heads.standardiser import Standardiser
from pipeline.quantisation.codebooks import Codebooks
from pipeline.store.recipe import Recipe, require_same_recipe
from pipeline.store.views import LAYERS

MOST_LAYERS = 10_000
MOST_MISSING = 10_000_000  # numbers that a head may be made with and not be saved with


@dataclass(frozen=True, kw_only=True)
class TrainedHead:
    """A head with everything that scoring needs.

    Attributes:
        head: The network.
        standardisers: Fitted on the training rows, by need.
        codebooks: Of the views of codes that it reads, by view.
        record: What `head.json` says of it.
    """

    head: Head
    standardisers: Mapping[str, Standardiser]
    record: HeadRecord
    codebooks: Mapping[str, Codebooks] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in score order."""
        return self.record.classes

    @property
    def task(self) -> str:
        """The label column that it was trained on."""
        return self.record.task

    @property
    def prior(self) -> np.ndarray:
        """The share of each class in what the loss saw, shape (C,).

        Raises:
            HeadError: If it was trained before shares were kept.
        """
        if self.record.prior is None:
            raise HeadError(
                "score.prior: 'uniform' needs the class shares that a head was trained with, and "
                "this one is from before they were kept; train it again, or set it to 'train'."
            )
        return np.array(self.record.prior)

    @cached_property
    def digest(self) -> str:
        """What identifies this head: the fingerprint of its record and of its tensors."""
        data = sha256_bytes(self.tensor_bytes())
        return record_digest({**self.record.as_json(), "weights": data})

    def tensor_bytes(self) -> bytes:
        """Return the file of its tensors."""
        return save_tensors(_tensors(self))

    def probabilities(self, scores: Any) -> Any:
        """Return calibrated probabilities of scores (B, C)."""
        return self.link.probabilities(scores)

    @property
    def link(self) -> Link:
        """From scores to probabilities, as it was fitted on dev."""
        if self.record.link is None:
            assert self.record.temperature is not None
            return Softmax(temperature=self.record.temperature)
        numbers = {name: value for name, value in self.record.link.items() if name != "kind"}
        return Power(**numbers) if self.record.scale is None else Shares(**numbers)

    def numbers(self, scores: Any) -> np.ndarray:
        """Return the numbers that scores (B, 2) mean, in units of the labels, float64, (B,)."""
        link, scale = self.link, self.record.scale
        assert isinstance(link, Shares)
        assert scale is not None
        return scale.values(link.positions(scores))

    def require_recipes(self, where: object, recipes: Mapping[str, Recipe]) -> None:
        """Refuse features that were made otherwise than those it was trained on.

        Raises:
            FeatureStoreError: Naming each differing field.
        """
        for view, wanted in self.record.recipes.items():
            require_recipe_of_head(where, view, recipes[view], wanted)


def require_recipe_of_head(where: object, view: str, found: Recipe, wanted: Recipe) -> None:
    """Refuse features of a view that were made otherwise than a head's.

    Raises:
        FeatureStoreError: Naming each differing field.
    """
    what = "" if view == LAYERS else f" in view {view!r}"
    cure = "score with a head of that store, or extract with the head's recipe"
    require_same_recipe(f"{where}: other features than the head's{what}", found, wanted, cure)


def save_head(folder: Path, trained: TrainedHead, *, beside: Sequence[str]) -> None:
    """Save a trained head.

    Args:
        folder: Where to.
        trained: The head.
        beside: Files in the folder that go with the head, whose digests it keeps.

    Raises:
        OutputError: If it cannot be written; a head that stood there stays.
    """
    data = trained.tensor_bytes()
    digest = sha256_bytes(data)
    name = f"weights-{digest[:12]}.safetensors"
    publish_bytes(folder / name, data)
    files = {other: sha256_file(folder / other) for other in beside}
    weights = {"file": name, "sha256": digest}
    value = {**trained.record.as_json(), "weights": weights, "files": files}
    publish_bytes(folder / DESCRIPTION, sealed_json(value))
    for old in folder.glob("weights-*.safetensors"):
        if old.name != name:
            old.unlink()


def load_head(folder: Path, device: str = "cpu") -> TrainedHead:
    """Load a trained head, ready to score.

    Raises:
        HeadError: If there is none, a byte of it has changed, or a base is another one.
    """
    description = read_description(folder)
    record = read_record(folder / DESCRIPTION, description)
    tensors = read_weights(folder, description)
    _require_of_a_size(folder, record, tensors)
    head = build_head(record.kind, record.shapes, len(record.classes), record.head_config)
    _require_bases(folder, head, record)
    head.name_classes(record.classes)
    if record.scale is not None:
        head.learn_numbers(record.kind)
    with _fitting(folder):
        codebooks = {
            view: Codebooks(**mine)
            for view in record.recipes
            if (mine := _named(tensors, f"codebooks.{view}."))
        }
        head.adopt(adopted(record.needs, codebooks))
        head.restore(_named(tensors, "head."))
        standardisers = {
            need: _standardiser(told, record.shapes[need], _named(tensors, _prefix(need)))
            for need, told in record.standardisers.items()
        }
    for base in head.bases:
        base.to(device)
    return TrainedHead(
        head=head.to(device).eval(),
        standardisers={need: one.to(device) for need, one in standardisers.items()},
        record=record,
        codebooks=codebooks,
    )


def _require_of_a_size(
    folder: Path, record: HeadRecord, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Refuse a description of something far larger than the tensors that are there."""
    most = max((shape.num_layers for shape in record.shapes.values()), default=0)
    if most > MOST_LAYERS:
        raise HeadError(
            f"{folder}: {DESCRIPTION} tells of {most} layers, wanted at most {MOST_LAYERS}; {CURE}."
        )
    kind = head_kind(record.kind).head
    try:
        outline = kind.outline(record.shapes, len(record.classes), record.head_config)
    except RuntimeError as error:  # torch counts no further
        raise HeadError(
            f"{folder}: {DESCRIPTION} describes more numbers than can be counted; {CURE}."
        ) from error
    described = sum(tensor.numel() for tensor in outline.kept().values())
    told = [record.shapes[need] for need in record.standardisers]
    described += sum(shape.num_layers * shape.dim for shape in told)
    found = sum(tensor.numel() for tensor in tensors.values())
    if described > MOST_MISSING + 2 * found:
        raise HeadError(
            f"{folder}: {DESCRIPTION} describes {described} numbers, its tensors are {found}; "
            f"{CURE}."
        )


@contextmanager
def _fitting(folder: Path) -> Iterator[None]:
    """Turn tensors that are missing, or of other shapes than the record's, into one line."""
    try:
        yield
    except HeadError:
        raise
    except (RuntimeError, KeyError, TypeError, ValueError, IndexError) as error:
        told = " ".join(str(error).split())
        raise HeadError(
            f"{folder}: its tensors are not those of the head that {DESCRIPTION} describes "
            f"({told[:200]}); {CURE}."
        ) from error


def _standardiser(
    told: StandardiserRecord, shape: FeatureShape, tensors: Mapping[str, torch.Tensor]
) -> Standardiser:
    made = Standardiser(
        shape.num_layers, shape.dim, kind=told.kind, over=told.over, groups=told.groups
    )
    made.load_state_dict({k: v for k, v in tensors.items() if "." not in k})
    return made


def _require_bases(folder: Path, head: Head, record: HeadRecord) -> None:
    """Refuse a head whose frozen models are not those that it was trained with."""
    if len(head.bases) != len(record.bases):
        raise HeadError(
            f"{folder}: has {len(head.bases)} base models, {DESCRIPTION} names "
            f"{len(record.bases)}; {CURE}."
        )
    for have, want in zip(head.bases, record.bases, strict=True):
        if have.digest != want.digest:
            raise HeadError(
                f"{folder}: the base model {have.spelling} has digest {have.digest[:12]}, "
                f"wanted {want.digest[:12]}, which it was trained with; put that one back, or "
                "train the head again."
            )


def _prefix(need: str) -> str:
    # Heads from before there were several needs have one standardiser, that of their layers.
    return "standardiser." if need == LAYERS else f"standardiser.{need}."


def _named(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _tensors(trained: TrainedHead) -> dict[str, torch.Tensor]:
    parts = {"head.": trained.head.kept()}
    parts |= {_prefix(need): one.state_dict() for need, one in trained.standardisers.items()}
    parts |= {f"codebooks.{view}.": asdict(one) for view, one in trained.codebooks.items()}
    return {
        f"{prefix}{name}": tensor.detach().cpu().contiguous()
        for prefix, tensors in parts.items()
        for name, tensor in tensors.items()
    }
