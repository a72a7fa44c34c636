"""What a plain command must not wait for: modules that it makes no use of."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from pipeline.heads.catalogue import build_head, head_kind
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.outline import outlined
from stages.cli import COMMANDS

ROOT = Path(__file__).parents[1]
NUMBERS = ("numpy", "pandas", "pyarrow")
NETWORKS = ("torch", "safetensors")
# Seconds each, and none of them has a part in scoring a head of steps.
NEVER = (
    "matplotlib",
    "scipy.optimize",
    "scipy.signal",
    "scipy.spatial",
    "scipy.stats",
    "sklearn",
    "soundfile",
    "sympy",
    "torch._dynamo",
    "torch.distributed.tensor",
    "transformers",
)
HEAVY = (*NUMBERS, "h5py", *NETWORKS, *NEVER)
CODE = """
import json, sys
from click.testing import CliRunner
from stages.cli import main
commands, heavy = json.loads(sys.argv[1])
for words in commands:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, (words, done.output)
    print(json.dumps([words, [name for name in heavy if name in sys.modules]]))
"""


def test_commands_import_only_what_they_use(made: Path, tmp_path: Path) -> None:
    score = ["score", "demo.csv", "--store", "store", "--head", "head"]
    require_imports(
        made,
        ([["--help"], *([name, "--help"] for name in COMMANDS)], ()),
        ([["validate", "demo.csv"]], NUMBERS),
        ([["inspect", "store"]], (*NUMBERS, "h5py")),
        (
            [["inspect", "head"], [*score, "--out", str(tmp_path / "p.parquet")]],
            (*NUMBERS, "h5py", *NETWORKS),
        ),
    )


def test_a_report_of_predictions_alone_imports_no_network(made: Path, tmp_path: Path) -> None:
    report = ["report", "p.parquet", "--manifest", "demo.csv", "--out", str(tmp_path)]
    require_imports(made, ([report], (*NUMBERS, "matplotlib")))


def require_imports(folder: Path, *steps: tuple[list[list[str]], tuple[str, ...]]) -> None:
    """Run commands in a folder, and hold each to what it may import of `HEAVY`."""
    commands = [words for told, _ in steps for words in told]
    # One process, in this order: each may import what those before it may, and no more.
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps([commands, HEAVY])],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = [(words, allowed) for told, allowed in steps for words in told]
    for (words, names), (same, allowed) in zip(found, wanted, strict=True):
        assert words == same
        assert set(names) <= set(allowed), words


def test_an_outline_has_the_shapes_of_the_head_and_no_numbers() -> None:
    shapes = {"layers": FeatureShape(num_layers=3, dim=32, last_layer=2, input_layer=0)}
    for codes in ("sinusoidal", "one_hot", "hadamard"):
        config = GenSERConfig(codes=codes)
        outline = head_kind("genser").head.outline(shapes, 4, config)
        whole = build_head("genser", shapes, 4, config)
        for mine, theirs in (
            (outline.named_parameters(), whole.named_parameters()),
            (outline.named_buffers(), whole.named_buffers()),
        ):
            assert {n: (t.shape, t.dtype) for n, t in mine} == {
                n: (t.shape, t.dtype) for n, t in theirs
            }
        assert all(tensor.is_meta for tensor in outline.parameters())


def test_numbers_are_drawn_again_once_an_outline_is_made() -> None:
    with outlined():
        assert torch.nn.Linear(2, 3).weight.is_meta
    torch.manual_seed(0)
    assert torch.nn.Linear(2, 3).weight.std() > 0
