"""The whole way, as DVC runs it, on a small demo."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
OUTPUTS = ("features", "models", "predictions", "reports/demo", "data_manifests/demo.csv")
BESIDE = {"describe", "tokenise", "train_tokens", "score_tokens"} | {
    f"{command}_{head}" for command in ("train", "score") for head in ("emoq", "descriptors")
}

SMALL = {
    "prepare": {"demo": {"num_speakers": 6, "clips_per_emotion": 1}},
    "describe": {"least_clips": 8},
    "extract": {"encoder": "demo/encoder"},
    "train": {
        "num_steps": 10,
        "batch_size": 8,
        "eval_every": 5,
        "genser": {"trunk": {"width": 16, "num_blocks": 1, "num_heads": 2}},
    },
    "score": {"genser": {"num_steps": 2}},
    "report": {"split": "test"},
}


def make_project(folder: Path) -> Path:
    """Return a copy of the repository's pipeline with a small demo, under DVC without git."""
    folder.mkdir()
    for name in ("pipeline", "stages", "params", "data_manifests/label_maps"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / "dvc.yaml", folder)
    write_params(folder, SMALL)
    run("dvc", "init", "--no-scm", "-q", folder=folder)
    return folder


def write_params(folder: Path, params: dict) -> None:
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(params, file)


def run(*words: str, folder: Path) -> str:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "HF_HUB_OFFLINE": "1"}
    # The commands of this environment, and its modules from this repository.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran_stages(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def all_bytes(folder: Path) -> dict[str, bytes]:
    files = [f for name in OUTPUTS for f in [folder / name, *(folder / name).rglob("*")]]
    # What a training took in seconds is told of each run, and is no result.
    kept = [f for f in files if f.is_file() and not f.name.endswith(".cost.json")]
    return {str(f.relative_to(folder)): f.read_bytes() for f in kept}


@pytest.mark.skipif(not shutil.which("dvc", path=str(Path(sys.executable).parent)), reason="no dvc")
def test_dvc_runs_what_a_change_calls_for_and_gives_the_same_bytes_again(tmp_path):
    folder = make_project(tmp_path / "first")
    stages = {"prepare", "extract", "train", "score", "report", *BESIDE}
    assert set(ran_stages(run("dvc", "repro", folder=folder))) == stages
    first = all_bytes(folder)
    assert {"features/demo/store.json", "reports/demo/metrics.json"} <= set(first)
    assert ran_stages(run("dvc", "repro", folder=folder)) == []

    # Which stages a change calls for, test_dvc.py counts.
    write_params(folder, {**SMALL, "train": {**SMALL["train"], "seed": 1}})
    assert ran_stages(run("dvc", "repro", folder=folder)) == ["train", "score", "report"]

    # Back at the first parameters, in the same place: the first bytes.
    write_params(folder, SMALL)
    run("dvc", "repro", folder=folder)
    assert all_bytes(folder) == first
    # And from nothing, in another place.
    other = make_project(tmp_path / "second")
    run("dvc", "repro", folder=other)
    assert all_bytes(other) == first
