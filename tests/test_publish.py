"""A head goes to the hub with its card and comes back the same; the hub stands on this machine."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helpers.commands import genser, refused
from helpers.hub import Hub, hub
from pipeline.heads.saved import load_head
from pipeline.scoring.predictions import read_predictions

__all__ = ["hub"]
REPOSITORY = "me/demo-emotions"
PUBLISH = ("publish", "head", REPOSITORY)
SCORED = ("--predictions", "p.parquet", "--manifest", "demo.csv")


def card_of(text: str) -> tuple[dict, str]:
    _, metadata, body = text.split("---\n", 2)
    return YAML(typ="safe", pure=True).load(metadata), body


def test_a_published_head_scores_as_the_one_in_the_folder(here: Path, hub: Hub, tmp_path: Path):
    result = genser(*PUBLISH, *SCORED)
    sha, files = hub.files(REPOSITORY)
    assert f"published, {hub.address}/{REPOSITORY}/commit/{sha}" in result.stdout
    assert {"README.md", "head.json", "curves.tsv"} < set(files)
    assert not any(name.endswith(".parquet") for name in files)
    words = ("score", "demo.csv", "--store", "store", "--out", tmp_path / "p.parquet")
    genser(*words, "--head", f"hf://{REPOSITORY}@{sha}")
    found = read_predictions(tmp_path / "p.parquet")
    assert found.table.equals(read_predictions(Path("p.parquet")).table)
    assert found.metadata["head"] == load_head(Path("head")).digest


def test_a_commit_stays_what_it_was_and_no_weights_pile_up(here: Path, hub: Hub, tmp_path: Path):
    genser(*PUBLISH)
    first, before = hub.files(REPOSITORY)
    words = ("train", "demo.csv", "--store", "store", "--out", tmp_path / "other")
    genser("-S", "train.seed=7", *words)
    genser("publish", tmp_path / "other", REPOSITORY)
    latest, after = hub.files(REPOSITORY)
    assert latest != first
    assert sum(name.startswith("weights-") for name in after) == 1
    score = ("score", "demo.csv", "--store", "store", "--out", tmp_path / "p.parquet", "--head")
    genser(*score, f"hf://{REPOSITORY}@{first}")
    assert read_predictions(tmp_path / "p.parquet").metadata["seed"] == 0
    genser(*score, f"hf://{REPOSITORY}")
    assert read_predictions(tmp_path / "p.parquet").metadata["seed"] == 7
    assert before["head.json"] != after["head.json"]


def test_the_card_says_data_licences_and_scores_with_intervals(here: Path, hub: Hub):
    text = genser(*PUBLISH, *SCORED, "--licence", "cc-by-4.0", "--dry-run").stdout
    assert hub.repositories == {}
    metadata, body = card_of(text)
    assert metadata["license"] == "cc-by-4.0"
    assert "genser" in metadata["tags"]
    results = metadata["model-index"][0]["results"][0]["metrics"]
    metrics = json.loads(Path("report/metrics.json").read_text())["p"]["test"]
    assert results[0]["value"] == pytest.approx(metrics["ua"], abs=1e-4)
    assert "95 % interval" in results[0]["name"]
    assert "| demo | " in body
    assert "not known to genser" in body
    assert "forbids inferring emotions at work" in body


def test_without_predictions_the_card_says_that_nobody_looked(here: Path, hub: Hub):
    metadata, body = card_of(genser(*PUBLISH, "--dry-run").stdout)
    assert "model-index" not in metadata
    assert "Nobody gave predictions on other clips" in body


def test_an_encoder_that_nobody_else_has_is_told_without_its_place(here: Path, hub: Hub):
    encoder = load_head(Path("head")).record.encoder
    assert Path(encoder).is_dir()
    result = genser(*PUBLISH, "--dry-run")
    assert f"head: its encoder {encoder} is a folder of this machine, and is not" in result.stderr
    _, body = card_of(result.stdout)
    line = next(line for line in body.splitlines() if line.startswith("- view `layers`"))
    assert line.startswith(f"- view `layers`: `{Path(encoder).name}`, weights ")
    assert line.endswith("; a folder, give the same one with `--encoder`")
    assert encoder not in body


def test_predictions_of_another_head_are_refused(here: Path, hub: Hub, tmp_path: Path):
    genser("-S", "train.seed=3", "train", "demo.csv", "--store", "store", "--out", tmp_path / "h")
    told = refused("publish", tmp_path / "h", REPOSITORY, *SCORED)
    assert "p.parquet: of the head " in told
    assert "score with that head" in told


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("hf://me/nothing", "hf://me/nothing: the hub does not answer as wanted"),
        (f"hf://me/nothing@{'a' * 40}", "see that the name is right"),
    ],
)
def test_a_head_that_is_not_there_is_one_line(here: Path, hub: Hub, head: str, message: str):
    words = ("score", "demo.csv", "--store", "store", "--out", "q.parquet", "--head", head)
    told = refused(*words)
    assert message in told
    assert len(told.strip().splitlines()) == 1


def test_a_hub_that_nobody_answers_for_is_one_line(here: Path, hub: Hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    told = refused(*PUBLISH)
    assert f"{REPOSITORY}: the hub does not answer as wanted" in told
    assert len(told.strip().splitlines()) == 1


def test_a_head_that_reaches_out_of_its_folder_is_refused(here: Path, hub: Hub):
    genser(*PUBLISH)
    sha, files = hub.files(REPOSITORY)
    description = json.loads(files["head.json"])
    description["files"]["../../else"] = "0" * 64
    hub.repositories["me/hostile"] = [
        (sha, {**files, "head.json": json.dumps(description).encode()})
    ]
    told = refused("predict", "x.wav", "--head", "hf://me/hostile")
    assert "head.json" in told or "no file of its own folder" in told


def test_a_damaged_head_is_not_sent(here: Path, hub: Hub, tmp_path: Path):
    for file in Path("head").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "curves.tsv").write_text("step\n")
    assert "absent or damaged" in refused("publish", tmp_path, REPOSITORY)
    assert hub.repositories == {}
