"""What `head.json` says of a trained head, typed; and how older files of it are read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pipeline.errors import HeadError
from pipeline.files import fingerprint
from pipeline.heads.catalogue import head_kind, head_kinds, head_needs
from pipeline.heads.needs import FeatureShape, Need
from pipeline.manifests.labels import LabelMap
from pipeline.parameters import rebuilt
from pipeline.store.recipe import Recipe
from pipeline.store.views import LAYERS

FORMAT = "genser-head"
SOFTMAX_VERSION, FORMAT_VERSION = 2, 3


@dataclass(frozen=True, kw_only=True)
class HeadRecord:
    """Everything about a trained head but its tensors; plain JSON values within.

    Attributes:
        kind: Its name in the catalogue.
        config: Its section of `train`, as a mapping.
        shapes: Of the features that it reads, by need.
        recipes: Of the views that it reads, by view.
        standardisers: By need: kind, over, and the groups whose numbers are kept.
        bases: Spelling and digest of each frozen model.
        task: The label column that it was trained on.
        classes: In score order.
        label_map: How raw labels become classes; None where they are the labels.
        temperature: Of the softmax, fitted on dev; None where the scores have another link.
        link: The kind and the numbers of that link, fitted on dev; None for a softmax.
        prior: The share of each class in what the loss saw; None in heads of older versions.
        corpora: The classes that each corpus's training rows had; empty where nobody kept them.
        train: The rest of the section `train`.
        seed: Of the training.
        num_train, num_dev, num_skipped: Clips that it was trained on, selected by, and that had
            no features.
        best_step: The step whose weights are kept.
        dev: Scores on dev.
        leaks: What the splits shared.
        encoders: How the encoder of each view was spelled; None for ingested features.
        facts: What the head says of itself besides.
        text_sources: Who wrote the texts that it was trained on, where it reads any: `gold`, the
            corpus, or recognisers.
        versions: Of the packages.
    """

    kind: str
    config: Mapping[str, Any]
    shapes: Mapping[str, FeatureShape]
    recipes: Mapping[str, Recipe]
    standardisers: Mapping[str, Mapping[str, Any]]
    bases: Sequence[Mapping[str, str]]
    task: str
    classes: tuple[str, ...]
    label_map: LabelMap | None
    temperature: float | None
    prior: tuple[float, ...] | None
    corpora: Mapping[str, Sequence[str]]
    train: Mapping[str, Any]
    seed: int
    num_train: int
    num_dev: int
    num_skipped: int
    best_step: int
    dev: Mapping[str, float]
    leaks: Mapping[str, int]
    encoders: Mapping[str, str | None]
    facts: Mapping[str, Any] = field(default_factory=dict)
    text_sources: tuple[str, ...] = ()
    link: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What it reads of a store."""
        return head_needs(self.kind, rebuilt(head_kind(self.kind).config, self.config))

    @property
    def encoder(self) -> str:
        """The encoders that its features are from, for a person."""
        known = dict.fromkeys(name for name in self.encoders.values() if name is not None)
        return ", ".join(known) or "ingested features"

    @property
    def precision(self) -> str:
        """The number type that the network runs in."""
        return str(self.train["precision"])

    def as_json(self) -> dict[str, Any]:
        """Return the content of `head.json`, before the names and digests of files."""
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        value["shapes"] = {need: asdict(shape) for need, shape in self.shapes.items()}
        value["label_map"] = _mapping_of(self.label_map)
        version = FORMAT_VERSION
        if self.link is None:
            # What a softmax was kept as before there was another link, and is read by.
            del value["link"]
            version = SOFTMAX_VERSION
        return {"format": FORMAT, "format_version": version, **value}


def read_record(where: object, value: Mapping[str, Any]) -> HeadRecord:
    """Return the record in the content of `head.json`, of this version or one before.

    Raises:
        HeadError: If it is of another format or version, or of a kind that is not installed.
    """
    found = (value.get("format"), value.get("format_version"))
    if found == (FORMAT, 1):
        value = _of_first_version(value)
    elif found not in ((FORMAT, SOFTMAX_VERSION), (FORMAT, FORMAT_VERSION)):
        raise HeadError(
            f"{where}: found format {found}, wanted {(FORMAT, FORMAT_VERSION)}; load it with the "
            "version of genser that trained it, or train it again."
        )
    if value["kind"] not in head_kinds():
        raise HeadError(
            f"{where}: a head of kind {value['kind']!r}, found {list(head_kinds())} here; install "
            "the package that has it."
        )
    # Heads of before the last fields lack them.
    stored = {f.name: value[f.name] for f in fields(HeadRecord) if f.name in value}
    prior = stored["prior"]
    return HeadRecord(
        **{
            **stored,
            "shapes": {need: FeatureShape(**shape) for need, shape in stored["shapes"].items()},
            "classes": tuple(stored["classes"]),
            "label_map": _label_map(stored["label_map"]),
            "text_sources": tuple(stored.get("text_sources", ())),
            "prior": None if prior is None else tuple(prior),
        }
    )


def record_digest(value: Mapping[str, Any]) -> str:
    """Return what identifies a trained head: the fingerprint of its description, pictures apart."""
    return fingerprint({k: v for k, v in value.items() if k != "files"})


def _of_first_version(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the first version of `head.json`, of heads that read layers only, says now."""
    shape = dict(value["shape"])
    shape["last_layer"], shape["input_layer"] = shape.pop("last_row"), shape.pop("input_row")
    # The first heads know the kind of their standardiser only.
    told = value.get("standardiser") or {"kind": value["train"]["standardise"]}
    return {
        **value,
        "shapes": {LAYERS: shape},
        "standardisers": {LAYERS: told},
        "bases": [],
        "encoders": {LAYERS: value["encoder"]},
        "prior": value.get("prior"),
        "corpora": value.get("corpora", {}),
    }


def _mapping_of(label_map: LabelMap | None) -> dict[str, Any] | None:
    if label_map is None:
        return None
    return {
        "classes": list(label_map.classes),
        "mapping": dict(label_map.mapping),
        "drop": list(label_map.drop),
    }


def _label_map(stored: Mapping[str, Any] | None) -> LabelMap | None:
    if stored is None:
        return None
    return LabelMap(
        classes=tuple(stored["classes"]), mapping=stored["mapping"], drop=tuple(stored["drop"])
    )
