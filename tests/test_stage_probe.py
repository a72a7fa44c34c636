"""`genser probe --head`, and the probes that a cross-validation keeps of its runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused
from helpers.knowing import Corpus, write_corpus
from pipeline.experiments.probe_files import read_probes, write_probes
from pipeline.manifests.manifest import write_manifest

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")
SET = ["-S", "train.num_steps=2", "-S", "train.eval_every=2"]


@pytest.fixture
def there(tmp_path: Path, install) -> Corpus:
    entry = {"genser.heads": "knowing = knowing_head:KIND"}
    install("knowing_head", "from helpers.knowing import KIND\n", entry)
    return write_corpus(tmp_path)


def train(there: Corpus, head: str = "knowing", *more: str) -> Path:
    out = there.store.parent / head
    words = [*SET, "-S", f"train.head={head}", *more, "train", there.manifest.path]
    done = genser(*words, "--store", there.store, "--out", out)
    assert done.exit_code == 0, done.output
    return out


def test_a_head_is_probed_beside_what_it_reads(there: Corpus, tmp_path: Path) -> None:
    words = ["probe", there.manifest.path, "--store", there.store, "--head", train(there)]
    done = genser(*words, "--out", tmp_path / "probed")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "probed/representations.csv")
    assert set(table["question"]) == {"emotion", "sentence"}
    assert set(table["representation"]) == {"content", "descriptor", "mean of frames"}
    shown = next(line for line in done.output.splitlines() if "sentence" in line)
    assert "1.000 [1.000, 1.000]" in shown
    assert (tmp_path / "probed/representations.png").read_bytes().startswith(b"\x89PNG")


def test_another_split_than_the_head_s_is_refused(there: Corpus, tmp_path: Path) -> None:
    head = train(there)
    table = there.manifest.table.copy()
    table["split"] = table["split"].replace({"test": "train"})
    write_manifest(tmp_path / "other.csv", table)
    words = ["--store", there.store, "--head", head, "--out", tmp_path / "probed"]
    assert "its training clips are not those that the head was trained on (36)" in refused(
        "probe", tmp_path / "other.csv", *words
    )
    assert "--label-map: a head has its own" in refused(
        "probe", there.manifest.path, *words, "--label-map", tmp_path / "any.yaml"
    )


def test_labels_of_one_value_cannot_be_asked_for(there: Corpus, tmp_path: Path) -> None:
    head = train(there)
    table = there.manifest.table.copy()
    table.loc[table["split"] == "dev", ["emotion", "text"]] = ["calm", "one"]
    write_manifest(tmp_path / "plain.csv", table)
    words = ["--store", there.store, "--head", head, "--out", tmp_path / "probed"]
    message = refused("probe", tmp_path / "plain.csv", *words)
    assert "no column can be asked for, wanted one with two values" in message


def test_a_cross_validation_keeps_the_probes_of_each_run(there: Corpus, tmp_path: Path) -> None:
    words = [*SET, "crossval", there.manifest.path, "--store", there.store, "--heads", "knowing"]
    words += ["--folds", "3", "--seeds", "0,1", "--out", tmp_path / "cv"]
    assert genser(*words).exit_code == 0
    table = pd.read_csv(tmp_path / "cv/probes.csv")
    assert len(table.groupby(["system", "fold", "seed"])) == 6
    descriptor = table[table["representation"] == "descriptor"].set_index("question")["ua"]
    assert (descriptor["emotion"] == 1).all()
    # What is kept is not asked again, and says the same.
    one = tmp_path / "cv/runs/knowing/1-1.parquet"
    write_probes(one, read_probes(one).assign(ua=0.25))
    assert genser(*words).exit_code == 0
    again = pd.read_csv(tmp_path / "cv/probes.csv")
    changed = (again["fold"] == 1) & (again["seed"] == 1)
    assert set(again[changed]["ua"]) == {0.25}
    np.testing.assert_array_equal(again[~changed]["ua"], table[~changed]["ua"])


def test_a_report_shows_what_its_head_knows_on_the_split_of_the_report(
    there: Corpus, tmp_path: Path
) -> None:
    head = train(there)
    words = [there.manifest.path, "--store", there.store, "--head", head]
    assert genser("score", *words, "--out", tmp_path / "p.parquet").exit_code == 0
    words = ["report", tmp_path / "p.parquet", "--manifest", *words, "--out", tmp_path / "r"]
    assert genser(*words).exit_code == 0
    table = pd.read_csv(tmp_path / "r/representations.csv")
    assert set(table["question"]) == {"emotion", "gender", "sentence", "speaker"}
    page = (tmp_path / "r/report.md").read_text()
    assert "## What each representation knows" in page
    assert "(representations.png)" in page
    assert genser("-S", "report.split=train", *words[:-1], tmp_path / "t").exit_code == 0
    assert not (tmp_path / "t/representations.csv").exists()
