"""Which stages a change calls for under DVC: prepare and extract are real, the others stand in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
ALL = ["prepare", "extract", "train", "score", "report"]
TOKENS = ["tokenise", "train_tokens", "score_tokens"]
EMOQ = ["train_emoq", "score_emoq"]
DESCRIPTORS = ["train_descriptors", "score_descriptors"]
ON_FRAMES = [*EMOQ, *DESCRIPTORS]  # those that read the frames of the stage tokenise
DESCRIBED = ["describe"]
EVERY = [*ALL, *TOKENS, *ON_FRAMES, *DESCRIBED]
EMOQ_PARAMS = "params/emoq_demo.yaml"
DESCRIPTORS_PARAMS = "params/descriptors_demo.yaml"
TOKENS_PARAMS = "params/tokens_demo.yaml"

PARAMS: dict[str, Any] = {
    "prepare": {"demo": {"num_speakers": 6, "clips_per_emotion": 1}},
    "describe": {"least_clips": 8},
    "extract": {"encoder": "demo/encoder", "compute_dtype": "float32"},
    "train": {"seed": 0},
    "score": {"genser": {"num_steps": 2}},
    "report": {"split": "test"},
}

# Writes each output of a stage as the digest of what dvc.yaml says that the stage reads.
STAND_IN = """
import hashlib, sys
from pathlib import Path
from ruamel.yaml import YAML
stage = YAML(typ="safe").load(Path("dvc.yaml"))["stages"][sys.argv[1]]
files = [name if isinstance(name, dict) else {"params.yaml": [name]} for name in stage["params"]]
params = [
    YAML(typ="safe").load(Path(file)).get(section)
    for one in files for file, sections in one.items() for section in sections
]
seen = hashlib.sha256(repr(params).encode())
for name in stage["deps"]:
    for path in sorted([Path(name), *Path(name).rglob("*")]):
        if path.is_file() and "__pycache__" not in str(path):
            seen.update(path.read_bytes())
for out in [*stage["outs"], *stage.get("metrics", [])]:
    path = Path(out if isinstance(out, str) else next(iter(out)))
    path = path if path.suffix else path / "digest"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(seen.hexdigest())
"""

needs_dvc = pytest.mark.skipif(
    not shutil.which("dvc", path=str(Path(sys.executable).parent)), reason="no dvc"
)


def make_project(folder: Path, encoder: str = "demo/encoder") -> Path:
    """Return a copy of the repository's graph with a small demo, under DVC without git."""
    folder.mkdir()
    for name in ("pipeline", "stages", "params", "data_manifests/label_maps"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / ".dvcignore", folder)
    (folder / "stand_in.py").write_text(STAND_IN)
    graph = YAML().load(ROOT / "dvc.yaml")
    for name in ("train", "score", "report", *TOKENS, *ON_FRAMES, *DESCRIBED):
        graph["stages"][name]["cmd"] = f"{sys.executable} stand_in.py {name}"
    del graph["plots"]
    YAML().dump(graph, folder / "dvc.yaml")
    YAML().dump(PARAMS, folder / "params.yaml")
    change(folder, "extract", encoder=encoder)
    dvc(folder, "init", "--no-scm", "-q")
    return folder


def dvc(folder: Path, *words: str) -> str:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "HF_HUB_OFFLINE": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["dvc", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def repro(folder: Path) -> tuple[list[str], str]:
    """Run what has changed; return the stages that ran, and all that they said."""
    said = dvc(folder, "repro")
    running = [line for line in said.splitlines() if line.startswith("Running stage")]
    # The systems' stages depend on one another nowhere, so DVC may take either first.
    return sorted((line.split("'")[1] for line in running), key=EVERY.index), said


def change(folder: Path, section: str, file: str = "params.yaml", **values: Any) -> None:
    path = folder / file
    params = YAML().load(path)
    params[section].update(values)
    YAML().dump(params, path)


@needs_dvc
def test_another_recipe_asks_for_nothing_and_changing_back_computes_nothing(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    assert repro(folder)[0] == EVERY
    assert repro(folder)[0] == []

    for values in ({"compute_dtype": "bfloat16"}, {"pooling": "mean_std"}):
        change(folder, "extract", **values)
        ran, said = repro(folder)
        assert ran == ["extract", "train", "score", "report"]
        assert ", 0 in the store already" in said
        assert "kept beside: layers" in said
    change(folder, "extract", compute_dtype="float32", pooling="mean")
    ran, said = repro(folder)
    assert ran == ["extract", "train", "score", "report"]
    assert "0 clips to extract" in said


@needs_dvc
def test_a_change_reruns_exactly_the_stages_that_read_it(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project", encoder="fbank")
    repro(folder)
    # Each on top of the last.
    for section, values, wanted in (
        ("train", {"seed": 1}, ["train", "score", "report"]),
        ("score", {"genser": {"num_steps": 3}}, ["score", "report"]),
        ("report", {"split": "dev"}, ["report"]),
        ("prepare", {"seed": 1}, EVERY),
        ("describe", {"least_clips": 9}, ["report", *DESCRIBED]),
    ):
        change(folder, section, **values)
        assert repro(folder)[0] == wanted, section

    for file, section, values, wanted in (
        (TOKENS_PARAMS, "train", {"seed": 1}, ["report", *TOKENS[1:]]),
        (TOKENS_PARAMS, "tokenise", {"seed": 1}, ["report", *TOKENS, *ON_FRAMES]),
        (EMOQ_PARAMS, "train", {"seed": 1}, ["report", *EMOQ]),
        (EMOQ_PARAMS, "score", {"emoq": {"scores": "first_token"}}, ["report", EMOQ[1]]),
        (DESCRIPTORS_PARAMS, "train", {"seed": 1}, ["report", *DESCRIPTORS]),
    ):
        change(folder, section, file, **values)
        assert repro(folder)[0] == wanted, section

    with (folder / "data_manifests/label_maps/emotion.yaml").open("a") as file:
        file.write("# changed\n")
    assert repro(folder)[0] == ["train", "score", "report", *TOKENS[1:], *ON_FRAMES]
    # What prepare has made it would make again: with it frozen, these are the user's own files.
    dvc(folder, "freeze", "prepare")
    manifest = folder / "data_manifests/demo.csv"
    header, _, *rest = manifest.read_text().splitlines()
    manifest.write_text("\n".join([header, *rest]) + "\n")
    ran, said = repro(folder)
    assert ran == EVERY[1:]
    assert "0 clips to extract" in said
    audio = sorted((folder / "demo/audio").rglob("*.wav"))[-1]
    shutil.copy(sorted((folder / "demo/audio").rglob("*.wav"))[0], audio)
    ran, said = repro(folder)
    assert ran == EVERY[1:]
    assert "1 clips to extract" in said
