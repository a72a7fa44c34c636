"""A trained head on the disk: `head.json` and the tensors it names, nothing pickled.

`head.json` is replaced last and carries the digest of the tensors and of itself, so a head is the
old one or the new one, never half of each.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from pipeline.errors import HeadError
from pipeline.evaluation.calibration import probabilities
from pipeline.files import (
    fingerprint,
    publish_bytes,
    sealed_json,
    sha256_bytes,
    sha256_file,
    unseal_json,
)
from pipeline.heads.base import FeatureShape, Head
from pipeline.heads.catalogue import build_head
from pipeline.heads.standardiser import Standardiser
from pipeline.manifests.labels import LabelMap
from pipeline.store.recipe import Recipe, require_same_recipe
from pipeline.store.views import LAYERS

FORMAT = "genser-head"
FORMAT_VERSION = 1
DESCRIPTION = "head.json"


@dataclass(frozen=True, kw_only=True)
class TrainedHead:
    """A head with everything that scoring needs.

    Attributes:
        head: The network.
        standardiser: Fitted on the training rows.
        description: The content of `head.json` without its seal.
    """

    head: Head
    standardiser: Standardiser
    description: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in score order."""
        return tuple(self.description["classes"])

    @property
    def task(self) -> str:
        """The label column that it was trained on."""
        return str(self.description["task"])

    @property
    def temperature(self) -> float:
        """The temperature fitted on dev."""
        return float(self.description["temperature"])

    @property
    def prior(self) -> np.ndarray:
        """The share of each class in what the loss saw, shape (C,).

        Raises:
            HeadError: If it was trained before shares were kept.
        """
        if "prior" not in self.description:
            raise HeadError(
                "score.prior: 'uniform' needs the class shares that a head was trained with, and "
                "this one is from before they were kept; train it again, or set it to 'train'."
            )
        return np.array(self.description["prior"])

    @property
    def corpora(self) -> Mapping[str, Sequence[str]]:
        """The classes that each corpus's training rows had; empty where nobody kept them."""
        corpora: Mapping[str, Sequence[str]] = self.description.get("corpora", {})
        return corpora

    @property
    def recipe(self) -> Recipe:
        """The recipe of the `layers` view that it reads."""
        recipe: Recipe = self.description["recipes"][LAYERS]
        return recipe

    @property
    def label_map(self) -> LabelMap | None:
        """How raw labels become its classes; None where they are the labels."""
        stored = self.description["label_map"]
        if stored is None:
            return None
        return LabelMap(
            classes=tuple(stored["classes"]), mapping=stored["mapping"], drop=tuple(stored["drop"])
        )

    @property
    def digest(self) -> str:
        """What identifies this head: the fingerprint of its description, pictures apart."""
        return fingerprint({k: v for k, v in self.description.items() if k != "files"})

    def probabilities(self, scores: Any) -> Any:
        """Return calibrated probabilities of scores (B, C)."""
        return probabilities(scores, self.temperature)

    def require_recipe(self, where: object, recipe: Recipe) -> None:
        """Refuse features that were made otherwise than those it was trained on.

        Raises:
            FeatureStoreError: Naming each differing field.
        """
        cure = "score with a head of that store, or extract with the head's recipe"
        require_same_recipe(f"{where}: other features than the head's", recipe, self.recipe, cure)


def describe(
    *,
    kind: str,
    config: object,
    shape: FeatureShape,
    label_map: LabelMap | None,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what `head.json` says, before the tensors' name and digest."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "config": asdict(config),  # type: ignore[call-overload]
        "shape": asdict(shape),
        "label_map": None if label_map is None else json.loads(json.dumps(asdict(label_map))),
        **fields,
    }


def save_head(
    folder: Path,
    head: Head,
    standardiser: Standardiser,
    description: Mapping[str, Any],
    *,
    beside: Sequence[str],
) -> None:
    """Save a trained head.

    Args:
        folder: Where to.
        head: The network.
        standardiser: What stands before it.
        description: From `describe`.
        beside: Files in the folder that go with the head, whose digests it keeps.

    Raises:
        OutputError: If it cannot be written; a head that stood there stays.
    """
    data = save_tensors(_tensors(head, standardiser))
    digest = sha256_bytes(data)
    name = f"weights-{digest[:12]}.safetensors"
    publish_bytes(folder / name, data)
    files = {other: sha256_file(folder / other) for other in beside}
    value = {**description, "weights": {"file": name, "sha256": digest}, "files": files}
    publish_bytes(folder / DESCRIPTION, sealed_json(value))
    for old in folder.glob("weights-*.safetensors"):
        if old.name != name:
            old.unlink()


def read_description(folder: Path) -> dict[str, Any]:
    """Return the content of `head.json`.

    Raises:
        HeadError: If there is no head, or its description is damaged or of another version.
    """
    path = folder / DESCRIPTION
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HeadError(
            f"{folder}: no trained head there ({error.strerror}); make one with 'genser train'."
        ) from error
    value = unseal_json(data)
    if value is None:
        raise HeadError(f"{path}: damaged, its digest does not match; train the head again.")
    found = (value.get("format"), value.get("format_version"))
    if found != (FORMAT, FORMAT_VERSION):
        raise HeadError(f"{path}: format {found}, wanted {(FORMAT, FORMAT_VERSION)}.")
    return value


def read_weights(folder: Path, description: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return a head's tensors after holding them to their digest.

    Raises:
        HeadError: If the file is absent or damaged.
    """
    path = folder / description["weights"]["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HeadError(f"{path}: cannot be read ({error.strerror}); train again.") from error
    found, wanted = sha256_bytes(data), description["weights"]["sha256"]
    if found != wanted:
        raise HeadError(
            f"{path}: damaged, found digest {found[:12]}, {DESCRIPTION} says {wanted[:12]}; "
            "train the head again."
        )
    tensors: dict[str, torch.Tensor] = load_tensors(data)
    return tensors


def verify_head(folder: Path) -> None:
    """Hold every file of a head to its digest.

    Raises:
        HeadError: Naming the first that is absent or damaged.
    """
    description = read_description(folder)
    read_weights(folder, description)
    for name, wanted in description["files"].items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != wanted:
            raise HeadError(
                f"{path}: absent or damaged, its digest is not the one in {DESCRIPTION}; train the "
                "head again."
            )


def load_head(folder: Path, device: str = "cpu") -> TrainedHead:
    """Load a trained head, ready to score.

    Raises:
        HeadError: If there is none, or a byte of it has changed.
    """
    description = read_description(folder)
    shape = FeatureShape(**description["shape"])
    head = build_head(
        description["kind"], shape, len(description["classes"]), description["config"]
    )
    # Heads from before there were groups know the kind only.
    told = description.get("standardiser") or {"kind": description["train"]["standardise"]}
    standardiser = Standardiser(shape.num_layers, shape.dim, **told)
    tensors = read_weights(folder, description)
    for prefix, module in (("head.", head), ("standardiser.", standardiser)):
        mine = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        module.load_state_dict(mine)
    return TrainedHead(
        head=head.to(device).eval(),
        standardiser=standardiser.to(device),
        description=description,
    )


def _tensors(head: Head, standardiser: Standardiser) -> dict[str, torch.Tensor]:
    parts = {"head.": head, "standardiser.": standardiser}
    return {
        f"{prefix}{name}": tensor.detach().cpu().contiguous()
        for prefix, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
