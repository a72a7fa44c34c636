import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.work import Pickled
from pipeline.dataset import StoredFeatures
from pipeline.engines.base import SERIAL
from pipeline.errors import ManifestError
from pipeline.evaluation.columns import class_order
from pipeline.evaluation.standings import comparison, standing
from pipeline.experiments import crossval, running
from pipeline.experiments.crossval import cross_validate
from pipeline.experiments.parts import corpus_pairs
from pipeline.experiments.plan import Plan, System
from pipeline.experiments.probing import probe_layers
from pipeline.experiments.tables import out_of_fold, write_tables
from pipeline.extraction.feature_tables import read_feature_table
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.heads.classifier import LinearConfig
from pipeline.heads.saved import load_head
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.manifests.splits import make_folds, with_splits
from pipeline.progress import Silence
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.store import reader
from pipeline.training.config import TrainConfig
from pipeline.training.rows import choose_rows
from pipeline.training.train import train_manifest

CLASSES = ("angry", "calm", "sad")


@pytest.fixture
def made(tmp_path: Path) -> tuple[Manifest, Path]:
    """Nine speakers of two corpora, features in which layer 1 knows the class."""
    generator = np.random.default_rng(0)
    rows = []
    for speaker in range(9):
        for clip in range(6):
            corpus = "ab"[speaker % 2]
            rows.append(
                {
                    "utterance_id": f"s{speaker}_{clip}",
                    "path": f"{speaker}_{clip}.wav",
                    "corpus": corpus,
                    "speaker": f"s{speaker}",
                    "split": ("train", "train", "dev", "dev", "test")[speaker // 2],
                    "emotion": CLASSES[clip % 3],
                }
            )
    table = pd.DataFrame(rows)
    features = generator.normal(size=(54, 2, 16)).astype(np.float32)
    places = table["emotion"].map(CLASSES.index).to_numpy()
    features[np.arange(54), 1, places] += 4
    np.savez(tmp_path / "f.npz", utterance_id=table["utterance_id"].tolist(), features=features)
    ingest(read_feature_table(tmp_path / "f.npz"), tmp_path / "store", IngestConfig(), Silence())
    write_manifest(tmp_path / "m.csv", table)
    return read_manifest(tmp_path / "m.csv"), tmp_path / "store"


def folds_of(manifest: Manifest, num_folds: int = 3) -> dict[str, Manifest]:
    made = make_folds(
        manifest.table,
        manifest.table["emotion"],
        by="speaker",
        num_folds=num_folds,
        dev_fraction=1 / 3,
        seed=0,
    )
    table = with_splits(manifest.table, made.columns)
    folded = Manifest(manifest.path, table, manifest.first_row)
    return {fold: folded.of_fold(fold) for fold in folded.folds}


TRAIN = TrainConfig(num_steps=8, eval_every=4, heads={"linear": LinearConfig(input="all")})


def plan(*, heads=("linear", "logreg"), train=TRAIN, score=None, **changes) -> Plan:
    settings = {
        "systems": {
            head: System(train=replace(train, head=head), score=score or ScoreConfig())
            for head in heads
        },
        "seeds": (0, 1),
        "task": "emotion",
        "label_map": None,
        "allow_overlap": False,
        "device": "cpu",
    }
    return Plan(**{**settings, **changes})


def run(made, out: Path, **changes) -> list[crossval.Run]:
    manifest, store = made
    return cross_validate(folds_of(manifest), {"": store}, plan(**changes), out, reporter=Silence())


def test_every_clip_is_tested_once_by_every_head_and_seed(made, tmp_path: Path) -> None:
    runs = run(made, tmp_path / "cv")
    table = out_of_fold(runs, made[0], None)
    assert len(runs) == 2 * 3 * 2
    for _, part in table.groupby(["system", "seed"]):
        assert sorted(part["utterance_id"]) == sorted(made[0].table["utterance_id"])
    truth = made[0].table.set_index("utterance_id")
    assert (table["label"] == table["utterance_id"].map(truth["emotion"])).all()
    assert (table["speaker"] == table["utterance_id"].map(truth["speaker"])).all()
    one = table[(table["system"] == "logreg") & (table["seed"] == 0)]
    assert (one["label"] == one["predicted"]).mean() > 0.8


def test_a_stopped_run_goes_on_and_ends_the_same(made, tmp_path: Path, monkeypatch) -> None:
    whole = out_of_fold(run(made, tmp_path / "whole"), made[0], None)
    trained, train_rows = [], running.train_rows

    def stops(*args, **kwargs):
        trained.append(kwargs["config"].head)
        if len(trained) == 5:
            raise KeyboardInterrupt
        return train_rows(*args, **kwargs)

    monkeypatch.setattr(running, "train_rows", stops)
    with pytest.raises(KeyboardInterrupt):
        run(made, tmp_path / "cv")
    resumed = run(made, tmp_path / "cv")
    assert len(trained) == 5 + 8
    pd.testing.assert_frame_equal(out_of_fold(resumed, made[0], None), whole)
    run(made, tmp_path / "cv")
    assert len(trained) == 13


def test_what_workers_give_back_is_the_same_to_the_byte(made, tmp_path: Path) -> None:
    manifest, store = made
    for name, engine in (("here", SERIAL), ("away", Pickled())):
        out = tmp_path / name
        folds = folds_of(manifest)
        cross_validate(folds, {"": store}, plan(), out, reporter=Silence(), engine=engine)
    here = sorted((tmp_path / "here").rglob("*.parquet"))
    assert len(here) == 2 * 3 * 2
    for path in here:
        away = tmp_path / "away" / path.relative_to(tmp_path / "here")
        assert away.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("over", ["all", "speaker"])
def test_runs_that_share_what_is_read_are_those_that_train_and_score_make(
    made, tmp_path: Path, monkeypatch, over: str
) -> None:
    opened, open_rows = [], reader.open_rows
    monkeypatch.setattr(reader, "open_rows", lambda *a, **k: opened.append(a) or open_rows(*a, **k))
    train = replace(TRAIN, standardise_over=over)
    runs = run(made, tmp_path / "cv", heads=("linear", "twin", "logreg"), train=train)
    # Once for all 18 trainings and what each of them scores.
    assert len(opened) == 1
    folds, stores = folds_of(made[0]), {"": made[1]}
    for one in (runs[0], runs[9], runs[17]):
        selection, head = tmp_path / f"{one.system}-{one.fold}", replace(train, head=one.system)
        train_manifest(
            folds[one.fold],
            stores,
            task="emotion",
            label_map=None,
            config=replace(head, seed=one.seed),
            out=selection,
            allow_overlap=False,
            device="cpu",
            reporter=Silence(),
        )
        trained = load_head(selection)
        alone = score_manifest(folds[one.fold], stores, trained, ScoreConfig(), device="cpu")
        assert one.predictions.metadata["head"] == trained.digest
        tested = alone.frame[alone.frame["split"] == "test"].reset_index(drop=True)
        pd.testing.assert_frame_equal(one.predictions.frame, tested, check_exact=True)


def test_layers_that_workers_probe_are_those_probed_here(made) -> None:
    manifest, store = made
    fold = folds_of(manifest)["1"]
    features = StoredFeatures(fold, {"": store})
    rows = choose_rows(fold, features, task="emotion", label_map=None, allow_overlap=False)
    here, away = (
        probe_layers(features, rows, reporter=Silence(), engine=engine)
        for engine in (SERIAL, Pickled())
    )
    pd.testing.assert_frame_equal(here, away, check_exact=True)


def test_a_run_is_made_again_when_what_it_was_made_with_changed(made, tmp_path, monkeypatch):
    run(made, tmp_path / "cv", seeds=(0,))
    counted, train_rows = [], running.train_rows

    def counts(*args, **kwargs):
        counted.append(kwargs["config"].head)
        return train_rows(*args, **kwargs)

    monkeypatch.setattr(running, "train_rows", counts)
    run(made, tmp_path / "cv", seeds=(0,), heads=("logreg",))
    assert counted == []
    longer = TrainConfig(num_steps=9, eval_every=4, heads={"linear": LinearConfig(input="all")})
    run(made, tmp_path / "cv", seeds=(0,), heads=("linear",), train=longer)
    assert counted == ["linear"] * 3
    damaged = tmp_path / "cv" / "runs" / "logreg" / "1-0.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    run(made, tmp_path / "cv", seeds=(0,), heads=("logreg",))
    assert counted == ["linear"] * 3 + ["logreg"]
    # So it is when what stands beside a run is damaged: what it took, what its head knows within.
    for suffix, gone in itertools.product((".cost.json", ".probes.json"), (False, True)):
        beside = damaged.with_suffix(suffix)
        beside.unlink() if gone else beside.write_bytes(b"{}")
        run(made, tmp_path / "cv", seeds=(0,), heads=("logreg",))
        assert counted.pop() == "logreg"
    assert counted == ["linear"] * 3 + ["logreg"]


def test_standings_pool_folds_and_average_seeds(made, tmp_path: Path) -> None:
    table = out_of_fold(run(made, tmp_path / "cv"), made[0], None)
    mine = table[table["system"] == "linear"]
    found = standing(mine, class_order(table), cluster="speaker")
    is_right = mine["label"] == mine["predicted"]
    by_seed = is_right.groupby(mine["seed"]).mean()
    assert found.scores["wa"].value == pytest.approx(by_seed.mean())
    by_fold = is_right.groupby([mine["fold"], mine["seed"]]).mean()
    assert found.fold_scores["wa"] == pytest.approx((by_fold.mean(), by_fold.std(ddof=1)))
    recall = is_right.groupby([mine["seed"], mine["label"]]).mean().groupby("seed").mean()
    assert found.scores["ua"].value == pytest.approx(recall.mean())
    assert found.seed_sd == pytest.approx(recall.std(ddof=1))
    assert found.scores["ua"].num_clusters == 9
    assert (found.num_clips, found.num_seeds, found.num_classes) == (54, 2, 3)
    assert found.majority_rate == pytest.approx(1 / 3)


def test_tables_are_written_and_told(made, tmp_path: Path) -> None:
    runs = run(made, tmp_path / "cv")
    lines = write_tables(
        tmp_path / "cv", runs, made[0], None, cluster="speaker", margin=0.02, is_matrix=False
    )
    assert lines[0].startswith("linear: UA ")
    assert lines[2].startswith("linear - logreg: UA ")
    assert lines[3] == "only 9 speakers were resampled, so the ends of intervals say little"
    standings = pd.read_csv(tmp_path / "cv" / "standings.csv")
    assert standings["system"].tolist() == ["linear", "logreg"] * 3
    assert standings["clusters"].tolist() == [9, 9, 5, 5, 4, 4]
    table = pd.read_parquet(tmp_path / "cv" / "predictions.parquet")
    assert len(table) == 54 * 4
    compared = pd.read_csv(tmp_path / "cv" / "comparisons.csv").iloc[0]
    found = comparison(
        table, "linear", "logreg", class_order(table), cluster="speaker", margin=0.02
    )
    assert compared["ua_difference"] == pytest.approx(found.difference.value, abs=1e-6)


def test_each_corpus_is_tested_by_heads_of_each_other_on_shared_classes(made, tmp_path) -> None:
    manifest, store = made
    table = manifest.table.copy()
    table.loc[(table["corpus"] == "b") & (table["emotion"] == "sad"), "emotion"] = "bored"
    odd = Manifest(manifest.path, table, manifest.first_row)
    pairs = list(corpus_pairs(odd, table["emotion"], table["split"], task="emotion"))
    assert [(source, target) for source, target, _ in pairs] == [("a", "b"), ("b", "a")]
    for source, target, found in pairs:
        used = found.table[found.table["split"] != ""]
        assert set(used["emotion"]) == {"angry", "calm"}
        assert set(used["corpus"][used["split"] == "test"]) == {target}
        assert set(used["corpus"][used["split"] != "test"]) == {source}
    parts = {f"{source}-{target}": found for source, target, found in pairs}
    runs = cross_validate(parts, {"": store}, plan(seeds=(0,)), tmp_path / "cc", reporter=Silence())
    write_tables(tmp_path / "cc", runs, odd, None, cluster="speaker", margin=0.02, is_matrix=True)
    matrix = pd.read_csv(tmp_path / "cc" / "matrix.csv")
    assert (
        matrix[["trained_on", "tested_on"]].to_numpy().tolist()
        == [["a", "b"]] * 2 + [["b", "a"]] * 2
    )
    assert (matrix["classes"] == 2).all()


def test_corpora_that_cannot_be_crossed_are_refused(made) -> None:
    manifest, _ = made
    table = manifest.table
    alone = Manifest(manifest.path, table.assign(corpus="a"), 2)
    with pytest.raises(ManifestError, match=r"has the corpora \['a'\], wanted at least two"):
        list(corpus_pairs(alone, table["emotion"], table["split"], task="emotion"))
    outside = Manifest(manifest.path, table.assign(corpus=table["corpus"].replace("b", "../b")), 2)
    with pytest.raises(ManifestError, match=r"column corpus: '\.\./b' cannot name a file; use"):
        list(corpus_pairs(outside, table["emotion"], table["split"], task="emotion"))
    apart = table["corpus"] + table["emotion"]
    with pytest.raises(ManifestError, match=r"a and b share the classes \[\], wanted at least"):
        list(corpus_pairs(manifest, apart, table["split"], task="emotion"))


def test_two_pairs_of_corpora_that_would_share_a_folder_are_refused(made) -> None:
    manifest, _ = made
    corpora = np.resize(["a", "a-b", "b-c", "c"], len(manifest.table))
    mixed = Manifest(manifest.path, manifest.table.assign(corpus=corpora), 2)
    table = mixed.table
    with pytest.raises(ManifestError, match=r"2 pairs of corpora are called 'a-b-c'; rename"):
        list(corpus_pairs(mixed, table["emotion"], table["split"], task="emotion"))
