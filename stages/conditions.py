"""The options of `genser crossval` for what systems have to cope with."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import ParamsError
from stages.params import numbers

if TYPE_CHECKING:
    from pipeline.experiments.conditions import Condition

_OPTIONS = (
    click.option(
        "--label-noise",
        metavar="SHARE,...",
        help="Train also with this share of the training labels replaced by another class, or by "
        "the number of another clip.",
    ),
    click.option(
        "--train-speakers", metavar="N,...", help="Train also on N of each fold's speakers only."
    ),
    click.option(
        "--new-class",
        metavar="CLASS",
        help="Train also without a class, show some clips of it afterwards, and test on all.",
    ),
    click.option(
        "--shots",
        default="1,5,10",
        show_default=True,
        metavar="K,...",
        help="How many clips of --new-class are shown.",
    ),
)


def condition_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_conditions(
    label_noise: str | None, train_speakers: str | None, new_class: str | None, shots: str
) -> "list[Condition]":
    """Return what the options say, nothing first.

    Raises:
        ParamsError: If it is no list of rising levels.
    """
    from pipeline.experiments.conditions import conditions_of

    try:
        shares = [float(part) for part in (label_noise or "").split(",") if part]
    except ValueError as error:
        raise ParamsError(f"--label-noise {label_noise}: wanted shares, e.g. 0.2,0.4.") from error
    return conditions_of(
        shares,
        numbers("--train-speakers", train_speakers) if train_speakers else (),
        new_class or "",
        numbers("--shots", shots),
    )
