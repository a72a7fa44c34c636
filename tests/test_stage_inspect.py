import json
from pathlib import Path

import pytest

from helpers.commands import genser
from pipeline.manifests.manifest import read_manifest, write_manifest


@pytest.mark.parametrize("what", ["store", "head", "p.parquet", "params.yaml"])
def test_inspect_shows_everything_as_text_and_as_json(here, what):
    assert genser("inspect", what).exit_code == 0
    facts = json.loads(genser("inspect", what, "--json").stdout)
    assert facts["kind"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_inspect_counts_rows_hours_speakers_and_classes_of_a_manifest(here, tmp_path, suffix):
    read = read_manifest(here / "demo.csv")
    path = tmp_path / f"m{suffix}"
    write_manifest(path, read.table.drop(columns=["start", "end", "channel"]))
    facts = json.loads(genser("inspect", path, "--json").stdout)
    assert [facts[key] for key in ("kind", "rows", "speakers", "corpora")] == [
        "manifest",
        30,
        6,
        ["demo"],
    ]
    assert facts["hours"] == pytest.approx(
        (read.table["num_samples"] / read.table["sample_rate"]).sum() / 3600, abs=1e-3
    )
    for part in ("train", "dev", "test"):
        assert facts["split"][part]["emotion"] == {
            name: 2 for name in ("angry", "fearful", "happy", "neutral", "sad")
        }
    assert "emotion" in facts["columns"]
    assert genser("inspect", path).exit_code == 0


def test_inspect_counts_the_paper_s_parameters_without_weights():
    path = Path(__file__).parent.parent / "params/paper.yaml"
    facts = json.loads(genser("inspect", path, "--json").stdout)
    assert facts["parameters"] == "71,360,535 (71.4 M)"
    assert facts["train"]["num_steps"] == 400_000
    assert facts["train"]["batch_size"] == 128
    assert facts["train"]["optimiser"]["learning_rate"] == 5e-4
    assert facts["train"]["select_by"] == "wa"


def test_inspect_counts_a_head_of_codes_that_no_store_has_yet():
    path = Path(__file__).parent.parent / "params/tokens.yaml"
    facts = json.loads(genser("inspect", path, "--json").stdout)
    assert facts["features"] == {"tokens": "6 layers of 1024", "acoustics": "1 layers of 88"}
    learned = genser("-S", "train.tokens.embedding=learned", "inspect", path, "--json").stdout
    more = json.loads(learned)["parameters"], facts["parameters"]
    # 256 codes of each layer, 256 wide, in place of frozen centroids of 1024.
    counts = [int(one.split(" ")[0].replace(",", "")) for one in more]
    assert counts[0] - counts[1] == 6 * (256 * 256 + 256 * 256 - 1024 * 256)
