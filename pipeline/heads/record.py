"""What `head.json` says of a trained head, typed; and how older files of it are read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from pipeline.errors import HeadError
from pipeline.files import fingerprint
from pipeline.heads.catalogue import head_kind, head_kinds, head_needs
from pipeline.heads.needs import FeatureShape, Need
from pipeline.heads.standardiser import ALL
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.numbers import Scale
from pipeline.parameters import filled
from pipeline.store.recipe import Recipe, checked_recipe
from pipeline.store.views import LAYERS
from pipeline.typed import typed

FORMAT = "genser-head"
SOFTMAX_VERSION, LINK_VERSION, FORMAT_VERSION = 2, 3, 4
CURE = "train the head again"


@dataclass(frozen=True, kw_only=True)
class StandardiserRecord:
    """What makes a `Standardiser`, its numbers apart; the first heads know its kind only."""

    kind: str
    over: str = ALL
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BaseRecord:
    """A frozen model: how it was spelled, and what its tensors are known by."""

    spelling: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class _FirstShape:
    num_layers: int
    dim: int
    last_row: int
    input_row: int | None


@dataclass(frozen=True, kw_only=True)
class _FirstTrain:
    standardise: str


@dataclass(frozen=True, kw_only=True)
class _FirstVersion:
    """What the first version of `head.json` says under other names."""

    shape: _FirstShape
    encoder: str | None
    train: _FirstTrain
    standardiser: StandardiserRecord | None = None


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
        copies: How many augmented copies of clips it was trained on beside those, and what was
            changed in them; empty where there were none.
        scale: The ends of the scale where labels are numbers; None where they are classes.
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
    standardisers: Mapping[str, StandardiserRecord]
    bases: tuple[BaseRecord, ...]
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
    scale: Scale | None = None
    copies: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def head_config(self) -> Any:
        """The dataclass of its section of `train`; keys that it no longer has are passed over."""
        kind, where = head_kind(self.kind).config, f"a head of kind {self.kind!r}"
        told = filled(kind, self.config)
        return typed(kind, told, where, section="config", error=HeadError, cure=CURE, others=True)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What it reads of a store."""
        return head_needs(self.kind, self.head_config)

    @property
    def encoder(self) -> str:
        """The encoders that its features are from, for a person."""
        known = dict.fromkeys(name for name in self.encoders.values() if name is not None)
        return ", ".join(known) or "ingested features"

    @property
    def precision(self) -> str:
        """The number type that the network runs in."""
        return str(self.train["precision"])

    @property
    def select_by(self) -> str:
        """What its weights were chosen by on dev, or that they are the last."""
        return str(self.train["select_by"])

    def as_json(self) -> dict[str, Any]:
        """Return the content of `head.json`, before the names and digests of files."""
        value = asdict(self)
        value["label_map"] = None if self.label_map is None else self.label_map.as_json()
        if not self.copies:
            del value["copies"]  # as it was before there were any
        version = FORMAT_VERSION
        if self.scale is None:
            # A head of classes is kept as it was before there were numbers.
            del value["scale"]
            version = LINK_VERSION
        if self.link is None:
            # What a softmax was kept as before there was another link, and is read by.
            del value["link"]
            version = SOFTMAX_VERSION
        return {"format": FORMAT, "format_version": version, **value}


def read_record(where: object, value: Mapping[str, Any]) -> HeadRecord:
    """Return the record in the content of `head.json`, of this version or one before.

    Raises:
        HeadError: If it is of another format, version or form, or of a kind that is not installed.
    """
    version = (value.get("format"), value.get("format_version"))
    if version == (FORMAT, 1):
        value = _of_first_version(where, value)
    elif version not in [(FORMAT, v) for v in (SOFTMAX_VERSION, LINK_VERSION, FORMAT_VERSION)]:
        raise HeadError(
            f"{where}: found format {version}, wanted {(FORMAT, FORMAT_VERSION)}; load it with the "
            "version of genser that trained it, or train it again."
        )
    record = typed(HeadRecord, value, where, error=HeadError, cure=CURE, others=True)
    if record.kind not in head_kinds():
        raise HeadError(
            f"{where}: a head of kind {record.kind!r}, found {list(head_kinds())} here; install "
            "the package that has it."
        )
    for name in ("precision", "select_by"):
        if not isinstance(found := record.train.get(name), str):
            raise HeadError(f"{where}: train.{name}: found {found!r}, wanted text; {CURE}.")
    for recipe in record.recipes.values():
        checked_recipe(where, recipe, HeadError)
    strange = [need for need in record.standardisers if need not in record.shapes]
    strange += [view for view in (need.view for need in record.needs) if view not in record.recipes]
    if strange:
        raise HeadError(f"{where}: says nothing of {strange[0]!r}, which it reads; {CURE}.")
    return record


def record_digest(value: Mapping[str, Any]) -> str:
    """Return what identifies a trained head: the fingerprint of its description, pictures apart."""
    return fingerprint({k: v for k, v in value.items() if k != "files"})


def _of_first_version(where: object, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the first version of `head.json`, of heads that read layers only, says now."""
    told = typed(_FirstVersion, value, where, error=HeadError, cure=CURE, others=True)
    shape = FeatureShape(
        num_layers=told.shape.num_layers,
        dim=told.shape.dim,
        last_layer=told.shape.last_row,
        input_layer=told.shape.input_row,
    )
    # The first heads know the kind of their standardiser only.
    standardiser = told.standardiser or StandardiserRecord(kind=told.train.standardise)
    return {
        **value,
        "shapes": {LAYERS: asdict(shape)},
        "standardisers": {LAYERS: asdict(standardiser)},
        "bases": [],
        "encoders": {LAYERS: told.encoder},
        "prior": value.get("prior"),
        "corpora": value.get("corpora", {}),
    }
