"""What the machine refuses is a line; a bug keeps its traceback."""

import errno
import os

import click
import pytest
import torch
from click.testing import CliRunner

from stages.cli import Genser, main
from stages.refusals import refusal


def of_the_system(number: int) -> OSError:
    return OSError(number, os.strerror(number), "some/file")


REFUSED = [
    (MemoryError(), "no more memory; what was"),
    (
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 2 GB"),
        "more memory",
    ),
    (RuntimeError("could not create a primitive"), "more memory"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "more memory"),
    (RuntimeError("can't start new thread"), "more threads"),
    (of_the_system(errno.EMFILE), "more open files (ulimit -n) ([Errno 24] Too many open files:"),
    (of_the_system(errno.ENOSPC), "more room on the disk"),
    (of_the_system(errno.EFBIG), "a file of this size"),
]
BUGS = [
    RuntimeError("shapes differ"),
    of_the_system(errno.ENOENT),
    OSError("no number"),
    KeyError(),
]


def run_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> "click.testing.Result":
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(Genser, "get_command", lambda *_: command)
    return CliRunner().invoke(main, ["inspect"])


@pytest.mark.parametrize(("error", "words"), REFUSED)
def test_what_the_machine_refuses_is_a_line(error, words, monkeypatch) -> None:
    done = run_with(error, monkeypatch)
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert words in done.output
    assert "run the same command again" in done.output


@pytest.mark.parametrize("error", BUGS)
def test_a_bug_keeps_its_traceback(error, monkeypatch) -> None:
    assert refusal(error) is None
    assert run_with(error, monkeypatch).exception is error


def test_a_long_saying_is_cut() -> None:
    line = refusal(RuntimeError("out of memory " + "x" * 5000))
    assert line is not None
    assert len(line) < 400
