"""The head of descriptors through the commands, on the demo: the whole way, refusals, kills."""

import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from helpers.commands import genser, refused
from helpers.extraction import KILLED, forked, outcome, tree
from pipeline.scoring.predictions import read_predictions
from pipeline.training.checkpoints import Checkpoints
from stages.params import SECTIONS

ROOT = Path(__file__).parent.parent
PRESET = ROOT / "params/descriptors_demo.yaml"
SMALL = {
    "prepare.demo": "{num_speakers: 6, clips_per_emotion: 1}",
    "train.num_steps": 4,
    "train.eval_every": 2,
    "train.batch_size": 8,
    "train.descriptors.describe": "true",
    "train.descriptors.stage1_steps": 4,
    "train.descriptors.stage1_batch_size": 8,
    "score.descriptors.max_tokens": 6,
}
TRAIN = ("train", "demo.csv", "--store", "store")


def small(*words: object, **settings: object) -> tuple[object, ...]:
    """Return the words of a command with the demo's preset, made small."""
    given = {**SMALL, **{name.replace("__", "."): value for name, value in settings.items()}}
    sets = [word for name, value in given.items() for word in ("-S", f"{name}={value}")]
    return ("--params", PRESET, *sets, *words)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole way was gone once."""
    folder = tmp_path_factory.mktemp("descriptors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(os, "fsync", lambda _: None)
        assert genser(*small("prepare", "demo", "demo", "-o", "demo.csv")).exit_code == 0
        table = pd.read_csv("demo.csv", dtype="str", keep_default_na=False)
        told = "A " + table["emotion"].map({"angry": "loud", "sad": "soft"}).fillna("plain")
        table.assign(descriptors=told + " voice.").to_csv("demo.csv", index=False)
        for words in (
            "extract demo.csv --audio-root demo/audio --store store",
            "train demo.csv --store store --out head",
            "score demo.csv --store store --head head --out p.parquet",
            "report p.parquet --manifest demo.csv --out report",
        ):
            done = genser(*small(*words.split()))
            assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(autouse=True)
def here(ran: Path, monkeypatch: pytest.MonkeyPatch, without_waiting_for_the_disk: None) -> Path:
    monkeypatch.chdir(ran)
    return ran


def test_it_goes_from_recordings_to_the_page() -> None:
    curves = pd.read_csv("head/curves.tsv", sep="\t")
    assert curves["phase"].tolist() == ["content"] * 2 + ["descriptors"] * 2
    assert curves["dev_ce"].notna().all()
    predictions = read_predictions(Path("p.parquet"))
    assert predictions.metadata["head_kind"] == "descriptors"
    assert predictions.metadata["condition"] == "predicted"
    assert predictions.table["descriptors"].null_count == 0
    assert predictions.table["error"].null_count == predictions.table.num_rows == 30
    assert "descriptors" in Path("report/report.html").read_text()
    assert genser("verify", "head").exit_code == 0


def test_it_is_inspected_before_and_after_it_is_trained_alike() -> None:
    told = json.loads(genser("inspect", "head", "--json").stdout)
    before = json.loads(genser(*small()[2:], "inspect", PRESET, "--json").stdout)
    assert told["kind"] == "head (descriptors)"
    assert list(told["parameters"]) == [
        "language model",
        "adapters",
        "content branch",
        "descriptor branch",
        "trained in content",
        "trained in descriptors",
    ]
    assert told["parameters"] == before["parameters"]


def test_a_dry_run_tells_the_memory_of_the_model() -> None:
    done = genser(*small(*TRAIN, "--dry-run", "--out", "dry"))
    assert "the model takes about" in done.stdout
    away = small(*TRAIN, "--dry-run", "--out", "dry", train__descriptors__language="o/n@main")
    assert "the model is unknown until o/n@main is at hand" in genser(*away).stdout
    assert not Path("dry").exists()


def test_predict_says_of_a_recording_what_score_said_and_why() -> None:
    rows = read_predictions(Path("p.parquet")).table.to_pandas().iloc[:3]
    manifest = pd.read_csv("demo.csv").set_index("utterance_id").loc[rows["utterance_id"]]
    paths = [Path("demo/audio", path) for path in manifest["path"]]
    done = genser(*small("predict", *paths, "--head", "head", "--json"))
    answers = json.loads(done.stdout)
    assert [answer["predicted"] for answer in answers] == rows["predicted"].tolist()
    assert [answer["descriptors"] for answer in answers] == rows["descriptors"].tolist()
    path, row = paths[0], rows.iloc[0]
    shown = genser(*small("predict", path, "--head", "head")).stdout.splitlines()
    assert shown[0].startswith(f"{path}: {row['predicted']} (")
    assert shown[-1] == f"  descriptors: {row['descriptors']}"


def test_a_manifest_without_descriptions_is_refused_in_one_line(tmp_path: Path) -> None:
    pd.read_csv("demo.csv").drop(columns="descriptors").to_csv(tmp_path / "m.csv", index=False)
    out = tmp_path / "out"
    said = refused(*small("train", tmp_path / "m.csv", "--store", "store", "--out", out))
    *_, line = said.splitlines()
    assert line.startswith("Error: ")
    assert "m.csv: no row has 'descriptors', and this head is to learn them" in line
    assert not list(out.glob("*"))


@pytest.mark.parametrize("saves", [0, 1, 3])
def test_killed_in_either_phase_train_goes_on_to_the_same_bytes(tmp_path: Path, saves: int) -> None:
    """Killed before its first look at dev; after it; within stage 2."""

    def work() -> None:
        save = Checkpoints.save
        saved: list[int] = []

        def kill(self: Checkpoints, state: dict) -> None:
            if len(saved) == saves:
                os.kill(os.getpid(), signal.SIGKILL)
            save(self, state)
            saved.append(state["phase"])

        Checkpoints.save = kill  # type: ignore[method-assign]
        genser(*small(*TRAIN, "--out", tmp_path / "head"))

    assert outcome(forked(work)) == KILLED
    assert not (tmp_path / "head/head.json").exists()
    assert genser(*small(*TRAIN, "--out", tmp_path / "head")).exit_code == 0
    assert tree(tmp_path / "head") == tree(Path("head"))


@pytest.mark.parametrize("name", ["descriptors", "descriptors_small", "descriptors_demo"])
def test_every_preset_is_read(name: str) -> None:
    done = genser("inspect", ROOT / f"params/{name}.yaml", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["train"]["head"] == "descriptors"
    assert set(SECTIONS) <= set(facts)
