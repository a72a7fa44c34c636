import json
import os
import platform
import subprocess
import sys

import pytest

from helpers.commands import genser, refused
from stages.cli import COMMANDS

EXTRACT = ["extract", "demo.csv", "--audio-root", "demo/audio", "--store", "s2"]


def test_dry_runs_do_nothing(here, tmp_path):
    store, head = tmp_path / "s", tmp_path / "h"
    words = ["extract", "demo.csv", "--audio-root", "demo/audio", "--store", store]
    result = genser(*words, "--dry-run")
    assert "30 clips to extract" in result.stdout
    assert "MB of disk" in result.stdout
    assert (
        "steps of"
        in genser("train", "demo.csv", "--store", "store", "--out", head, "--dry-run").stdout
    )
    assert not store.exists()
    assert not head.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-S", "train.num_step=3", "inspect", "params.yaml"], "unknown keys ['num_step']"),
        (["-S", "train.num_steps=many", "inspect", "params.yaml"], "found 'many', wanted a whole"),
        (["-S", "train.num_steps=true", "inspect", "params.yaml"], "found True, wanted a whole"),
        (["-S", "train.optimiser.ema_decay=2", "inspect", "params.yaml"], "ema_decay: 2.0"),
        (["-S", "train.optimiser.learning_rate=.inf", "inspect", "params.yaml"], "found inf, want"),
        (["-S", "train.head=[", "inspect", "params.yaml"], "-S train.head: is not YAML"),
        (["-S", "train.seed=-1", "inspect", "params.yaml"], "train.seed: found -1, wanted 0 to"),
        (["-S", "prepare.seed=-1", "inspect", "params.yaml"], "prepare.seed: found -1, wanted 0"),
        (["-S", "tokenise.seed=-1", "inspect", "params.yaml"], "tokenise.seed: found -1, wanted"),
        (["-S", "finetune.seed=-1", "inspect", "params.yaml"], "finetune.seed: found -1, wanted"),
        (["-S", "scores.num_steps=3", "inspect", "params.yaml"], "wanted section.key=value"),
        (["--params", "no.yaml", "inspect", "head"], "no.yaml: cannot be read"),
        (["inspect", "nothing"], "found nothing, wanted a feature store"),
        (["prepare", "imagined", "x", "-o", "x.csv"], "'imagined' is not one of"),
        (["prepare", "ravdess", "x", "-o", "x.csv"], "x: no such folder"),
        (["validate", "no.csv"], "no.csv: no such manifest"),
        (["train", "demo.csv", "--store", "no", "--out", "h2"], "no: no feature store there"),
        (
            ["score", "demo.csv", "--store", "store", "--head", "no", "--out", "x.parquet"],
            "no: no trained head there",
        ),
        (["report", "no.parquet", "--out", "r"], "no.parquet"),
        (
            ["-S", "extract.encoder=no/encoder", *EXTRACT],
            "no/encoder: no such folder",
        ),
        (
            ["-S", "extract.dim=1024", *EXTRACT],
            "has 64, wanted 1024",
        ),
        (
            [*EXTRACT, "--device", "cuda:99"],
            "--device cuda:99",
        ),
        (
            [*EXTRACT, "--num-shards", "2", "--shard-index", "2"],
            "--job-index: 2 is not one of 0 to 1",
        ),
        (
            ["extract", "demo.csv", "--audio-root", "other=demo/audio", "--store", "s2"],
            "corpus 'demo' has no audio root",
        ),
    ],
)
def test_a_user_s_mistake_is_one_message_without_a_traceback(here, words, message):
    told = refused(*words)
    assert message in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parms", "x.yaml", "inspect", "head"], "No such option"),
        (["extrakt", "demo.csv"], "No such command 'extrakt'"),
        (["extract", "demo.csv"], "Missing option"),
        (["train", "demo.csv", "--store", "store", "--out"], "requires an argument"),
        ([*EXTRACT, "--max-failed", "2"], "2.0 is not in the range"),
    ],
)
def test_a_misspelt_command_line_exits_with_1(here, words, message):
    assert message in refused(*words)


def test_an_unwritable_place_is_one_message(here, tmp_path):
    (tmp_path / "file").write_text("in the way")
    inside = tmp_path / "file" / "x"
    for words in (
        ["extract", "demo.csv", "--audio-root", "demo/audio", "--store", inside],
        ["train", "demo.csv", "--store", "store", "--out", inside],
        ["score", "demo.csv", "--store", "store", "--head", "head", "--out", inside / "p.parquet"],
        ["report", "p.parquet", "--out", inside],
        ["prepare", "demo", inside, "-o", tmp_path / "m.csv"],
    ):
        assert "cannot be written" in refused(*words)


def test_numbers_in_yaml_are_read_as_yaml_1_2(here, tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text("train:\n  optimiser:\n    learning_rate: 1e-4\n")
    facts = json.loads(genser("inspect", params, "--json").stdout)
    assert facts["train"]["optimiser"]["learning_rate"] == 1e-4


def test_the_version_is_told():
    assert genser("--version").stdout.startswith("genser, version ")


def test_help_lists_every_command():
    text = genser("--help").stdout
    assert all(name in text for name in COMMANDS)


# What there is at the end is not looked through for cycles.
COLLECTED = """
import atexit, gc
import click
from stages import cli

@click.command()
@click.argument("number", type=int)
def command(number):
    print(gc.get_threshold()[0])
    atexit.register(lambda: print(gc.get_freeze_count() > 1000))

cli.Genser.get_command = lambda *_: command
cli.run()
"""


def test_a_program_does_not_look_through_its_modules_for_cycles_again_and_again():
    words = [sys.executable, "-c", COLLECTED, "inspect", "0"]
    ended = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout.split() == ["10000", "True"]


# How many pages are asked for while 16 MB are taken, filled and freed a hundred times, here and in
# a process of its own.
PAGES = """
import os, resource, subprocess, sys
import click, numpy as np
from stages import cli

def asked():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.ones(1 << 21)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

@click.command()
@click.argument("number", type=int)
def command(number):
    print(asked(), flush=True)
    if number:
        subprocess.run([sys.executable, "-c", sys.orig_argv[2], "child"], check=True)

if sys.argv[-1] == "child":
    print(asked())
else:
    cli.Genser.get_command = lambda *_: command
    cli.run()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_freed_memory_is_kept_here_and_in_workers():
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    words = [sys.executable, "-c", PAGES, "inspect", "1"]
    ended = subprocess.run(words, capture_output=True, text=True, check=True, env=clean)
    once = (1 << 24) // os.sysconf("SC_PAGE_SIZE")
    assert [int(pages) < 10 * once for pages in ended.stdout.split()] == [True, True]
