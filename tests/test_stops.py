"""A program that is asked to stop ends at once, with one line and its code, whatever it is at."""

import signal
import subprocess
import sys

import pytest

# A command whose decoder never ends, stopped by the signal that is its argument.
ENDLESS = """
import os, signal, threading
import click
from pipeline.audio.decoders import decoders
from stages import cli

@click.command()
@click.argument("number", type=int)
def command(number):
    with decoders(1) as pool:
        pool.submit(threading.Event().wait)
        os.kill(os.getpid(), number)
        threading.Event().wait()

# Of a shell's background job, in which tests may run, SIGINT is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.Genser.get_command = lambda *_: command
cli.run()
"""

# A command stopped within the callback of a weak reference, where Python drops what is raised.
IN_A_CALLBACK = """
import os, signal, threading, weakref
import click
from stages import cli

class Thing: pass

@click.command()
@click.argument("number", type=int)
def command(number):
    thing = Thing()
    here = weakref.ref(thing, lambda _: os.kill(os.getpid(), number) or len([]))
    del thing
    threading.Event().wait(60)

signal.signal(signal.SIGINT, signal.default_int_handler)
cli.Genser.get_command = lambda *_: command
cli.run()
"""

# The same, and asked to stop once more within the hook that it goes to: dropped too, if raised.
IN_THE_HOOK = IN_A_CALLBACK.replace(
    "class Thing",
    """
again = cli._ask_again
def asked_twice(number):
    cli._ask_again = again
    os.kill(os.getpid(), number)
    again(number)
cli._ask_again = asked_twice

class Thing""",
)

# Stopped within an import that asks numpy for the layout of a buffer: numpy raises its own error.
WITHIN_NUMPY = """
import ctypes, os, signal
import click
import numpy
from numpy._core import _internal
from stages import cli

class Pair(ctypes.Structure):
    _fields_ = [("one", ctypes.c_int), ("two", ctypes.c_int)]

@click.command()
@click.argument("number", type=int)
def command(number):
    _internal._dtype_from_pep3118 = lambda _: os.kill(os.getpid(), number) or len([])
    numpy.asarray(memoryview((Pair * 2)()))

signal.signal(signal.SIGINT, signal.default_int_handler)
cli.Genser.get_command = lambda *_: command
cli.run()
"""

# Stopped before the command begins, where click would say "Aborted!" of Ctrl-C.
BEFORE_A_COMMAND = """
import os, signal, sys
from stages import cli

cli.Params = lambda *_: os.kill(os.getpid(), int(sys.argv[2])) or len([])
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.run()
"""

STOPS = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=("SIGINT", "SIGTERM")
)


@STOPS
@pytest.mark.parametrize(
    "program",
    [ENDLESS, IN_A_CALLBACK, IN_THE_HOOK, WITHIN_NUMPY, BEFORE_A_COMMAND],
    ids=("decoder", "callback", "hook", "numpy", "before a command"),
)
def test_a_stopped_program_ends_whatever_it_is_at(program, number, code):
    words = [sys.executable, "-c", program, "inspect", str(int(number))]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == code
    assert ended.stderr == "Stopped; what was finished is kept. Run the same command again.\n"


# Done, and stopped while Python ends.
AFTER_THE_END = """
import atexit, os, signal, sys
import click
from stages import cli

@click.command()
@click.argument("number", type=int)
def command(number):
    atexit.register(os.kill, os.getpid(), number)

signal.signal(signal.SIGINT, signal.default_int_handler)
cli.Genser.get_command = lambda *_: command
cli.run()
"""


@STOPS
def test_a_program_that_is_done_ends_by_a_signal_without_a_word(number, code):
    words = [sys.executable, "-c", AFTER_THE_END, "inspect", str(int(number))]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stderr) == (-number, "")


def test_a_program_whose_ctrl_c_is_ignored_goes_on_ignoring_it():
    program = ENDLESS.replace("threading.Event().wait()\n\n", "raise SystemExit(7)\n\n")
    program = program.replace("pool.submit(threading.Event().wait)", "pass")
    program = program.replace("signal.default_int_handler", "signal.SIG_IGN")
    words = [sys.executable, "-c", program, "inspect", str(int(signal.SIGINT))]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stderr) == (7, "")
