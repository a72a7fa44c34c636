"""Views of codes: fitted on training clips, derived for all, and refused where they would leak."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.codes import CONFIG, Corpus, add_frames, derive, frames_of, write_corpus
from helpers.commands import genser
from helpers.extraction import tree
from helpers.faults import flip
from pipeline.dataset import StoredFeatures
from pipeline.errors import FeatureStoreError, ManifestError, ParamsError
from pipeline.extraction.tokenise import STATE
from pipeline.manifests.manifest import Manifest
from pipeline.progress import Silence
from pipeline.quantisation.codebooks import Codebooks
from pipeline.store.reader import FeatureStore, View
from pipeline.store.repair import repair_store
from pipeline.store.verification import verify_store
from pipeline.training.config import TrainConfig
from pipeline.training.rows import choose_rows
from pipeline.training.train import train_rows

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "corpus")


def codes(corpus: Corpus, name: str = "codes-4") -> View:
    return FeatureStore.open(corpus.store).view(name)


def with_split(manifest: Manifest, **splits: str) -> Manifest:
    table = manifest.table.copy()
    for name, split in splits.items():
        table.loc[table["utterance_id"] == name, "split"] = split
    return replace(manifest, table=table)


def test_every_clip_has_the_code_of_each_of_its_frames(corpus: Corpus):
    (done,) = derive(corpus)
    assert (done.view, done.num_clips) == ("codes-4", 30)
    view = codes(corpus)
    assert (view.kind, view.feature_shape) == ("codes", (2,))
    codebooks = Codebooks.from_bytes(view.fitted_bytes(), "fitted")
    ids = corpus.manifest.table["utterance_id"].tolist()
    for name, found in zip(ids, view.read_ragged(ids), strict=True):
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, codebooks.assign(frames_of(int(name[1:]))))
    assert verify_store(corpus.store) == []
    assert not (corpus.store / STATE).exists()


def test_a_layer_of_another_scale_is_coded_alike(corpus: Corpus):
    # Each layer has a start of its own; from those of this seed both find the best codes.
    derive(corpus, replace(CONFIG, seed=1))
    (found,) = codes(corpus).read_ragged(["c00"])
    assert len(np.unique(found, axis=0)) == len(np.unique(found[:, 0])) == 2


def test_the_fit_is_of_training_clips_alone_and_told(corpus: Corpus):
    derive(corpus)
    view = codes(corpus)
    training = corpus.manifest.table.query("split == 'train'")["utterance_id"]
    assert view.fit_ids == set(training)
    recipe = view.recipe
    assert (recipe["source"], recipe["view"]) == ("view", "codes")
    assert (recipe["num_codes"], recipe["dim"]) == (4, 6)
    assert recipe["parent"]["recipe"] == FeatureStore.open(corpus.store).view("frames").recipe
    fit = view.provenance["fit"]
    assert fit["num_empty"] == [0, 0]
    assert fit["num_frames"] == min(64, sum(len(frames_of(clip)) for clip in range(18)))
    inertia = Codebooks.from_bytes(view.fitted_bytes(), "fitted").inertia
    assert inertia.shape == (2, 8)
    assert (inertia.diff(dim=1) <= 1e-4).all()


def test_clips_of_dev_and_test_change_nothing_of_the_fit(corpus: Corpus, tmp_path: Path):
    derive(corpus)
    other = write_corpus(tmp_path / "other", absent=(20, 29))
    derive(other)
    assert codes(other).fitted_bytes() == codes(corpus).fitted_bytes()


def test_a_second_run_changes_no_byte_and_codes_nothing(corpus: Corpus, tmp_path: Path):
    derive(corpus)
    before = tree(corpus.store)
    (again,) = derive(corpus)
    assert (again.num_clips, again.said) == (0, "fitted before")
    assert tree(corpus.store) == before
    other = write_corpus(tmp_path / "other")
    derive(other)
    assert tree(other.store) == before


def test_several_numbers_of_centroids_give_the_bytes_of_each_alone(corpus: Corpus, tmp_path: Path):
    derive(corpus, replace(CONFIG, k=(2, 4)))
    alone = write_corpus(tmp_path / "alone")
    derive(alone)
    assert codes(alone).fitted_bytes() == codes(corpus).fitted_bytes()
    assert codes(alone).recipe == codes(corpus).recipe


def test_a_clip_without_frames_has_no_codes_and_says_why(tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", absent=(3, 25))
    derive(corpus)
    records = codes(corpus).records.set_index("utterance_id")
    assert records.loc["c03", "outcome"] == records.loc["c25", "outcome"] == "nonfinite"
    assert "not finite" in records.loc["c25", "message"]
    assert records.loc["c25", ["row", "num_frames"]].tolist() == [-1, 0]
    assert "c03" not in codes(corpus).fit_ids


def test_new_test_clips_are_coded_without_another_fit(corpus: Corpus, tmp_path: Path):
    first = with_split(corpus.manifest)
    first = replace(first, table=first.table.iloc[:28])
    derive(Corpus(first, corpus.store))
    fitted = codes(corpus).fitted_bytes()
    (done,) = derive(corpus)
    assert (done.num_clips, done.said) == (2, "fitted before")
    assert codes(corpus).fitted_bytes() == fitted


def test_other_training_clips_are_another_recipe(corpus: Corpus):
    derive(corpus)
    moved = Corpus(with_split(corpus.manifest, c00="test"), corpus.store)
    with pytest.raises(FeatureStoreError, match=r"fit_ids is .* give --replace"):
        derive(moved)
    (done,) = derive(moved, replace=True)
    assert done.num_clips == 30
    assert "c00" not in codes(corpus).fit_ids
    (back,) = derive(corpus, replace=True)
    assert (back.num_clips, back.said) == (0, "fitted before")


def test_a_training_clip_with_other_frames_is_another_recipe(corpus: Corpus, monkeypatch):
    derive(corpus)
    changed = frames_of(0) + 1
    monkeypatch.setattr(
        "helpers.codes.frames_of", lambda clip: frames_of(clip) if clip else changed
    )
    add_frames(corpus.store, ["c00"])
    with pytest.raises(FeatureStoreError, match="fit_audio is"):
        derive(corpus)


def train_on(corpus: Corpus, manifest: Manifest) -> None:
    features = StoredFeatures(manifest, {"": corpus.store}, ["codes-4"])
    rows = choose_rows(manifest, features, task="emotion", label_map=None, allow_overlap=True)
    section = TrainConfig.subsections()["logreg"](view="codes-4", strength=1.0)
    config = TrainConfig(head="logreg", heads={"logreg": section})
    train_rows(
        features,
        rows,
        task="emotion",
        label_map=None,
        config=config,
        state_folder=None,
        device="cpu",
        reporter=Silence(),
    )


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_head_that_would_be_judged_by_clips_of_the_fit_is_refused(corpus: Corpus, split: str):
    derive(corpus)
    train_on(corpus, corpus.manifest)
    with pytest.raises(ManifestError, match=rf"1 clips of dev and test .* 'c00' of {split}"):
        train_on(corpus, with_split(corpus.manifest, c00=split))


def test_mistakes_are_one_line(corpus: Corpus, tmp_path: Path):
    derive(corpus)
    with pytest.raises(FeatureStoreError, match="'codes-4' is one of codes, wanted one of frames"):
        derive(corpus, parent="codes-4", names={4: "again"})
    nobody = replace(corpus.manifest, table=corpus.manifest.table.assign(split="test"))
    with pytest.raises(ManifestError, match="no row of split 'train' has frames"):
        derive(Corpus(nobody, corpus.store))
    with pytest.raises(ParamsError, match=r"tokenise\.k: found 5000, .* take a smaller one\."):
        derive(corpus, replace(CONFIG, k=(5000,)))
    with pytest.raises(ParamsError, match="no name of a view"):
        derive(corpus, names={4: "a b"})
    for wrong in ((), (0,), (4, 4), (70_000,)):
        with pytest.raises(ParamsError, match=r"tokenise\.k: found"):
            replace(CONFIG, k=wrong)
    with pytest.raises(ParamsError, match=r"tokenise\.compute_dtype: 'float16'"):
        replace(CONFIG, compute_dtype="float16")
    shutil.rmtree(tmp_path / "corpus" / "store")
    with pytest.raises(FeatureStoreError, match="no feature store there"):
        derive(corpus)


def test_clips_that_the_manifest_does_not_name_stay_unless_pruned(corpus: Corpus):
    derive(corpus)
    fewer = Corpus(replace(corpus.manifest, table=corpus.manifest.table.iloc[:28]), corpus.store)
    derive(fewer)
    assert len(codes(corpus).records) == 30
    derive(fewer, prune=True)
    assert len(codes(corpus).records) == 28
    assert verify_store(corpus.store) == []


def test_inspect_counts_the_clips_of_the_fit(corpus: Corpus):
    derive(corpus)
    facts = json.loads(genser("inspect", corpus.store, "--json").stdout)
    provenance = facts["views"]["codes-4"]["provenance"]
    assert provenance["clips fitted on"] == 18
    assert "fit_ids" not in provenance


@pytest.mark.parametrize("name", ["fitted.safetensors", "shards/000000.h5", "recipe.json"])
def test_what_a_repair_drops_of_a_view_of_codes_is_derived_again(corpus: Corpus, name: str):
    derive(corpus)
    whole = tree(corpus.store)
    flip(corpus.store / "views" / "codes-4" / name, 40)
    assert verify_store(corpus.store)
    repair_store(corpus.store)
    derive(corpus)
    assert tree(corpus.store) == whole
