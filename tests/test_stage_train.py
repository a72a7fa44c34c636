import json
import shutil

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused, write_manifest
from pipeline.heads.catalogue import head_kinds
from pipeline.manifests.leaks import Leaks
from pipeline.scoring.predictions import read_predictions


def test_head_folder_has_no_checkpoint_left(here):
    names = sorted(p.name.split("-")[0] for p in (here / "head").iterdir())
    assert names == ["curves.png", "curves.tsv", "head.json", "weights"]


def test_training_twice_gives_the_same_bytes(here, tmp_path):
    genser("train", "demo.csv", "--store", "store", "--out", tmp_path / "head")
    for file in (here / "head").iterdir():
        assert (tmp_path / "head" / file.name).read_bytes() == file.read_bytes()


def test_a_head_of_layers_that_are_not_held_is_the_same_bytes(here, tmp_path):
    words = ["train", "demo.csv", "--store", "store", "--memory-gb", "0"]
    told = genser(*words, "--out", tmp_path / "head", "--dry-run").stdout
    assert "features take at most 0.0 MB of memory at once" in told
    genser(*words, "--out", tmp_path / "head")
    for file in (here / "head").iterdir():
        assert (tmp_path / "head" / file.name).read_bytes() == file.read_bytes()


def test_another_label_column_trains_from_the_same_store(here, tmp_path):
    words = ["train", "demo.csv", "--store", "store", "--task", "gender", "--out", tmp_path / "h"]
    assert genser(*words).exit_code == 0
    head = json.loads((tmp_path / "h/head.json").read_text())
    assert head["classes"] == ["female", "male"]


def test_a_label_map_gives_the_classes_in_its_order(here, tmp_path):
    label_map = tmp_path / "map.yaml"
    label_map.write_text(
        "classes: [up, down]\nmap: {happy: up, angry: up, sad: down, fearful: down}\n"
        "drop: [neutral]\n"
    )
    words = ["train", "demo.csv", "--store", "store", "--label-map", label_map]
    assert genser(*words, "--out", tmp_path / "h").exit_code == 0
    out = tmp_path / "p.parquet"
    genser("score", "demo.csv", "--store", "store", "--head", tmp_path / "h", "--out", out)
    predictions = read_predictions(out)
    assert predictions.classes == ("up", "down")
    manifest = pd.read_csv("demo.csv")
    labels = predictions.table.to_pandas()["label"]
    assert labels[manifest["emotion"] == "neutral"].isna().all()
    assert (labels[manifest["emotion"] == "sad"] == "down").all()


def test_corpora_of_one_store_and_a_missing_split_are_told_in_a_line(here, tmp_path):
    def with_another(table):
        other = table.assign(corpus="other", utterance_id="o" + table["utterance_id"])
        return pd.concat([table, other])

    two = write_manifest(tmp_path / "two.csv", with_another)
    assert refused("train", two, "--store", "store", "--out", tmp_path / "h") == (
        f"Error: {two}: none of the 30 rows of corpus 'other' is in store, which serves 2 corpora "
        "here; give each its own by --store other=STORE, or run 'genser extract' (or ingest) on "
        "this manifest.\n"
    )
    named = write_manifest(tmp_path / "named.csv", lambda t: t.rename(columns={"split": "part"}))
    told = refused("train", named, "--store", "store", "--out", tmp_path / "h")
    assert "the column 'split' is absent or empty, found ['utterance_id', 'path'," in told
    assert "'part'" in told
    assert told.count("\n") == 1


def test_an_option_that_is_a_parameter_is_pointed_out(tmp_path):
    told = refused("train", "--head", "linear", "demo.csv", "--out", tmp_path / "h")
    assert told.startswith("Error: No such option '--head'.")
    assert " It is a parameter: genser -S train.head=VALUE train. See '" in told
    assert "-S report.margin=VALUE" in refused("report", "--margin", "0.1")
    assert "parameter" not in refused("train", "--hed", "linear")
    assert "parameter" not in refused("inspect", "--head", "linear")


def test_a_dev_part_without_a_class_of_train_is_told(here, tmp_path):
    manifest = write_manifest(
        tmp_path / "m.csv", lambda t: t[(t["split"] != "dev") | (t["emotion"] != "sad")]
    )
    result = genser("train", manifest, "--store", "store", "--out", tmp_path / "h")
    line = f"{manifest}: dev lacks sad, which train has: scores on dev say nothing of that"
    assert line in result.stderr.splitlines()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(split="train"), "no row of split 'dev'"),
        (lambda t: t.assign(emotion="happy"), "only the class 'happy'"),
        (lambda t: t[t["split"] != "train"], "no row of split 'train'"),
        (lambda t: t.assign(emotion=["hapy", *t["emotion"][1:]]), None),
        (lambda t: t.drop(columns="emotion"), "no label column 'emotion'"),
        (lambda t: t.assign(speaker="one"), "--allow-speaker-overlap"),
        (
            lambda t: t.assign(utterance_id=["new", *t["utterance_id"][1:]]),
            "'new' was never extracted",
        ),
        (
            lambda t: t.assign(utterance_id=[t["utterance_id"][1], *t["utterance_id"][1:]]),
            "is used in an earlier row",
        ),
        (lambda t: t.assign(split="trian"), "'trian' is not one of"),
    ],
)
def test_train_refuses_and_names_the_fault(here, tmp_path, change, message):
    manifest = write_manifest(tmp_path / "m.csv", change)
    if message is None:
        label_map = tmp_path / "map.yaml"
        label_map.write_text("classes: [neutral, happy, sad, angry, fearful]\n")
        words = ["--label-map", label_map]
        message = "emotion 'hapy' is not one of"
    else:
        words = []
    told = refused("train", manifest, "--store", "store", "--out", tmp_path / "h", *words)
    assert message in told
    assert "m.csv" in told
    assert not (tmp_path / "h/head.json").exists()


def test_an_allowed_overlap_is_stamped(here, tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", lambda t: t.assign(speaker="one"))
    words = ["train", manifest, "--store", "store", "--out", tmp_path / "h"]
    assert genser(*words, "--allow-speaker-overlap").exit_code == 0
    out = tmp_path / "p.parquet"
    genser("score", manifest, "--store", "store", "--head", tmp_path / "h", "--out", out)
    assert genser("report", out, "--out", tmp_path / "r").exit_code == 0
    metrics = json.loads((tmp_path / "r/metrics.json").read_text())["p"]
    assert metrics["head_leaks"] == metrics["leaks"] == {**Leaks().counts(), "shared_speakers": 1}


def test_the_same_audio_in_two_splits_is_refused(here, tmp_path):
    table = pd.read_csv("demo.csv", dtype="str")
    first = table[table["split"] == "train"].iloc[0]
    other = int(np.flatnonzero(table["split"] == "test")[0])
    audio = tmp_path / "audio"
    shutil.copytree("demo/audio", audio)
    shutil.copy(audio / first["path"], audio / table["path"][other])

    def told_so(t):
        t.loc[other, "num_samples"] = first["num_samples"]
        return t

    manifest = write_manifest(tmp_path / "m.csv", told_so)
    store = tmp_path / "s"
    assert genser("extract", manifest, "--audio-root", audio, "--store", store).exit_code == 0
    told = refused("train", manifest, "--store", store, "--out", tmp_path / "h")
    assert "1 contents of clips are in more than one split" in told
    words = ["validate", manifest, "--audio-root", audio]
    assert genser(*words).exit_code == 0
    assert "1 contents of clips are in more than one split" in refused(*words, "--audio")
    assert genser("audit", manifest).exit_code == 0
    assert genser("audit", manifest, "--store", store).exit_code == 1


def test_one_recording_in_two_splits_is_refused(here, tmp_path):
    def copied(t):
        other = int(np.flatnonzero(t["split"] == "test")[0])
        t.loc[other, "path"] = t[t["split"] == "train"]["path"].iloc[0]
        return t

    manifest = write_manifest(tmp_path / "m.csv", copied)
    told = refused("validate", manifest)
    assert "1 utterances overlap in their file with one of another split" in told


def test_a_fold_is_trained_and_scored(here, tmp_path):
    folds = tmp_path / "folds.csv"
    assert genser("split", "demo.csv", "--folds", 3, "-o", folds).exit_code == 0
    told = refused("train", folds, "--store", "store", "--out", tmp_path / "h")
    assert "choose one of the folds ['1', '2', '3'] with --fold" in told
    words = ["--store", "store", "--fold", "2"]
    assert genser("train", folds, *words, "--out", tmp_path / "h").exit_code == 0
    out = tmp_path / "p.parquet"
    assert genser("score", folds, *words, "--head", tmp_path / "h", "--out", out).exit_code == 0
    wanted = pd.read_csv(folds)["split.2"].tolist()
    assert read_predictions(out).table["split"].to_pylist() == wanted


def test_more_classes_than_the_code_can_hold_are_refused(here, tmp_path):
    ids = [f"u{i}" for i in range(24)]
    features = np.random.default_rng(0).normal(size=(24, 2, 8)).astype(np.float32)
    np.savez(tmp_path / "f.npz", utterance_id=ids, features=features)
    genser("ingest", tmp_path / "f.npz", "--store", tmp_path / "s")
    pd.DataFrame(
        {
            "utterance_id": ids,
            "path": [f"{name}.wav" for name in ids],
            "split": ["train", "dev"] * 12,
            "emotion": [f"class {i // 2}" for i in range(24)],
        }
    ).to_csv(tmp_path / "m.csv", index=False)
    told = refused("train", tmp_path / "m.csv", "--store", tmp_path / "s", "--out", tmp_path / "h")
    assert "12" in told


def test_a_store_of_another_recipe_is_refused_by_field(here, tmp_path):
    other = tmp_path / "s"
    words = ["extract", "demo.csv", "--audio-root", "demo/audio", "--store", other]
    assert genser("-S", "extract.pooling=mean_std", *words).exit_code == 0
    told = refused(*words)
    assert "pooling is 'mean_std', wanted 'mean'" in told
    out = tmp_path / "p.parquet"
    told = refused("score", "demo.csv", "--store", other, "--head", "head", "--out", out)
    assert "pooling is 'mean_std', wanted 'mean'" in told
    assert not out.exists()


def test_two_corpora_in_two_stores_train_one_head(here, tmp_path):
    table = pd.read_csv("demo.csv", dtype="str", keep_default_na=False)
    table["corpus"] = np.where(table["gender"] == "female", "a", "b")
    manifests = {}
    for corpus, rows in table.groupby("corpus"):
        manifests[corpus] = tmp_path / f"{corpus}.csv"
        rows.to_csv(manifests[corpus], index=False)
        store = tmp_path / f"store_{corpus}"
        words = ["extract", manifests[corpus], "--audio-root", "demo/audio", "--store", store]
        assert genser(*words).exit_code == 0
    merged = tmp_path / "all.csv"
    table["store_id"] = table["utterance_id"]
    table["utterance_id"] = table["corpus"] + "/" + table["utterance_id"]
    table.to_csv(merged, index=False)
    stores = ["--store", f"a={tmp_path / 'store_a'}", "--store", f"b={tmp_path / 'store_b'}"]
    assert genser("train", merged, *stores, "--out", tmp_path / "h").exit_code == 0
    out = tmp_path / "p.parquet"
    genser("score", merged, *stores, "--head", "head", "--out", out)
    ours = read_predictions(out).table.to_pandas()
    whole = read_predictions(here / "p.parquet").table.to_pandas()
    assert (ours["predicted"] == whole["predicted"]).mean() > 0.95
    assert "corpus 'b' has no store" in refused(
        "train", merged, *stores[:2], "--out", tmp_path / "h2"
    )


@pytest.mark.parametrize("head", list(head_kinds()))
def test_every_head_is_trained_scored_and_inspected_alike(here, tmp_path, head):
    words = ["demo.csv", "--store", "store"]
    out = tmp_path / "p.parquet"
    if head == "descriptors":  # it reads nothing but frames
        words = ["demo.csv", "--store", tmp_path / "s"]
        frames = ("-S", "extract.views={frames: {layers: [-1]}}")
        genser(*frames, "extract", *words, "--audio-root", "demo/audio")
    # The head of tokens has no codes to read in this store; it takes the layers for acoustics.
    says = ["-S", "train.tokens.input=none", "-S", "train.tokens.acoustics=layers"]
    # Nor frames: EmoQ reads its sentences alone.
    says += ["-S", "train.emoq.input=text", "-S", "train.emoq.language=demo/language"]
    says += ["-S", "train.descriptors.describe=false", "-S", "train.descriptors.stage1_steps=2"]
    says += ["-S", "train.descriptors.language=demo/language"]
    says += ["-S", "train.descriptors.base_dtype=float32"]
    result = genser("-S", f"train.head={head}", *says, "train", *words, "--out", tmp_path / "h")
    assert result.exit_code == 0, result.output
    assert genser("score", *words, "--head", tmp_path / "h", "--out", out).exit_code == 0
    found = read_predictions(out)
    assert found.metadata["head_kind"] == head
    assert found.table["error"].null_count == found.table.num_rows
    assert genser("inspect", tmp_path / "h").exit_code == 0
    assert genser("verify", tmp_path / "h").exit_code == 0
