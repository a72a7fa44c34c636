"""The head of tokens, trained: by order alone, and through the store from codes and from frames."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from helpers.codes import CONFIG, Corpus, derive, write_corpus
from helpers.training import train_into
from pipeline.dataset import StoredFeatures
from pipeline.errors import ParamsError
from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.catalogue import head_needs
from pipeline.heads.needs import FeatureShape
from pipeline.heads.phase import OptimiserConfig, Phase
from pipeline.heads.saved import load_head
from pipeline.heads.tokens import Tokens, TokensConfig
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.sources.opening import open_source
from pipeline.training.config import TrainConfig
from pipeline.training.optimisation import make_optimiser

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

SMALL: dict[str, Any] = {"width": 16, "num_heads": 2, "hidden": 16, "pooling_hidden": 8}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    made = write_corpus(tmp_path_factory.mktemp("corpus"), 60)
    derive(made, replace(CONFIG, k=(6,)))
    return made


def config_of(**section: Any) -> TrainConfig:
    settings = TokensConfig(**SMALL | {"dropout": 0.1} | section)
    return TrainConfig(
        head="tokens",
        num_steps=60,
        batch_size=16,
        eval_every=60,
        optimiser=OptimiserConfig(learning_rate=1e-2),
        heads={"tokens": settings},
    )


def train(corpus: Corpus, config: TrainConfig, out: Path):
    return train_into(out, corpus.manifest, corpus.store, config)


def accuracy(corpus: Corpus, out: Path) -> float:
    scored = score_manifest(
        corpus.manifest, {"": corpus.store}, load_head(out), ScoreConfig(), device="cpu"
    )
    table = scored.table.to_pandas()
    attention = table[["attention.0", "attention.1"]]
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)
    tested = table[table["split"] == "test"]
    return float((tested["predicted"] == tested["label"]).mean())


@pytest.mark.parametrize(
    "section",
    [
        {"view": "codes-6"},
        {"view": "codes-6", "embedding": "learned", "temporal": "gru"},
        {"view": "codes-6", "embedding": "tuned", "fuse_at": "frames", "fusion": "weights"},
        {"input": "frames"},
    ],
    ids=["centroids", "learned", "tuned", "frames"],
)
def test_it_learns_from_a_store_and_says_what_it_attends_to(
    corpus: Corpus, tmp_path: Path, section: dict[str, Any]
):
    selection = train(corpus, config_of(**section), tmp_path / "head")
    assert selection.dev["ua"] > 0.9
    assert accuracy(corpus, tmp_path / "head") > 0.9


@pytest.mark.parametrize("embedding", ["centroids", "learned", "tuned"])
def test_a_loaded_head_scores_alike_without_the_store(
    corpus: Corpus, tmp_path: Path, embedding: str
):
    store = tmp_path / "store"
    shutil.copytree(corpus.store, store)
    config = config_of(view="codes-6", embedding=embedding)
    config = replace(config, num_steps=4)
    selection = train(Corpus(corpus.manifest, store), config, tmp_path / "head")
    needs = head_needs("tokens", config.head_config)
    rows = np.arange(5)
    features = StoredFeatures(corpus.manifest, {"": store}, ["codes-6"])
    (batch,) = open_source(features, rows, needs, (), device="cpu").batches([[rows]])
    shutil.rmtree(store)
    loaded = load_head(tmp_path / "head").head
    wanted = selection.head.eval().scores(batch, None)
    torch.testing.assert_close(loaded.scores(batch, None), wanted, atol=0, rtol=0)


def test_acoustics_alone_are_enough_where_they_tell(corpus: Corpus, tmp_path: Path):
    selection = train(corpus, config_of(input="none", acoustics="codes-6"), tmp_path / "head")
    assert selection.dev["ua"] > 0.9


def test_a_section_that_does_not_fit_the_view_is_one_line(corpus: Corpus, tmp_path: Path):
    with pytest.raises(ParamsError, match=r"fusion: found 'none' with 2 layers, wanted one"):
        train(corpus, config_of(view="codes-6", fusion="none"), tmp_path / "head")
    with pytest.raises(ParamsError, match=r"view 'codes-6': found layers \[5\] asked for"):
        train(corpus, config_of(view="codes-6", layers=(5,)), tmp_path / "head")
    config = replace(config_of(view="codes-6"), mixup=0.5)
    with pytest.raises(ParamsError, match=r"train\.mixup: found 0\.5, but frames of different"):
        train(corpus, config, tmp_path / "head")


def rising_and_falling(size: int, seed: int) -> Batch:
    """Return clips of the same codes, in rising order or in falling, which is their class."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(4, 9, size)
    labels = np.arange(size) % 2
    values = np.zeros((size, 8, 1), np.int64)
    for row, length, label in zip(values, lengths, labels, strict=True):
        chosen = np.sort(draw.choice(8, length, replace=False))
        row[:length, 0] = chosen[::-1] if label else chosen
    targets = functional.one_hot(torch.from_numpy(labels), 2).float()
    tokens = Ragged(torch.from_numpy(values), torch.from_numpy(lengths))
    return Batch(views={"tokens": tokens}, targets=targets)


@pytest.mark.parametrize(
    ("temporal", "learns"), [("none", False), ("conv", True), ("gru", True), ("transformer", True)]
)
def test_order_is_learned_by_what_hears_it(temporal: str, *, learns: bool):
    config = TokensConfig(
        **SMALL, embedding="learned", temporal=temporal, dropout=0.0, temporal_dropout=0.0
    )
    shape = FeatureShape(num_layers=1, dim=4, last_layer=0, input_layer=None, num_codes=8)
    torch.manual_seed(0)
    head = Tokens({"tokens": shape}, 2, config)
    phase = Phase(name="train", num_steps=120, batch_size=64, optimiser=OptimiserConfig())
    optimiser = make_optimiser(
        head.enter(phase), OptimiserConfig(learning_rate=1e-2, weight_decay=0.0)
    )
    read = rising_and_falling(64, 0)
    for _ in range(phase.num_steps):
        losses = head.loss(read, phase=phase, progress=0.0, generator=torch.Generator())
        optimiser.zero_grad()
        losses["cross_entropy"].backward()
        optimiser.step()
    other = rising_and_falling(100, 1)
    assert other.targets is not None
    right = head.eval().scores(other, None).argmax(1) == other.targets.argmax(1)
    assert (float(right.float().mean()) > 0.9) == learns
