"""Every head of layers reads codes too, as mean centroids and as histograms, to the end."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.codes import CONFIG, Corpus, derive, write_corpus
from helpers.training import train_into
from pipeline.dataset import StoredFeatures
from pipeline.errors import ParamsError
from pipeline.heads.needs import LayersInput, Need
from pipeline.heads.phase import OptimiserConfig
from pipeline.heads.saved import load_head
from pipeline.manifests.manifest import write_manifest
from pipeline.quantisation.codebooks import HISTOGRAM, MEANS
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.sources.opening import bytes_in_memory, open_source, shapes_of
from pipeline.training.config import TrainConfig
from pipeline.training.train import features_for

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    made = write_corpus(tmp_path_factory.mktemp("corpus"), 60)
    derive(made, replace(CONFIG, k=(4, 6)))
    return made


def config_of(head: str, **section: object) -> TrainConfig:
    settings = TrainConfig.subsections()[head](view="codes-6", **section)
    return TrainConfig(
        head=head,
        num_steps=60,
        eval_every=60,
        optimiser=OptimiserConfig(learning_rate=1e-2),
        heads={head: settings},
    )


def train(corpus: Corpus, config: TrainConfig, out: Path):
    return train_into(out, corpus.manifest, corpus.store, config)


@pytest.mark.parametrize("codes_as", [MEANS, HISTOGRAM])
@pytest.mark.parametrize("head", ["genser", "twin", "linear", "mlp", "logreg"])
def test_a_head_of_layers_learns_from_codes(
    corpus: Corpus, tmp_path: Path, head: str, codes_as: str
):
    selection = train(corpus, config_of(head, codes_as=codes_as), tmp_path / "head")
    assert selection.dev["ua"] > 0.9
    trained = load_head(tmp_path / "head")
    assert trained.record.shapes["layers"].dim == 6
    scored = score_manifest(
        corpus.manifest, {"": corpus.store}, trained, ScoreConfig(), device="cpu"
    )
    table = scored.table.to_pandas()
    tested = table[table["split"] == "test"]
    assert (tested["predicted"] == tested["label"]).mean() > 0.9
    assert set(trained.codebooks) == {"codes-6"}


def test_what_a_head_is_given_is_what_the_codes_say(corpus: Corpus):
    features = StoredFeatures(corpus.manifest, {"": corpus.store}, ["codes-4"])
    codebooks = features.codebooks("codes-4")
    rows = np.array([5, 0, 59])
    codes = features.read_frames(rows, "codes-4")
    for codes_as in (MEANS, HISTOGRAM):
        (need,) = LayersInput(view="codes-4", codes_as=codes_as).needs
        (batch,) = open_source(features, rows, [need], (), device="cpu").batches([[np.arange(3)]])
        wanted = np.stack([codebooks.pooled(one, codes_as) for one in codes])
        np.testing.assert_array_equal(batch.layers, wanted)


def test_codes_come_padded_as_whole_numbers_of_the_layers_asked(corpus: Corpus):
    features = StoredFeatures(corpus.manifest, {"": corpus.store}, ["codes-4"])
    need = Need(name="tokens", kind="codes", view="codes-4", layers=(1,), standardise=False)
    shape = shapes_of(features, [need])["tokens"]
    assert (shape.num_layers, shape.dim, shape.num_codes) == (1, 6, 4)
    rows = np.arange(10)
    source = open_source(features, rows, [need], (), device="cpu")
    assert bytes_in_memory(features, rows, [need], frames_in="store", pool_shards=1) == (
        2 * int(source.lengths.sum())
    )
    (batch,) = source.batches([[rows]])
    codes = batch.ragged("tokens")
    assert not codes.values.is_floating_point()
    for i, one in enumerate(features.read_frames(rows, "codes-4", (1,))):
        np.testing.assert_array_equal(codes.values[i, : len(one)], one)
        assert not codes.values[i, len(one) :].any()


def test_a_fold_in_a_view_s_name_is_the_fold_that_is_trained(corpus: Corpus, tmp_path: Path):
    table = corpus.manifest.table.rename(columns={"split": "split.one"})
    write_manifest(tmp_path / "folds.csv", table.assign(split=""))
    derive(corpus, names={4: "codes-4-one"})
    config = config_of("logreg")
    section = replace(config.head_config, view="codes-4-{fold}")
    config = replace(config, heads={"logreg": section})
    assert config.of_fold("one").head_config.view == "codes-4-one"
    with pytest.raises(ParamsError, match=r"view 'codes-4-\{fold\}' is of a fold"):
        features_for(config, corpus.manifest, {"": corpus.store})
    train(corpus, config.of_fold("one"), tmp_path / "head")
    said = json.loads((tmp_path / "head/head.json").read_text())
    assert said["config"]["view"] == "codes-4-one"


def test_an_unknown_way_to_pool_is_refused():
    with pytest.raises(ParamsError, match=r"codes_as: 'sum' is not one of"):
        LayersInput(codes_as="sum")


def test_k_is_the_only_thing_that_two_views_differ_in(corpus: Corpus):
    derive(corpus, replace(CONFIG, k=(2,)))
    features = StoredFeatures(corpus.manifest, {"": corpus.store}, ["codes-2", "codes-4"])
    rows = np.arange(60)
    assert features.num_frames(rows, "codes-2").tolist() == (
        features.num_frames(rows, "codes-4").tolist()
    )
    assert max(one.max() for one in features.read_frames(rows, "codes-2")) == 1
