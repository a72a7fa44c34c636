"""Priors, classes that a corpus lacks, and standardisation by corpus and speaker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset import StoredFeatures
from pipeline.errors import HeadError, ParamsError
from pipeline.evaluation.reliability import jensen_shannon
from pipeline.evaluation.standings import standing
from pipeline.extraction.feature_tables import read_feature_table
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.heads.catalogue import build_head, head_kinds
from pipeline.heads.classifier import LinearConfig, MLPConfig
from pipeline.heads.genser import GenSER, GenSERConfig
from pipeline.heads.logreg import LogRegConfig
from pipeline.heads.needs import LAYERS_OF_A_CLIP, FeatureShape
from pipeline.heads.saved import load_head
from pipeline.heads.standardiser import FEW_CLIPS, Standardiser
from pipeline.heads.trunk import TrunkConfig
from pipeline.heads.twin import TwinConfig
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.report.tables import prediction_table
from pipeline.scoring.loose_files import views_of_head
from pipeline.scoring.score import ScoreConfig, masked, score_manifest, with_prior
from pipeline.sources.opening import with_groups
from pipeline.training.config import TrainConfig
from pipeline.training.targets import vote_shares
from pipeline.training.train import train_manifest

CLASSES = ("angry", "calm", "sad")
SMALL = TrunkConfig(width=16, num_blocks=1, num_heads=2)
HEAD_CONFIGS = {
    "logreg": LogRegConfig(strength=0.1),
    "linear": LinearConfig(input="all"),
    "mlp": MLPConfig(hidden=16),
    "genser": GenSERConfig(trunk=SMALL),
    "twin": TwinConfig(trunk=SMALL),
}


@pytest.fixture
def made(tmp_path: Path) -> tuple[Manifest, Path]:
    """Two corpora whose features lie apart, and speakers who lie apart in them.

    Corpus b has no clip of "sad", and class "angry" is three times as frequent as the others.
    """
    generator = np.random.default_rng(0)
    rows = []
    for speaker in range(10):
        for clip in range(10):
            corpus = "ab"[speaker % 2]
            label = "angry" if clip < 6 else ("sad" if clip > 7 and corpus == "a" else "calm")
            rows.append(
                {
                    "utterance_id": f"s{speaker}_{clip}",
                    "path": f"{speaker}_{clip}.wav",
                    "corpus": corpus,
                    "speaker": f"s{speaker}",
                    "split": ("train", "train", "train", "dev", "test")[speaker // 2],
                    "emotion": label,
                    "votes.angry": str(3 * (label == "angry")),
                    "votes.calm": str(1 + (label == "calm")),
                    "votes.sad": str(2 * (label == "sad")),
                }
            )
    table = pd.DataFrame(rows)
    features = generator.normal(size=(100, 2, 16)).astype(np.float32)
    places = table["emotion"].map(CLASSES.index).to_numpy()
    features[np.arange(100), :, places] += 4
    features += 5 * generator.normal(size=(10, 1, 16)).repeat(10, 0)  # of each speaker
    features[table["corpus"] == "b"] *= 7
    np.savez(tmp_path / "f.npz", utterance_id=table["utterance_id"].tolist(), features=features)
    ingest(read_feature_table(tmp_path / "f.npz"), tmp_path / "store", IngestConfig(), Silence())
    write_manifest(tmp_path / "m.csv", table)
    return read_manifest(tmp_path / "m.csv"), tmp_path / "store"


def trained(made, out: Path, **settings):
    manifest, store = made
    config = TrainConfig(
        **{
            "head": "logreg",
            "heads": {"logreg": LogRegConfig(strength=0.1)},
            "num_steps": 20,
            **settings,
        }
    )
    train_manifest(
        manifest,
        {"": store},
        task="emotion",
        label_map=None,
        config=config,
        out=out,
        allow_overlap=False,
        device="cpu",
        reporter=Silence(),
    )
    return load_head(out)


def scored(made, head, **settings) -> pd.DataFrame:
    manifest, store = made
    found = score_manifest(manifest, {"": store}, head, ScoreConfig(**settings), device="cpu")
    return found.table.to_pandas()


def ua(frame: pd.DataFrame, split: str = "test") -> float:
    mine = frame[frame["split"] == split]
    return (mine["label"] == mine["predicted"]).groupby(mine["label"]).mean().mean()


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.integers(0, 7))
def test_a_class_that_is_ruled_out_is_below_all_others(row, ruled) -> None:
    scores = np.array([row], np.float32)
    lacking = np.array([[bool(ruled & 1 << c) for c in range(3)]])
    if lacking.all():
        return
    found = masked(scores, lacking)
    assert not lacking[0, found.argmax(1)[0]]
    assert (found[~lacking] == scores[~lacking]).all()
    if lacking.any():
        assert found[lacking].max() < found[~lacking].min()


def test_a_corpus_gets_only_the_classes_that_its_training_rows_had(made, tmp_path: Path) -> None:
    head = trained(made, tmp_path / "head")
    assert head.record.corpora == {"a": list(CLASSES), "b": ["angry", "calm"]}
    kept = scored(made, head)
    of_b = made[0].table["corpus"] == "b"
    assert (kept.loc[of_b, "predicted"] != "sad").all()
    assert (kept.loc[of_b, "probability.sad"] == 0).all()
    columns = [f"probability.{name}" for name in CLASSES]
    np.testing.assert_allclose(kept[columns].sum(axis=1), 1, atol=1e-6)
    free = scored(made, head, mask_classes=False)
    pd.testing.assert_frame_equal(kept[~of_b], free[~of_b])
    assert (free.loc[of_b, "probability.sad"] > 0).all()


def test_a_uniform_prior_is_bayes_rule_for_logits(made, tmp_path: Path) -> None:
    head = trained(made, tmp_path / "head")
    np.testing.assert_allclose(head.prior, [36 / 60, 18 / 60, 6 / 60])
    columns = [f"probability.{name}" for name in CLASSES]
    before = scored(made, head, mask_classes=False)[columns].to_numpy()
    after = scored(made, head, mask_classes=False, prior="uniform")[columns].to_numpy()
    wanted = before / head.prior
    np.testing.assert_allclose(after, wanted / wanted.sum(1, keepdims=True), atol=1e-5)


def test_a_uniform_prior_reweighs_the_mean_code_of_gen_ser() -> None:
    """The estimate that minimises the loss is the posterior's mean code: its prior divides out."""
    shapes = {"layers": FeatureShape(num_layers=2, dim=16, last_layer=1, input_layer=None)}
    head = build_head("genser", shapes, 3, GenSERConfig(trunk=SMALL))
    assert isinstance(head, GenSER)
    likelihood, prior = torch.tensor([[0.2, 0.5, 0.3]]), torch.tensor([0.7, 0.2, 0.1])
    posterior = likelihood * prior / (likelihood * prior).sum()
    estimate = posterior @ head.codes
    cosines = torch.nn.functional.cosine_similarity(estimate[:, None], head.codes[None], dim=2)
    found = head.reweighted(cosines, 1 / (3 * prior), temperature=0.1)
    plain = likelihood @ head.codes
    wanted = torch.nn.functional.cosine_similarity(plain[:, None], head.codes[None], dim=2)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert head.reweighted(torch.zeros(1, 3), 1 / prior, 1.0).tolist() == [[0.0, 0.0, 0.0]]


def test_a_head_without_its_shares_cannot_change_its_prior(made, tmp_path: Path) -> None:
    head = trained(made, tmp_path / "head")
    head = replace(head, record=replace(head.record, prior=None))
    with pytest.raises(HeadError, match=r"score\.prior: 'uniform' needs the class shares"):
        with_prior(head, np.zeros((1, 3), np.float32), "uniform")
    with pytest.raises(ParamsError, match=r"score\.prior: 'flat' is not one of"):
        ScoreConfig(prior="flat")


@pytest.mark.parametrize("over", ["corpus", "speaker"])
def test_rows_are_standardised_by_their_own_corpus_or_speaker(made, over: str) -> None:
    manifest, store = made
    features = StoredFeatures(manifest, {"": store})
    every = np.arange(100)
    names = features.groups(over)
    read = features.read(every)
    plain = Standardiser(2, 16, over=over)
    plain.fit([read])
    full = plain.extended((name, [read[names == name]]) for name in sorted(set(names)))
    out = full(torch.from_numpy(read), full.places(names)).numpy()
    for name in set(names):
        np.testing.assert_allclose(out[names == name].mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(out[names == name].std(0), 1, atol=1e-3)
    # Who is not known is taken as one of all.
    strangers = full(torch.from_numpy(read), full.places(["?"] * 100))
    torch.testing.assert_close(
        strangers, (torch.from_numpy(read) - plain.mean) * plain.inverse_deviation
    )


def test_a_few_clips_are_no_group(made) -> None:
    manifest, store = made
    table = manifest.table.copy()
    table.loc[: FEW_CLIPS - 2, "speaker"] = "few"
    table.loc[20 : 20 + FEW_CLIPS - 1, "speaker"] = "enough"
    features = StoredFeatures(replace(manifest, table=table), {"": store})
    plain = {"layers": Standardiser(2, 16, over="speaker")}
    rows = np.flatnonzero(table["speaker"].isin(["few", "enough"]))
    found = with_groups(plain, features, rows, [LAYERS_OF_A_CLIP])
    assert found["layers"].groups == ("a/enough",)
    assert plain["layers"].groups == ()


def test_speakers_apart_are_heard_better_by_their_own_mean_and_that_is_stamped(
    made, tmp_path: Path
) -> None:
    together = scored(made, trained(made, tmp_path / "all"))
    head = trained(made, tmp_path / "speaker", standardise_over="speaker")
    own = scored(made, head)
    assert ua(own) > ua(together) + 0.1
    manifest, store = made
    found = score_manifest(manifest, {"": store}, head, ScoreConfig(), device="cpu")
    assert found.metadata["transductive"] is True
    assert head.standardisers["layers"].groups == ()
    # Labels play no part in it.
    blind = Manifest(manifest.path, manifest.table.assign(emotion=""), manifest.first_row)
    again = score_manifest(blind, {"": store}, head, ScoreConfig(), device="cpu")
    assert again.table["predicted"].to_pylist() == found.table["predicted"].to_pylist()
    with pytest.raises(HeadError, match="standardises over each speaker, and a loose file has"):
        views_of_head(head, None, "cpu")


def test_a_corpus_keeps_the_numbers_of_its_training_rows(made, tmp_path: Path) -> None:
    manifest, store = made
    head = trained(made, tmp_path / "head", standardise_over="corpus")
    assert head.standardisers["layers"].groups == ("a", "b")
    features = StoredFeatures(manifest, {"": store})
    train = (manifest.table["split"] == "train") & (manifest.table["corpus"] == "b")
    read = features.read(np.flatnonzero(train))
    mean = head.standardisers["layers"].group_mean[1].numpy()
    np.testing.assert_allclose(mean, read.astype(np.float64).mean(0), rtol=1e-4)
    whole = score_manifest(manifest, {"": store}, head, ScoreConfig(), device="cpu")
    assert whole.metadata["transductive"] is False
    # A row's scores do not depend on what else is scored; of a new corpus they do, and it is said.
    part = manifest.table[manifest.table["split"] == "test"].reset_index(drop=True)
    few = Manifest(manifest.path, part, manifest.first_row)
    alone = score_manifest(few, {"": store}, head, ScoreConfig(), device="cpu").table.to_pandas()
    both = whole.table.to_pandas().set_index("utterance_id").loc[alone["utterance_id"]]
    np.testing.assert_allclose(alone["score.angry"], both["score.angry"], atol=1e-6)
    new = Manifest(manifest.path, part.assign(corpus="c"), manifest.first_row)
    other = score_manifest(new, {"": store}, head, ScoreConfig(), device="cpu")
    assert other.metadata["transductive"] is True


@pytest.mark.parametrize("kind", list(head_kinds()))
@pytest.mark.parametrize("balance", ["sampler", "loss"])
def test_balance_changes_the_prior_and_raises_the_rare_class(
    made, tmp_path: Path, kind: str, balance: str
) -> None:
    settings = {
        "head": kind,
        "num_steps": 20,
        "eval_every": 20,
        "heads": HEAD_CONFIGS,
    }
    plain = trained(made, tmp_path / "plain", **settings)
    head = trained(made, tmp_path / "head", balance=balance, **settings)
    # Corpus b lacks "sad", so drawing its classes alike leaves that class its half.
    wanted = {"sampler": [5 / 12, 5 / 12, 1 / 6], "loss": [1 / 3, 1 / 3, 1 / 3]}[balance]
    np.testing.assert_allclose(head.prior, wanted, atol=1e-9)
    if kind != "logreg":  # the others are drawn and do not end at a minimum
        return
    rare = {
        name: scored(made, one, mask_classes=False)["probability.sad"].mean()
        for name, one in (("plain", plain), ("head", head))
    }
    assert rare["head"] > rare["plain"]


@pytest.mark.parametrize("kind", list(head_kinds()))
def test_votes_are_learnt_as_shares(made, tmp_path: Path, kind: str) -> None:
    """Half of the votes for angry clips say calm, too: no head may be sure of angry then."""
    settings = {
        "head": kind,
        "num_steps": 20,
        "eval_every": 20,
        "heads": HEAD_CONFIGS,
    }
    sure = trained(made, tmp_path / "sure", **settings)
    head = trained(made, tmp_path / "votes", targets="votes", **settings)
    # 36 angry rows with a quarter calm, 18 calm ones, 6 sad ones with a third calm.
    np.testing.assert_allclose(head.prior, [27 / 60, (9 + 18 + 2) / 60, 4 / 60], atol=1e-6)
    assert sure.prior.tolist() == pytest.approx([0.6, 0.3, 0.1])


def test_dev_needs_no_votes(made, tmp_path: Path) -> None:
    manifest, store = made
    voted = [name for name in manifest.table.columns if name.startswith("votes.")]
    table = manifest.table.copy()
    table.loc[table["split"] == "dev", voted] = np.nan
    without = Manifest(manifest.path, table, manifest.first_row)
    whole, part = (
        trained((one, store), tmp_path / name, targets="votes")
        for name, one in (("whole", manifest), ("part", without))
    )
    assert part.prior.tolist() == whole.prior.tolist()
    assert torch.equal(part.head.weight, whole.head.weight)


def test_the_distance_to_the_votes_is_among_the_scores(made, tmp_path: Path) -> None:
    manifest, store = made
    head = trained(made, tmp_path / "votes", targets="votes")
    found = score_manifest(manifest, {"": store}, head, ScoreConfig(), device="cpu")
    table = prediction_table({"one": found}, "test", manifest, None)
    shares = vote_shares(manifest.table, CLASSES, None)[manifest.table["split"] == "test"]
    told = table[[f"probability.{name}" for name in CLASSES]].to_numpy()
    one = standing(table, list(CLASSES), cluster="speaker")
    assert one.calibration["js"] == pytest.approx(jensen_shannon(told, shares))
    report = write_report(
        tmp_path / "r", Sources(predictions={"one": found}, manifest=manifest), ReportConfig()
    )
    assert report["one"]["test"]["js"] == one.calibration["js"]
    assert "JS to votes" in (tmp_path / "r/report.md").read_text()
    without = prediction_table({"one": found}, "test", None, None)
    assert "js" not in standing(without, list(CLASSES), cluster="clip").calibration
