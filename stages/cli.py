"""The `genser` command: its options, its list of commands, and errors as one line."""

import gc
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from pipeline.errors import GenserError
from stages.allocation import keep_freed_memory
from stages.options import COMMAND_LINE
from stages.params import SECTIONS, Params
from stages.refusals import refusal
from stages.sections import section_kinds

# Decoding threads share the cores with the encoder; OpenMP threads that spin while they wait made
# extraction 4 times slower on two busy cores. Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

COMMANDS = (
    "prepare",
    "merge",
    "split",
    "audit",
    "validate",
    "transcribe",
    "extract",
    "ingest",
    "tokenise",
    "embed",
    "describe",
    "verify",
    "push",
    "pull",
    "train",
    "finetune",
    "score",
    "probe",
    "sweep",
    "crossval",
    "report",
    "predict",
    "publish",
    "export",
    "inspect",
)
DEFAULT_PARAMS = Path("params.yaml")
STOPPED = "Stopped; what was finished is kept. Run the same command again."
STOPPED_BY = (signal.SIGINT, signal.SIGTERM)  # exit codes 130 and 143
_asked: list[int] = []  # the signals among them that have come
ASK_AGAIN_S = 0.01
# New objects after which Python looks for cycles among them: 700 made it look through all modules,
# a million objects that stay, again and again, for a third of the time of a short command.
COLLECT_AFTER = 10_000


class UserError(click.ClickException):
    """A mistake that the message lets the user mend: exit code 1, no traceback."""


class Interrupted(BaseException):
    """A signal asks to stop.

    Not `KeyboardInterrupt`, which click would take for a question without an answer.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Genser(click.Group):
    """The group: loads a command's module only when it is asked for, and shows errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which one uses them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"stages.{cmd_name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the group's own options; a mistake there exits with 1 as any other."""
        ctx.meta[COMMAND_LINE] = shlex.join(["genser", *args])
        with _usage_errors_exit_with_1():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the user or the machine must mend is a line, a bug its traceback."""
        try:
            with _usage_errors_exit_with_1():
                return super().invoke(ctx)
        except GenserError as error:
            raise UserError("\n  ".join([str(error), *getattr(error, "__notes__", ())])) from error
        except (MemoryError, OSError, RuntimeError) as error:
            if line := refusal(error):
                raise UserError(line) from error
            raise


@contextmanager
def _usage_errors_exit_with_1() -> Iterator[None]:
    """Make a misspelt command line a user's mistake like any other; click's exit code is 2."""
    try:
        yield
    except NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "genser"
        told = f"{error.format_message()}{_as_parameter(error)}"
        raise UserError(f"{told} See '{command} --help'.") from error


def _as_parameter(error: click.UsageError) -> str:
    """Say how a parameter is set that was taken for an option of its command; else nothing."""
    name = error.ctx.info_name if error.ctx else None
    if not isinstance(error, click.NoSuchOption) or name not in SECTIONS:
        return ""
    key = error.option_name.lstrip("-").replace("-", "_")
    if key not in {field.name for field in fields(section_kinds()[name])}:
        return ""
    return f" It is a parameter: genser -S {name}.{key}=VALUE {name}."


@click.command(cls=Genser, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--params",
    "params_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Parameter file  [default: params.yaml if there is one]",
)
@click.option(
    "-S",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Set one parameter over the file; may be repeated.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(1),
    help="Rows that a manifest may have  [default: 2,000,000]",
)
@click.version_option(version("genser"), prog_name="genser")
@click.pass_context
def main(
    context: click.Context,
    params_path: Path | None,
    overrides: Sequence[str],
    max_rows: int | None,
) -> None:
    """Speech emotion recognition from a feature store: extract once, train and score from it.

    \b
    Example:
      genser extract data_manifests/demo.csv --audio-root demo/audio --store features/demo
    """
    if params_path is None and DEFAULT_PARAMS.exists():
        params_path = DEFAULT_PARAMS
    try:
        context.obj = Params(params_path, overrides)
    except GenserError as error:
        raise UserError(str(error)) from error
    if max_rows is not None:
        from pipeline.manifests.limits import rows_allowed

        context.with_resource(rows_allowed(max_rows))


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _is_within_hook(frame):  # dropped again, if it were raised
        _ask_again(number)
    else:
        _asked.append(number)
        raise Interrupted(number)


def _raise_again(dropped: "sys.UnraisableHookArgs") -> None:
    """Ask to stop again where Python has dropped the exception that a signal raised.

    What is raised in a finaliser, or in the callback of a weak reference, goes to
    `sys.unraisablehook` and nowhere else: a request that arrived there would be lost.
    """
    if isinstance(dropped.exc_value, Interrupted):
        _ask_again(dropped.exc_value.number)
    else:
        sys.__unraisablehook__(dropped)


def _ask_again(number: int) -> None:
    signal.signal(signal.SIGALRM, lambda _, frame: _on_signal(number, frame))
    signal.setitimer(signal.ITIMER_REAL, ASK_AGAIN_S)


def _is_within_hook(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not _raise_again.__code__:
        frame = frame.f_back
    return frame is not None


def run() -> None:
    """Run `genser` as a program; a stopped one ends at once, with one line, whatever it is at."""
    sys.unraisablehook = _raise_again
    gc.set_threshold(COLLECT_AFTER)
    keep_freed_memory()
    try:
        try:
            for number in STOPPED_BY:
                # A shell's background job, and what nohup starts, ignore SIGINT.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, _on_signal)
            main()
        finally:
            gc.freeze()
            # Nothing is left to be told: from here to the end of Python a signal just ends it.
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number in STOPPED_BY:
                if signal.getsignal(number) is _on_signal:
                    signal.signal(number, signal.SIG_DFL)
    except BaseException as error:
        # After a request any error is that request: numpy, asked for the layout of a buffer as an
        # import does, puts a ValueError in its place.
        is_done = isinstance(error, SystemExit) and not error.code
        if is_done or not _asked:
            raise
        click.echo(STOPPED, err=True)
        sys.stdout.flush()
        sys.stderr.flush()
        # Python would wait for threads that decode. They only read, and all locks are given back.
        os._exit(128 + _asked[-1])


if __name__ == "__main__":
    run()
