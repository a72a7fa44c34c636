"""Every command through the click group: success, refusal, exit codes, messages."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from pipeline.experiments import crossval
from pipeline.heads.catalogue import head_kinds
from pipeline.manifests.leaks import Leaks
from pipeline.scoring.predictions import read_predictions
from stages.cli import COMMANDS, main

TINY = """
prepare:
  demo: {num_speakers: 6, clips_per_emotion: 1}
extract: {encoder: demo/encoder, rows_per_shard: 8}
train:
  num_steps: 20
  batch_size: 8
  eval_every: 5
  genser:
    trunk: {width: 16, num_blocks: 1, num_heads: 2}
  twin:
    trunk: {width: 16, num_blocks: 1, num_heads: 2}
"""


EXTRACT = ["extract", "demo.csv", "--audio-root", "demo/audio", "--store", "s2"]


def genser(*words: object) -> Result:
    result = CliRunner().invoke(main, [str(w) for w in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*words: object) -> str:
    result = genser(*words)
    assert result.exit_code == 1, result.output
    return result.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder in which the whole pipeline has run once."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "params.yaml").write_text(TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in (
            "prepare demo demo -o demo.csv",
            "extract demo.csv --audio-root demo/audio --store store",
            "train demo.csv --store store --out head",
            "score demo.csv --store store --head head --out p.parquet",
            "report p.parquet --out report",
        ):
            result = genser(*words.split())
            assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def here(made, monkeypatch) -> Path:
    monkeypatch.chdir(made)
    return made


def write_manifest(path: Path, change) -> Path:
    table = pd.read_csv("demo.csv", dtype="str", keep_default_na=False)
    change(table).to_csv(path, index=False)
    return path


def test_predictions_have_every_row_in_manifest_order(here):
    manifest = pd.read_csv("demo.csv")
    table = read_predictions(here / "p.parquet").table.to_pandas()
    assert table["utterance_id"].tolist() == manifest["utterance_id"].tolist()
    assert table["label"].tolist() == manifest["emotion"].tolist()
    assert table["error"].isna().all()


def test_predictions_say_what_they_were_made_with(here):
    metadata = read_predictions(here / "p.parquet").metadata
    head = json.loads((here / "head/head.json").read_text())
    assert metadata["solver"] == "exponential"
    assert metadata["num_steps"] == 4
    assert metadata["seed"] == 0
    assert metadata["task"] == "emotion"
    assert metadata["leaks"] == Leaks().counts() == head["leaks"]


def test_metrics_are_those_of_the_predictions(here):
    table = read_predictions(here / "p.parquet").table.to_pandas()
    metrics = json.loads((here / "report/metrics.json").read_text())["p"]
    for split in ("train", "dev", "test"):
        rows = table[table["split"] == split]
        assert metrics[split]["wa"] == pytest.approx((rows.label == rows.predicted).mean())
    confusion = pd.read_csv(here / "report/confusion_p.csv")
    test = table[table["split"] == "test"]
    assert confusion["actual"].tolist() == test["label"].tolist()
    assert confusion["predicted"].tolist() == test["predicted"].tolist()
    assert (here / "report/confusion_p.png").read_bytes().startswith(b"\x89PNG")


def test_head_folder_has_no_checkpoint_left(here):
    names = sorted(p.name.split("-")[0] for p in (here / "head").iterdir())
    assert names == ["curves.png", "curves.tsv", "head.json", "weights"]


def test_scoring_twice_gives_the_same_bytes(here, tmp_path):
    out = tmp_path / "again.parquet"
    genser("score", "demo.csv", "--store", "store", "--head", "head", "--out", out)
    assert out.read_bytes() == (here / "p.parquet").read_bytes()


def test_training_twice_gives_the_same_bytes(here, tmp_path):
    genser("train", "demo.csv", "--store", "store", "--out", tmp_path / "head")
    for file in (here / "head").iterdir():
        assert (tmp_path / "head" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("solver", ["printed", "euler", "exponential"])
@pytest.mark.parametrize("readout", ["estimate", "literal", "state"])
def test_score_parameters_reach_the_sampler(here, tmp_path, solver, readout):
    out = tmp_path / "p.parquet"
    sets = ["-S", f"score.genser.solver={solver}", "-S", f"score.genser.readout={readout}"]
    words = ["score", "demo.csv", "--store", "store", "--head", "head", "--out", out]
    assert genser(*sets, "-S", "score.genser.num_steps=2", *words).exit_code == 0
    metadata = read_predictions(out).metadata
    found = (metadata["solver"], metadata["readout"], metadata["num_steps"])
    assert found == (solver, readout, 2)


def test_predict_says_what_score_says(here):
    table = read_predictions(here / "p.parquet").table.to_pandas()
    manifest = pd.read_csv("demo.csv")
    paths = [f"demo/audio/{path}" for path in manifest["path"][:3]]
    result = genser("predict", *paths, "--head", "head", "--json")
    answers = json.loads(result.stdout)
    assert [a["predicted"] for a in answers] == table["predicted"][:3].tolist()
    columns = [c for c in table if c.startswith("probability.")]
    for answer, row in zip(answers, table[columns].to_numpy(), strict=False):
        # A clip alone and in a batch agree to the last bits of the stored float16.
        np.testing.assert_allclose(list(answer["probabilities"].values()), row, atol=2e-3)


def test_predict_shows_a_bar_for_every_class(here):
    path = "demo/audio/" + pd.read_csv("demo.csv")["path"][0]
    lines = genser("predict", path, "--head", "head").stdout.splitlines()
    assert len(lines) == 6
    assert all("%" in line for line in lines)


def test_predict_keeps_going_after_a_bad_file_and_exits_with_3(here):
    path = "demo/audio/" + pd.read_csv("demo.csv")["path"][0]
    result = genser("predict", "nowhere.wav", path, "--head", "head")
    assert result.exit_code == 3
    assert "nowhere.wav: missing" in result.stderr
    assert path in result.stdout


def test_a_broken_clip_keeps_its_row_and_exits_with_3(here, tmp_path):
    def with_missing(table):
        table.loc[0, "path"] = "nowhere.wav"
        return table

    manifest = write_manifest(tmp_path / "m.csv", with_missing)
    words = ["extract", manifest, "--audio-root", "demo/audio", "--store", tmp_path / "s"]
    result = genser(*words)
    assert result.exit_code == 3
    assert "1 of 30 clips have no features" in result.stderr
    assert genser(*words, "--max-failed", "0.1").exit_code == 0
    assert (
        genser("train", manifest, "--store", tmp_path / "s", "--out", tmp_path / "h").exit_code == 0
    )
    out = tmp_path / "p.parquet"
    genser("score", manifest, "--store", tmp_path / "s", "--head", tmp_path / "h", "--out", out)
    table = read_predictions(out).table.to_pandas()
    assert len(table) == 30
    assert table["error"][0].startswith("missing: ")
    assert pd.isna(table["predicted"][0])
    assert table["error"][1:].isna().all()
    shown = genser("inspect", tmp_path / "s").stdout
    assert "missing" in shown


def test_an_unlabelled_row_is_scored_with_a_null_label(here, tmp_path):
    def without_label(table):
        table.loc[1, "emotion"] = ""
        return table

    manifest = write_manifest(tmp_path / "m.csv", without_label)
    out = tmp_path / "p.parquet"
    genser("score", manifest, "--store", "store", "--head", "head", "--out", out)
    table = read_predictions(out).table.to_pandas()
    assert pd.isna(table["label"][1])
    assert table["predicted"].notna().all()


def test_a_manifest_without_labels_at_all_is_scored(here, tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", lambda t: t.drop(columns="emotion"))
    out = tmp_path / "p.parquet"
    words = ["score", manifest, "--store", "store", "--head", "head", "--out", out]
    assert genser(*words).exit_code == 0
    assert read_predictions(out).table["label"].null_count == 30


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


@pytest.mark.parametrize("kind", ["npz", "npy", "parquet"])
def test_ingested_features_train_a_head_and_predict_refuses_it(here, tmp_path, kind):
    manifest = pd.read_csv("demo.csv")
    generator = np.random.default_rng(0)
    features = generator.normal(size=(30, 3, 12)).astype(np.float32)
    ids = manifest["utterance_id"].tolist()
    table = tmp_path / f"f.{kind}"
    if kind == "npz":
        np.savez(table, utterance_id=ids, features=features)
    elif kind == "parquet":
        rows = [row.tolist() for row in features]
        pd.DataFrame({"utterance_id": ids, "features": rows}).to_parquet(table)
    else:
        table.mkdir()
        for name, row in zip(ids, features, strict=True):
            np.save(table / f"{name}.npy", row)
    store, head = tmp_path / "s", tmp_path / "h"
    words = ["-S", "ingest.last_layer=1", "ingest", table, "--store", store]
    result = genser(*words)
    assert "x1 is row 1" in result.stdout
    assert genser(*words).stdout.startswith(f"{store}: 30 clips, 0 of them written")
    assert genser("train", "demo.csv", "--store", store, "--out", head).exit_code == 0
    assert json.loads((head / "head.json").read_text())["shapes"]["layers"]["last_layer"] == 1
    told = refused("predict", "demo/audio/" + manifest["path"][0], "--head", head)
    assert "ingested" in told


def test_ingesting_again_takes_changed_rows_only(here, tmp_path):
    features = np.random.default_rng(0).normal(size=(5, 2, 4)).astype(np.float32)
    ids = list("abcde")
    np.savez(tmp_path / "f.npz", utterance_id=ids, features=features)
    genser("ingest", tmp_path / "f.npz", "--store", tmp_path / "s")
    features[3] += 1
    np.savez(tmp_path / "f.npz", utterance_id=ids, features=features)
    result = genser("ingest", tmp_path / "f.npz", "--store", tmp_path / "s")
    assert "5 clips, 1 of them written" in result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"utterance_id": ["a", "a"], "features": np.ones((2, 3))}, "'a' occurs twice"),
        ({"utterance_id": ["a"], "features": np.ones((2, 3))}, "1 ids for 2 rows"),
        ({"utterance_id": ["a"], "features": np.ones(3)}, "shape"),
        ({"features": np.ones((2, 3))}, "cannot be read"),
        ({"utterance_id": ["a"], "features": np.array([object()])}, "cannot be read"),
    ],
)
def test_ingest_refuses_a_bad_table(tmp_path, content, message):
    np.savez(tmp_path / "f.npz", **content)
    told = refused("ingest", tmp_path / "f.npz", "--store", tmp_path / "s")
    assert message in told
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("what", ["store", "head", "p.parquet"])
def test_verify_finds_whole_things_whole_and_a_flipped_byte(here, tmp_path, what):
    copy = tmp_path / what
    (shutil.copytree if Path(what).is_dir() else shutil.copy)(what, copy)
    assert genser("verify", copy).stdout == f"{copy}: whole\n"
    file = max((p for p in [copy, *copy.rglob("*")] if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    assert file.name in refused("verify", copy)


@pytest.mark.parametrize("part", ["head.json", "curves.tsv", "curves.png", "weights-*"])
def test_a_flipped_byte_in_any_file_of_a_head_is_found(here, tmp_path, part):
    shutil.copytree("head", tmp_path / "head")
    (file,) = (tmp_path / "head").glob(part)
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    assert file.name in refused("verify", tmp_path / "head")


def test_a_damaged_shard_stops_train_and_is_refilled_after_repair(here, tmp_path):
    store = tmp_path / "store"
    shutil.copytree("store", store)
    shard = store / "views/layers/shards/000001.h5"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    told = refused("train", "demo.csv", "--store", store, "--out", tmp_path / "h")
    assert "000001.h5" in told
    assert "--repair" in told
    assert genser("verify", store, "--repair").exit_code == 0
    words = ["extract", "demo.csv", "--audio-root", "demo/audio", "--store", store]
    result = genser(*words)
    assert result.exit_code == 0
    assert "8 clips to extract, 22 in the store already" in result.stderr
    assert genser("train", "demo.csv", "--store", store, "--out", tmp_path / "h").exit_code == 0


@pytest.mark.parametrize("what", ["store", "head", "p.parquet", "params.yaml"])
def test_inspect_shows_everything_as_text_and_as_json(here, what):
    assert genser("inspect", what).exit_code == 0
    facts = json.loads(genser("inspect", what, "--json").stdout)
    assert facts["kind"]


def test_inspect_counts_the_paper_s_parameters_without_weights():
    path = Path(__file__).parent.parent / "params/paper.yaml"
    facts = json.loads(genser("inspect", path, "--json").stdout)
    assert facts["parameters"] == "71,360,535 (71.4 M)"
    assert facts["train"]["num_steps"] == 400_000
    assert facts["train"]["batch_size"] == 128
    assert facts["train"]["optimiser"]["learning_rate"] == 5e-4
    assert facts["train"]["select_by"] == "wa"


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
        (["-S", "train.num_steps=many", "inspect", "params.yaml"], "found 'many', wanted int"),
        (["-S", "train.num_steps=true", "inspect", "params.yaml"], "found True, wanted int"),
        (["-S", "train.optimiser.ema_decay=2", "inspect", "params.yaml"], "ema_decay: 2.0"),
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
            "no/encoder cannot be loaded",
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
            "--shard-index: 2 is not one of 0 to 1",
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


def test_an_empty_test_split_has_no_report(here, tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", lambda t: t[t["split"] != "test"])
    out = tmp_path / "p.parquet"
    genser("score", manifest, "--store", "store", "--head", "head", "--out", out)
    assert "no row of split 'test'" in refused("report", out, "--out", tmp_path / "r")
    words = ["-S", "report.split=dev", "report", out, "--out", tmp_path / "r"]
    assert genser(*words).exit_code == 0


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
    result = genser("-S", f"train.head={head}", "train", *words, "--out", tmp_path / "h")
    assert result.exit_code == 0, result.output
    assert genser("score", *words, "--head", tmp_path / "h", "--out", out).exit_code == 0
    found = read_predictions(out)
    assert found.metadata["head_kind"] == head
    assert found.table["error"].null_count == found.table.num_rows
    assert genser("inspect", tmp_path / "h").exit_code == 0
    assert genser("verify", tmp_path / "h").exit_code == 0


def test_heads_are_cross_validated_from_one_store(here, tmp_path):
    words = ["crossval", "demo.csv", "--store", "store", "--heads", "logreg,linear"]
    result = genser(*words, "--folds", 3, "--seeds", "0,1", "--out", tmp_path / "cv")
    assert result.exit_code == 0, result.output
    assert "logreg - linear: UA " in result.stdout
    assert sorted(path.name for path in (tmp_path / "cv").iterdir()) == [
        "comparisons.csv",
        "predictions.parquet",
        "runs",
        "standings.csv",
    ]
    page = tmp_path / "r"
    words = ["report", "p.parquet", "--manifest", "demo.csv", "--crossval", f"cv={tmp_path}/cv"]
    assert genser(*words, "--out", page).exit_code == 0
    assert (
        "cv: standings. There are fewer than 10: the ends say little."
        in (page / "report.md").read_text()
    )


def test_a_report_of_head_and_store_shows_layers_steps_and_the_way(here, tmp_path):
    words = ["report", "p.parquet", "--manifest", "demo.csv", "--head", "head", "--store", "store"]
    result = genser(*words, "--out", tmp_path / "r")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "r/report.md").read_text()
    for title in (
        "Systems",
        "Classes",
        "How far to believe it",
        "Learning",
        "Layers",
        "Steps, solvers and readouts",
        "One clip on its way",
        "Data",
        "Beside published numbers",
        "What was run",
    ):
        assert f"## {title}" in text
    assert (tmp_path / "r/report.html").stat().st_size > 100_000
    assert len(pd.read_csv(tmp_path / "r/steps.csv")) == 45


def test_a_report_trains_what_its_head_is_compared_with(here, tmp_path, monkeypatch):
    trained, train_rows = [], crossval.train_rows

    def counts(*args, **kwargs):
        trained.append(kwargs["config"].head)
        return train_rows(*args, **kwargs)

    monkeypatch.setattr(crossval, "train_rows", counts)
    words = ["report", "p.parquet", "--manifest", "demo.csv", "--head", "head", "--store", "store"]
    words += ["--against", "logreg,linear", "--out", tmp_path]
    result = genser(*words, "--variant", "soft=train.head=linear,train.linear.dropout=0.9")
    assert result.exit_code == 0, result.output
    assert trained == ["logreg", "linear", "linear"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert sorted(metrics) == ["linear", "logreg", "p", "soft"]
    page = (tmp_path / "report.md").read_text()
    assert "p against" in page
    assert "| soft |" in page
    assert not (tmp_path / "confusion_soft.png").exists()
    # What is wanted again is kept, what is not goes.
    result = genser(*words)
    assert result.exit_code == 0, result.output
    assert len(trained) == 3
    assert sorted(path.parent.name for path in (tmp_path / "runs").rglob("*.parquet")) == [
        "linear",
        "logreg",
    ]


def test_each_layer_is_probed_on_dev(here, tmp_path):
    result = genser("probe", "demo.csv", "--store", "store", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "probe.csv")
    assert table["layer"].tolist() == list(range(len(table)))
    assert table["dev_ua"].between(0, 1).all()
    assert f"best on dev: layer {table['dev_ua'].idxmax()}" in result.stdout


def test_a_parameter_is_swept_on_dev(here, tmp_path):
    words = ["sweep", "demo.csv", "train.genser.sigma=0.5,5", "--store", "store"]
    result = genser(*words, "--seeds", "0,1", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "train_genser_sigma.csv")
    assert table[["value", "seed"]].to_numpy().tolist() == [[0.5, 0], [5, 0], [0.5, 1], [5, 1]]
    assert (tmp_path / "train_genser_sigma.png").exists()


def test_what_is_swept_under_score_is_trained_once(here, tmp_path, monkeypatch):
    trained, train_rows = [], crossval.train_rows

    def counts(*args, **kwargs):
        trained.append(kwargs["config"])
        return train_rows(*args, **kwargs)

    monkeypatch.setattr(crossval, "train_rows", counts)
    words = [
        "sweep",
        "demo.csv",
        "score.genser.num_steps=1,2,4",
        "--store",
        "store",
        "--out",
        tmp_path,
    ]
    assert genser(*words).exit_code == 0
    assert len(trained) == 1
    assert len(pd.read_csv(tmp_path / "score_genser_num_steps.csv")) == 3
    assert genser(*words).exit_code == 0
    assert len(trained) == 1  # what is finished is kept


def test_trials_are_compared_over_folds_on_dev_alone(here, tmp_path):
    folded = genser("split", "demo.csv", "--folds", "2", "-o", tmp_path / "folds.csv")
    assert folded.exit_code == 0, folded.output
    (tmp_path / "trials.yaml").write_text(
        "plain: {train.head: logreg, train.logreg.strength: 0.01}\n"
        "last: {train.head: logreg, train.logreg.strength: 0.01, train.logreg.input: last}\n"
    )
    words = ["sweep", tmp_path / "folds.csv", tmp_path / "trials.yaml", "--store", "store"]
    result = genser(*words, "--fold", "1", "--fold", "2", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "out/trials.csv", dtype={"fold": str})
    assert table[["value", "fold"]].to_numpy().tolist() == [
        ["plain", "1"],
        ["last", "1"],
        ["plain", "2"],
        ["last", "2"],
    ]
    for run in (tmp_path / "out/trials/runs").rglob("*.parquet"):
        assert set(read_predictions(run).table["split"].to_pylist()) == {"dev"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("crossval demo.csv --store store --out x", "has no folds; give --folds K, or make them"),
        (
            "crossval demo.csv --store store --out x --heads genser,svm",
            "--heads genser,svm: wanted",
        ),
        (
            "crossval demo.csv --store store --out x --seeds 0,a",
            "--seeds 0,a: wanted whole numbers",
        ),
        ("crossval demo.csv --store store --out x --seeds 1,1", "--seeds 1,1: names one twice."),
        ("crossval demo.csv --store store --out x --folds 99", "6 groups by 'speaker'"),
        (
            "crossval demo.csv --store store --out x --protocol cross-corpus",
            "has the corpora ['demo'], wanted at least two",
        ),
        (
            "sweep demo.csv report.split=dev --store store --out x",
            "with the section train or score",
        ),
        (
            "sweep demo.csv train.head=a/b --store store --out x",
            "['a/b'] cannot name a run",
        ),
        ("sweep demo.csv none.yaml --store store --out x", "none.yaml: cannot be read"),
        (
            "crossval demo.csv --store store --out x --folds 2 --variant genser=train.seed=1",
            "--variant genser=train.seed=1: there is a 'genser' already; rename one.",
        ),
        (
            "crossval demo.csv --store store --out x --folds 2 --variant seeds",
            "--variant seeds: wanted NAME=section.key=value,... or NAME=params.yaml",
        ),
        ("sweep demo.csv train.sigmoid=1 --store store --out x", "has unknown keys ['sigmoid']"),
        (
            "report p.parquet --against logreg --out x",
            "--against and --variant: need --store, --head and --manifest too.",
        ),
        (
            "report p.parquet --manifest demo.csv --head head --store store --out x "
            "--variant p=train.seed=1",
            "--against: 'p' is a predictions file too; rename that.",
        ),
        ("report p.parquet --store store --out x", "--store: needs --head and --manifest too."),
        (
            "report p.parquet --with other --out x",
            "--with other: wanted NAME=PATH, each name once.",
        ),
        ("report p.parquet --crossval cv=demo --out x", "demo: holds no cross-validation; run"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(here, tmp_path, words, message):
    words = words.replace("--out x", f"--out {tmp_path}/x")
    assert message in refused(*words.split())
