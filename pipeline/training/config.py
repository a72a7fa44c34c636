"""The parameters of training, `train` in params.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Protocol

from pipeline.errors import ParamsError
from pipeline.evaluation.concordance import NUMBER_SCORES
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.catalogue import head_kind, head_kinds
from pipeline.heads.phase import LAST, OptimiserConfig, Phase
from pipeline.heads.standardiser import KINDS, OVER
from pipeline.parameters import as_kept, later, merged
from pipeline.sources.opening import FRAMES_IN
from pipeline.training.optimisation import PRECISIONS
from pipeline.training.targets import TARGETS
from pipeline.training.weighting import BALANCES
from pipeline.typed import require_seed

FOLD = "{fold}"  # in a text of a head's section: the name of the fold


class LoopConfig(Protocol):
    """What the loop and its batches read of a section of parameters, whichever section it is."""

    section: ClassVar[str]

    @property
    def seed(self) -> int:
        """Of weights, shuffles and everything else that is drawn."""

    @property
    def precision(self) -> str:
        """Of the network, one of `PRECISIONS`."""

    @property
    def mixup(self) -> float:
        """Alpha of the Beta distribution; 0 mixes nothing."""

    @property
    def noise(self) -> float:
        """Deviation of the noise on dense views; 0 adds none."""

    @property
    def pool_shards(self) -> int:
        """Shards that are shuffled together."""

    @property
    def phase(self) -> Phase:
        """The one phase that the section describes."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything about training that changes a number.

    Beside these, `train` has a section for each head, of its name: `heads` holds those given. Where
    a parameter file is silent, a head has what it was tuned to (`HeadKind.tuned`) before these.
    """

    section: ClassVar[str] = "train"
    head: str = "genser"  # which head
    seed: int = 0  # of weights, shuffles, times and noise
    num_steps: int = 300  # optimiser steps
    batch_size: int = 128  # clips; the paper's
    precision: str = "float32"  # of the network: float32 or bfloat16 (autocast)
    standardise: str = "dimension"  # of the features: none, scalar or dimension
    standardise_over: str = "all"  # rows: all of train, each corpus, or each speaker (transductive)
    targets: str = "label"  # what is learnt: the label, or the shares of the votes
    balance: str = "none"  # of the classes: none, sampler (drawn alike), loss (counted alike)
    corpus_temperature: float = 1.0  # of n clips, drawn as n^this: 1 as they are, 0 all alike
    mixup: float = 0.0  # alpha of Beta(alpha, alpha); 0 mixes nothing; not for logreg or frames
    noise: float = later(0.0, neutral=0.0)  # deviation, on standardised layers; not for logreg
    eval_every: int = 25  # steps between looks at dev, after which states are kept
    # what is kept: the best on dev by ua, wa, wf1, macro_f1; of numbers ccc, pearson, rmse; or last
    select_by: str = "last"
    # whether predicted numbers get dev's mean and spread, which CCC wants; without, the least RMSE
    stretch: bool = later(default=True, neutral=True)
    patience: int = 0  # looks at dev without a better one before stopping; 0, or last, never stops
    # augmented copies of each training clip; null: all that the store has (extract.copies)
    copies: int | None = later(None, neutral=None)
    frames_in: str = "store"  # of heads that read frames: store streams them, memory holds them all
    pool_shards: int = 8  # shards of frames that are shuffled together; two such pools in memory
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    heads: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        watched = head_kind(self.head).head.watched
        require_seed("train.seed", self.seed)
        for name, allowed in (
            ("precision", tuple(PRECISIONS)),
            ("standardise", KINDS),
            ("standardise_over", OVER),
            ("targets", TARGETS),
            ("balance", BALANCES),
            ("select_by", (*SELECTORS, *NUMBER_SCORES, *watched, LAST)),
            ("frames_in", FRAMES_IN),
        ):
            if getattr(self, name) not in allowed:
                raise ParamsError(
                    f"train.{name}: {getattr(self, name)!r} is not one of {list(allowed)}."
                )
        for name, low in (
            ("num_steps", 1),
            ("batch_size", 1),
            ("eval_every", 1),
            ("patience", 0),
            ("corpus_temperature", 0),
            ("mixup", 0),
            ("noise", 0),
            ("pool_shards", 1),
        ):
            if getattr(self, name) < low:
                raise ParamsError(f"train.{name}: {getattr(self, name)} is below {low}.")
        if self.copies is not None and self.copies < 0:
            raise ParamsError(f"train.copies: {self.copies} is below 0, which reads none.")

    @classmethod
    def subsections(cls) -> dict[str, type]:
        """Return the dataclass of each head's section, by its name."""
        return {name: kind.config for name, kind in head_kinds().items()}

    @classmethod
    def completed(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a parameter file says of `train`, over what its head was tuned to.

        Raises:
            ParamsError: If there is no such head.
        """
        head = values.get("head", cls.head)
        return merged(head_kind(head).tuned, values) if isinstance(head, str) else values

    @property
    def head_config(self) -> Any:
        """The section of the head that is trained, its defaults where it is not given."""
        return self.heads.get(self.head) or head_kind(self.head).config()

    def of_fold(self, fold: str) -> "TrainConfig":
        """Return it with the fold's name wherever a text of the head's section has `{fold}`.

        A view that is fitted on training clips is another one for each fold.
        """
        named = _of_fold(self.head_config, fold)
        return replace(self, heads={**self.heads, self.head: named})

    @property
    def phase(self) -> Phase:
        """The one phase that this section describes; a head may make several of it."""
        return Phase(
            name="train",
            num_steps=self.num_steps,
            batch_size=self.batch_size,
            optimiser=self.optimiser,
            eval_every=self.eval_every,
            select_by=self.select_by,
            patience=self.patience,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what a training of this head depends on, without the sections of other heads."""
        value = as_kept(self)
        del value["heads"]
        return {**value, "config": as_kept(self.head_config)}


def _of_fold(value: Any, fold: str) -> Any:
    if isinstance(value, str):
        return value.replace(FOLD, fold)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: _of_fold(getattr(value, f.name), fold) for f in fields(value)}
        )
    return value
