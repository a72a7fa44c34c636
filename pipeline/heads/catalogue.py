"""The heads by name: `train.head` chooses one, the sections of its name configure it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import ParamsError
from pipeline.heads.base import Head
from pipeline.heads.classifier import Classifier, LinearConfig, MLPConfig
from pipeline.heads.descriptors import Descriptors
from pipeline.heads.descriptors_config import DescriptorsConfig, DescriptorsScoring
from pipeline.heads.emoq import EmoQ
from pipeline.heads.emoq_config import EmoQConfig, EmoQScoring
from pipeline.heads.genser import GenSER, GenSERConfig
from pipeline.heads.logreg import LogReg, LogRegConfig
from pipeline.heads.needs import Need, Shapes
from pipeline.heads.tokens import Tokens, TokensConfig
from pipeline.heads.twin import Twin, TwinConfig
from pipeline.parameters import as_kept
from pipeline.plugins import plugins

GROUP = "genser.heads"
_TOO_LARGE = re.compile("alloc|out of memory|overflow")  # torch has no error of its own for it


@dataclass(frozen=True)
class HeadKind:
    """One kind of head; another package names one under the entry points `genser.heads`.

    Attributes:
        head: Called with the shapes of its needs, the number of classes, and its configuration.
        config: Frozen dataclass of the section `train.<name>`.
        scoring: Frozen dataclass of the section `score.<name>`; None where it has no options.
        tuned: What it is trained with unless told otherwise, keys of the section `train`; what is
            not named has that section's own default.
    """

    head: type[Head]
    config: type
    scoring: type | None = None
    tuned: Mapping[str, Any] = field(default_factory=dict)


# Strong mixing helps every head that can be mixed; see docs/tuning.md for how these were chosen.
_BUILT_IN = {
    "genser": HeadKind(
        GenSER,
        GenSERConfig,
        SamplerConfig,
        tuned={
            "num_steps": 600,
            "eval_every": 50,
            "mixup": 1.0,
            "optimiser": {"weight_decay": 0.1},
        },
    ),
    "linear": HeadKind(
        Classifier,
        LinearConfig,
        tuned={
            "mixup": 1.0,
            "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.1},
            "linear": {"dropout": 0.7},
        },
    ),
    "mlp": HeadKind(
        Classifier,
        MLPConfig,
        tuned={
            "mixup": 1.0,
            "optimiser": {"learning_rate": 5e-4, "weight_decay": 0.1},
            "mlp": {"hidden": 512, "dropout": 0.7},
        },
    ),
    "twin": HeadKind(
        Twin,
        TwinConfig,
        tuned={
            "num_steps": 150,
            "mixup": 1.0,
            "optimiser": {"weight_decay": 0.1},
            "twin": {
                "condition": {"hidden": 256, "dropout": 0.5, "layer_norm": False},
                "trunk": {"dropout": 0.3},
            },
        },
    ),
    "logreg": HeadKind(LogReg, LogRegConfig, tuned={"logreg": {"strength": 0.03}}),
    "tokens": HeadKind(Tokens, TokensConfig),
    "emoq": HeadKind(EmoQ, EmoQConfig, EmoQScoring),
    "descriptors": HeadKind(Descriptors, DescriptorsConfig, DescriptorsScoring),
}


@cache
def head_kinds() -> Mapping[str, HeadKind]:
    """Return every kind of head by name, those of other packages last.

    Raises:
        PluginError: If another package's head cannot be used.
    """
    return {**_BUILT_IN, **plugins(GROUP, kind=HeadKind, taken=_BUILT_IN)}


def head_kind(name: str) -> HeadKind:
    """Return one kind of head.

    Raises:
        ParamsError: If there is none of that name.
    """
    kinds = head_kinds()
    if name not in kinds:
        raise ParamsError(f"train.head: {name!r} is not one of {list(kinds)}.")
    return kinds[name]


def head_needs(name: str, config: object) -> tuple[Need, ...]:
    """Return what a kind of head reads under a configuration.

    Raises:
        ParamsError: If there is none of that name.
    """
    return tuple(head_kind(name).head.needs(config))


def build_head(name: str, shapes: Shapes, num_classes: int, config: object) -> Head:
    """Return an untrained head, its weights drawn from torch's generator.

    Args:
        name: Of the kind.
        shapes: Of the features, by the name of the need.
        num_classes: C.
        config: The head's configuration.

    Raises:
        ParamsError: If the kind is unknown, the classes are too many for the width, or memory does
            not hold its weights.
    """
    kind = head_kind(name)
    try:
        return kind.head(shapes, num_classes, config)
    except RuntimeError as error:
        if not _TOO_LARGE.search(str(error)):
            raise
        line = str(error).splitlines()[0]
        raise ParamsError(
            f"train.{name}: its weights do not fit into memory ({line}); make its widths smaller."
        ) from error


def scoring_options(name: str, sections: Mapping[str, object]) -> Any:
    """Return a head's own section of `score`, its defaults if it is not there; None without one."""
    scoring = head_kind(name).scoring
    return None if scoring is None else sections.get(name) or scoring()


def stamp(options: Any) -> dict[str, Any]:
    """Return what predictions say of the options that a head scored with."""
    return {} if options is None else as_kept(options)
