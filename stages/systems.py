"""Which systems a command compares: heads with the parameters in use, and variants of them."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pipeline.errors import ParamsError
from pipeline.names import require_names
from pipeline.typed import typed
from stages.params import Params, read_yaml

if TYPE_CHECKING:
    from pipeline.experiments.plan import System

EACH = "each"  # of a trial: what its name and values are filled with
PARAMS = "params"  # of a trial: the file it stands on
TEXTS = "texts"  # of a trial: gold, where the manifest has a recogniser's
MOST_TRIALS = 10_000  # of one pattern
YAML_SUFFIXES = (".yaml", ".yml")

variant_option = click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="[NAME=]SETTINGS",
    help="Another system: section.key=value,... over the params in use, or over PARAMS.yaml,...; "
    "or a file of several, TRIALS.yaml.",
)


def chosen_heads(text: str, option: str) -> tuple[str, ...]:
    """Read kinds of head between commas.

    Raises:
        ParamsError: If one is unknown, or named twice.
    """
    from pipeline.heads.catalogue import head_kinds

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    strange = [name for name in names if name not in head_kinds()]
    if strange or not names or len(set(names)) < len(names):
        raise ParamsError(f"{option} {text}: wanted different ones of {','.join(head_kinds())}.")
    return names


def system_of(params: Params) -> "System":
    """Return the head and the scoring that parameters describe.

    Raises:
        ParamsError: If a parameter is wrong.
    """
    from pipeline.experiments.plan import System
    from pipeline.scoring.score import ScoreConfig
    from pipeline.training.config import TrainConfig

    return System(
        train=params.section("train", TrainConfig), score=params.section("score", ScoreConfig)
    )


def changed(params: Params, changes: Sequence[str]) -> "System":
    """Return the system of parameters with some `section.key=value` changed."""
    return system_of(Params(params.path, (*params.overrides, *changes)))


class Trial(NamedTuple):
    """A system by what it changes.

    Attributes:
        changes: Of `section.key=value`.
        params: The file that they go over; None for the parameters in use.
        texts: Whose texts it reads, as `System` has it.
    """

    changes: list[str]
    params: Path | None = None
    texts: str = ""

    def system(self, params: Params) -> "System":
        """Return it.

        Args:
            params: Those in use.

        Raises:
            ParamsError: If a parameter is wrong.
        """
        if self.params is None:
            found = changed(params, self.changes)
        else:
            found = system_of(Params(self.params, self.changes))
        return replace(found, texts=self.texts)


def systems_of(
    heads: Sequence[str], variants: Sequence[str], params: Params
) -> "Mapping[str, System]":
    """Return every head with the parameters in use, and every variant with its own.

    Raises:
        ParamsError: If a variant is neither, or its name is taken.
    """
    systems = {head: changed(params, [f"train.head={head}"]) for head in heads}
    for variant in variants:
        name, equals, settings = variant.partition("=")
        first, *rest = settings.split(",")
        if not equals and variant.endswith(YAML_SUFFIXES):
            trials = read_trials(Path(variant))
        elif first.endswith(YAML_SUFFIXES):
            trials = {name: Trial(rest, Path(first))}
        elif settings:
            trials = {name: Trial([first, *rest])}
        else:
            raise ParamsError(
                f"--variant {variant}: wanted NAME=section.key=value,... or NAME=params.yaml,... "
                "or a file of trials ending in .yaml."
            )
        found = {key: trial.system(params) for key, trial in trials.items()}
        require_names(f"--variant {variant}", found)
        if taken := sorted(set(found) & set(systems)):
            raise ParamsError(f"--variant {variant}: there is a {taken[0]!r} already; rename one.")
        systems |= found
    return systems


def read_trials(path: Path) -> dict[str, Trial]:
    """Read named trials, each a mapping of section.key to value.

    `params` of a trial names the file that it stands on in place of the parameters in use; with
    `texts: gold` it reads the corpus's own texts where the manifest has a recogniser's. A trial
    with `each` is one for every combination of what that names: `{k}` in its name, keys
    and values becomes each value of k in turn. Values are a list, or a mapping from what stands in
    the name to what stands in the rest; a value that is `{k}` and no more keeps its type.

    Raises:
        ParamsError: If the file holds something else.
    """
    content = typed(
        dict[str, dict[str, Any]],
        read_yaml(path),
        path,
        cure="write trials by name, each of section.key: value",
    )
    trials: dict[str, Trial] = {}
    for pattern, changes in content.items():
        for told, values in _combinations(path, pattern, changes.get(EACH)):
            name = str(_filled(pattern, told))
            if name in trials:
                raise ParamsError(f"{path}: {pattern!r} gives {name!r} twice; name each once.")
            filled = {
                str(_filled(key, values)): _filled(value, values)
                for key, value in changes.items()
                if key != EACH
            }
            own = {
                key: typed(str, filled.pop(key), path, section=f"{name}.{key}")
                for key in (PARAMS, TEXTS)
                if key in filled
            }
            trials[name] = Trial(
                [f"{k}={json.dumps(value)}" for k, value in filled.items()],
                Path(own[PARAMS]) if PARAMS in own else None,
                own.get(TEXTS, ""),
            )
    require_names(str(path), trials)
    return trials


def _combinations(
    path: Path, pattern: str, each: object
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield for every combination what each placeholder is in a name, and in the rest."""
    kind = dict[str, list[Any] | dict[str, Any]]
    place = f"{pattern}.{EACH}"
    known = typed(kind, {} if each is None else each, path, section=place)
    if empty := [key for key, values in known.items() if not values]:
        raise ParamsError(f"{path}: {place}.{empty[0]}: names no value; name one.")
    choices = [
        list(values.items()) if isinstance(values, dict) else [(value, value) for value in values]
        for values in known.values()
    ]
    if (num := math.prod(map(len, choices))) > MOST_TRIALS:
        raise ParamsError(f"{path}: {place} makes {num} trials, allowed are {MOST_TRIALS}.")
    for combination in itertools.product(*choices):
        told, meant = ([pair[place] for pair in combination] for place in (0, 1))
        yield dict(zip(known, told, strict=True)), dict(zip(known, meant, strict=True))


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    """Return a value with the placeholders in it that are known; another one, as {fold}, stays."""
    if not isinstance(value, str):
        return value
    for key, meant in known.items():
        if value == f"{{{key}}}":
            return meant
        value = value.replace(f"{{{key}}}", str(meant))
    return value
