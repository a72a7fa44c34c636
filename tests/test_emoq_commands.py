"""EmoQ through the commands, on the demo's own language model: the whole way, refusals, kills."""

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
SMALL = {
    "prepare.demo": "{num_speakers: 6, clips_per_emotion: 1}",
    "train.num_steps": 4,
    "train.eval_every": 2,
    "train.batch_size": 8,
    "train.emoq.stage1_steps": 4,
    "train.emoq.stage1_batch_size": 8,
}
TRAIN = ("train", "demo.csv", "--store", "store")


def emoq(*words: object, **settings: object) -> tuple[object, ...]:
    """Return the words of a command with the demo's preset, made small."""
    given = {**SMALL, **{name.replace("__", "."): value for name, value in settings.items()}}
    sets = [word for name, value in given.items() for word in ("-S", f"{name}={value}")]
    return ("--params", ROOT / "params/emoq_demo.yaml", *sets, *words)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole way was gone once."""
    folder = tmp_path_factory.mktemp("emoq")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(os, "fsync", lambda _: None)
        for words in (
            "prepare demo demo -o demo.csv",
            "extract demo.csv --audio-root demo/audio --store store",
            "train demo.csv --store store --out head",
            "score demo.csv --store store --head head --out p.parquet",
            "report p.parquet --manifest demo.csv --out report",
        ):
            done = genser(*emoq(*words.split()))
            assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(autouse=True)
def here(ran: Path, monkeypatch: pytest.MonkeyPatch, without_waiting_for_the_disk: None) -> Path:
    monkeypatch.chdir(ran)
    return ran


def test_it_goes_from_recordings_to_the_page() -> None:
    assert sorted(p.name.split("-")[0] for p in Path("head").iterdir()) == [
        "curves.png",
        "curves.tsv",
        "head.json",
        "weights",
    ]
    curves = pd.read_csv("head/curves.tsv", sep="\t")
    assert curves["phase"].tolist() == ["mal", "mal", "answers", "answers"]
    predictions = read_predictions(Path("p.parquet"))
    assert predictions.metadata["head_kind"] == "emoq"
    assert predictions.metadata["text_sources"] == ["gold"]
    assert predictions.table["error"].null_count == predictions.table.num_rows == 30
    assert "<html" in Path("report/report.html").read_text()
    assert genser("verify", "head").exit_code == 0


def test_it_is_inspected_before_and_after_it_is_trained_alike() -> None:
    told = json.loads(genser("inspect", "head", "--json").stdout)
    preset = ROOT / "params/emoq_demo.yaml"
    before = json.loads(genser(*emoq()[2:], "inspect", preset, "--json").stdout)
    assert told["kind"] == "head (emoq)"
    assert {"language model", "adapters", "former", "projector"} < set(told["parameters"])
    assert told["features"].keys() == before["features"].keys() == {"frames"}
    # The classifier of stage 1 has an output for each class.
    del told["parameters"]["auxiliary"], before["parameters"]["auxiliary"]
    del told["parameters"]["trained in mal"], before["parameters"]["trained in mal"]
    assert told["parameters"] == before["parameters"]


def test_a_dry_run_tells_the_memory_of_the_model() -> None:
    done = genser(*emoq(*TRAIN, "--dry-run", "--out", "dry"))
    assert "the model takes about" in done.stdout
    assert "MB (reckoned); nothing was done." in done.stdout
    away = emoq(*TRAIN, "--dry-run", "--out", "dry", train__emoq__language="hf://owner/name")
    assert "the model is unknown until hf://owner/name is at hand" in genser(*away).stdout
    assert not Path("dry").exists()


def test_predict_is_refused_without_text_and_says_with_it_what_score_said() -> None:
    row = read_predictions(Path("p.parquet")).table.to_pandas().iloc[0]
    manifest = pd.read_csv("demo.csv").set_index("utterance_id").loc[row["utterance_id"]]
    path = Path("demo/audio", manifest["path"])
    said = refused("predict", path, "--head", "head")
    assert said.startswith("Error: this head reads text, and was trained on texts of: gold;")
    assert said.count("\n") == 1
    done = genser("predict", path, "--head", "head", "--text", manifest["text"], "--json")
    (answer,) = json.loads(done.stdout)
    assert answer["predicted"] == row["predicted"]
    for name, value in answer["probabilities"].items():
        # A clip alone and in a batch agree to the last bits of the stored float16.
        assert value == pytest.approx(row[f"probability.{name}"], abs=2e-3)


@pytest.mark.parametrize("command", ["train", "score"])
def test_a_manifest_without_texts_is_refused_in_one_line(tmp_path: Path, command: str) -> None:
    pd.read_csv("demo.csv").drop(columns="text").to_csv(tmp_path / "m.csv", index=False)
    out = tmp_path / "out"
    words = (command, tmp_path / "m.csv", "--store", "store", "--out", out)
    said = refused(*emoq(*words, *(("--head", "head") if command == "score" else ())))
    wanted = "m.csv: no row has a text, and this head reads the column 'text'; add it with"
    *_, line = said.splitlines()
    assert line.startswith("Error: ")
    assert wanted in line
    assert not out.is_file()
    assert not list(out.glob("*"))


@pytest.mark.parametrize("saves", [0, 1, 2, 3])
def test_killed_in_either_phase_train_goes_on_to_the_same_bytes(tmp_path: Path, saves: int) -> None:
    """Killed before its first look at dev; after it; at the end of stage 1; within stage 2."""

    def work() -> None:
        save = Checkpoints.save
        saved: list[int] = []

        def kill(self: Checkpoints, state: dict) -> None:
            if len(saved) == saves:
                os.kill(os.getpid(), signal.SIGKILL)
            save(self, state)
            saved.append(state["phase"])

        Checkpoints.save = kill  # type: ignore[method-assign]
        genser(*emoq(*TRAIN, "--out", tmp_path / "head"))

    assert outcome(forked(work)) == KILLED
    assert not (tmp_path / "head/head.json").exists()
    assert bool(list(tmp_path.glob("head/checkpoint-*.pt"))) == (saves > 0)
    assert genser(*emoq(*TRAIN, "--out", tmp_path / "head")).exit_code == 0
    assert tree(tmp_path / "head") == tree(Path("head"))


@pytest.mark.parametrize("name", ["emoq", "emoq_small", "emoq_demo"])
def test_every_preset_is_read(name: str) -> None:
    done = genser("inspect", ROOT / f"params/{name}.yaml", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["train"]["head"] == "emoq"
    assert set(SECTIONS) <= set(facts)
