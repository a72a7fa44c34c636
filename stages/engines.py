"""The options that say where work runs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.engines.base import SideBySide

ENGINES = ("serial", "processes", "ray")


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--engine`, `--num-workers` and `--address` to a command."""
    for option in (
        click.option(
            "--address",
            envvar="RAY_ADDRESS",
            show_envvar=True,
            help="Of the Ray cluster; without it one is started on this machine.",
        ),
        click.option(
            "--num-workers",
            "--num-actors",
            "num_workers",
            type=click.IntRange(1),
            help="Workers of processes or ray  [default: 2]",
        ),
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default=ENGINES[0],
            show_default=True,
            help="Work here one after another, in processes of this machine, or in actors of Ray.",
        ),
    ):
        command = option(command)
    return command


def engine_of(
    engine: str, num_workers: int | None, address: str | None, device: str
) -> "SideBySide | None":
    """Return the engine that the options mean, None for this process alone.

    Args:
        engine: One of `ENGINES`.
        num_workers: Of an engine of several.
        address: Of a Ray cluster.
        device: The torch device of its workers.

    Raises:
        ParamsError: If an option is for another engine.
    """
    from pipeline.engines.processes import Processes
    from pipeline.engines.ray_actors import Ray
    from pipeline.errors import ParamsError

    if engine == "serial" and num_workers is not None:
        raise ParamsError(
            f"--num-workers {num_workers}: is for --engine processes or ray, found serial."
        )
    if engine == "ray":
        return Ray(num_workers or 2, address, num_gpus=int(device.startswith("cuda")))
    return Processes(num_workers or 2) if engine == "processes" else None
