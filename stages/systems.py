"""Which systems a command compares: heads with the parameters in use, and variants of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import ParamsError
from stages.params import Params

if TYPE_CHECKING:
    from pipeline.crossval import System

variant_option = click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME=SETTINGS",
    help="Another system: section.key=value,... over the params in use, or over PARAMS.yaml,...",
)


def chosen_heads(text: str, option: str) -> tuple[str, ...]:
    """Read kinds of head between commas.

    Raises:
        ParamsError: If one is unknown, or named twice.
    """
    from pipeline.heads.catalogue import HEADS

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    strange = [name for name in names if name not in HEADS]
    if strange or not names or len(set(names)) < len(names):
        raise ParamsError(f"{option} {text}: wanted different ones of {','.join(HEADS)}.")
    return names


def system_of(params: Params) -> "System":
    """Return the head and the scoring that parameters describe.

    Raises:
        ParamsError: If a parameter is wrong.
    """
    from pipeline.crossval import System
    from pipeline.scoring import ScoreConfig
    from pipeline.train_config import TrainConfig

    return System(
        train=params.section("train", TrainConfig), score=params.section("score", ScoreConfig)
    )


def changed(params: Params, changes: Sequence[str]) -> "System":
    """Return the system of parameters with some `section.key=value` changed."""
    return system_of(Params(params.path, (*params.overrides, *changes)))


def systems_of(
    heads: Sequence[str], variants: Sequence[str], params: Params
) -> "Mapping[str, System]":
    """Return every head with the parameters in use, and every variant with its own.

    Raises:
        ParamsError: If a variant is not NAME=SETTINGS, or its name is taken.
    """
    own = system_of(params)
    systems = {head: replace(own, train=replace(own.train, head=head)) for head in heads}
    for variant in variants:
        name, _, settings = variant.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or not settings or name in systems:
            raise ParamsError(
                f"--variant {variant}: wanted NAME=section.key=value,... or NAME=params.yaml,... "
                "with a new name of letters, digits, '.', '-' and '_'."
            )
        first, *rest = settings.split(",")
        if first.endswith((".yaml", ".yml")):
            systems[name] = system_of(Params(Path(first), rest))
        else:
            systems[name] = changed(params, [first, *rest])
    return systems
