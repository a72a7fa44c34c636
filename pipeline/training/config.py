"""The parameters of training, `train` in params.yaml."""

from dataclasses import dataclass, field

from pipeline.errors import ParamsError
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.catalogue import HEADS
from pipeline.heads.classifier import LinearConfig, MLPConfig
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.logreg import LogRegConfig
from pipeline.heads.standardiser import KINDS, OVER
from pipeline.heads.twin import TwinConfig
from pipeline.training.optimisation import PRECISIONS, OptimiserConfig
from pipeline.training.targets import TARGETS
from pipeline.training.weighting import BALANCES

LAST = "last"  # where dev is too small to choose by


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything about training that changes a number."""

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
    mixup: float = 0.0  # alpha of Beta(alpha, alpha); 0 mixes nothing; not for logreg
    eval_every: int = 25  # steps between looks at dev, each a checkpoint
    select_by: str = "last"  # what is kept: the best on dev by ua, wa, wf1 or macro_f1, or the last
    patience: int = 0  # looks at dev without a better one before stopping; 0, or last, never stops
    dev_num_steps: int = 4  # N of the sampler on dev, for selection and temperature
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    genser: GenSERConfig = field(default_factory=GenSERConfig)
    linear: LinearConfig = field(default_factory=LinearConfig)
    mlp: MLPConfig = field(default_factory=MLPConfig)
    twin: TwinConfig = field(default_factory=TwinConfig)
    logreg: LogRegConfig = field(default_factory=LogRegConfig)

    def __post_init__(self) -> None:
        for name, allowed in (
            ("head", HEADS),
            ("precision", tuple(PRECISIONS)),
            ("standardise", KINDS),
            ("standardise_over", OVER),
            ("targets", TARGETS),
            ("balance", BALANCES),
            ("select_by", (*SELECTORS, LAST)),
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
            ("dev_num_steps", 1),
            ("corpus_temperature", 0),
            ("mixup", 0),
        ):
            if getattr(self, name) < low:
                raise ParamsError(f"train.{name}: {getattr(self, name)} is below {low}.")
