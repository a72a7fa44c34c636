"""A view of texts: what is made, what a second run does, and rows without or with other text."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.extraction import tree
from helpers.texts import DIM, embed_texts, opened, save_text_encoder, write_texts
from pipeline.dataset import StoredFeatures
from pipeline.errors import FeatureStoreError, ManifestError, ParamsError
from pipeline.extraction.embed import EmbedConfig
from pipeline.manifests.leaks import find_leaks
from pipeline.manifests.manifest import read_manifest
from pipeline.store.reader import FeatureStore

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("encoders") / "bert"
    save_text_encoder(made)
    return made


def test_each_row_has_the_vector_of_its_text(encoder: Path, tmp_path: Path):
    table = write_texts(tmp_path / "m.csv")
    done = embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder)
    assert (done.num_rows, done.num_written, done.num_without) == (30, 30, 0)
    view = FeatureStore.open(tmp_path / "s").view("text")
    found = view.read(table["utterance_id"].tolist())
    assert found.shape == (30, 1, DIM)
    assert found.dtype == np.float32
    model = opened(encoder)
    for vector, text in zip(found[:, 0], table["text"], strict=True):
        np.testing.assert_allclose(vector, model.encode([text])[0], atol=1e-5)
    assert view.kind == "layers"
    assert {k: view.recipe[k] for k in ("view", "source", "column", "pooling", "stored_dtype")} == {
        "view": "layers",
        "source": "text",
        "column": "text",
        "pooling": "mean",
        "stored_dtype": "float32",
    }
    assert view.recipe["encoder"] == model.identity
    assert view.provenance["encoder"] == str(encoder)
    assert view.provenance["text_sources"] == ["gold"]


def test_a_second_run_computes_nothing_and_leaves_the_bytes(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_texts(tmp_path / "m.csv")
    embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder)
    before = tree(tmp_path / "s")
    monkeypatch.setattr("pipeline.encoders.text.TextEncoder.encode", None)
    assert embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder).num_written == 0
    assert tree(tmp_path / "s") == before


def test_a_changed_text_is_refused_until_it_is_embedded_again(encoder: Path, tmp_path: Path):
    path, store = tmp_path / "m.csv", {"": tmp_path / "s"}
    table = write_texts(path)
    embed_texts(path, tmp_path / "s", encoder)
    texts = table["text"].where(table.index != 3, "now it says this")
    write_texts(path, text=texts)
    told = (
        f"{path}:5: utterance 't03' has another text than view 'text' was made of; run 'genser "
        "embed' on this manifest again, or into a view of its own."
    )
    with pytest.raises(ManifestError) as error:
        StoredFeatures(read_manifest(path), store, ("text",))
    assert str(error.value) == told
    assert embed_texts(path, tmp_path / "s", encoder).num_written == 1
    found = StoredFeatures(read_manifest(path), store, ("text",)).read(np.array([3]), "text")
    np.testing.assert_allclose(found[0], opened(encoder).encode(["now it says this"]), atol=1e-5)


def test_rows_without_text_have_an_outcome_of_their_own(encoder: Path, tmp_path: Path):
    path = tmp_path / "m.csv"
    table = write_texts(path)
    write_texts(path, text=table["text"].where(table.index > 1, ["", " "] * 15))
    done = embed_texts(path, tmp_path / "s", encoder)
    assert (done.num_written, done.num_without) == (30, 2)
    features = StoredFeatures(read_manifest(path), {"": tmp_path / "s"}, ("text",))
    assert features.outcomes.tolist() == ["no_text"] * 2 + ["ok"] * 28
    assert features.messages[0] == "nothing is written; add its text"
    assert embed_texts(path, tmp_path / "s", encoder).num_written == 0
    write_texts(path)
    assert embed_texts(path, tmp_path / "s", encoder).num_written == 2
    assert StoredFeatures(read_manifest(path), {"": tmp_path / "s"}, ("text",)).has_features.all()


def test_cut_texts_are_counted(encoder: Path, tmp_path: Path):
    table = write_texts(tmp_path / "m.csv")
    long = table["text"].where(table.index % 3 > 0, "all is well here " * 5)
    write_texts(tmp_path / "m.csv", text=long)
    assert embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder).num_cut == 10


def test_equal_texts_in_two_splits_are_no_leak_of_audio(encoder: Path, tmp_path: Path):
    write_texts(tmp_path / "m.csv", text="yes")
    embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder)
    manifest = read_manifest(tmp_path / "m.csv")
    features = StoredFeatures(manifest, {"": tmp_path / "s"}, ("text",))
    assert not find_leaks(manifest.table, features.audio_digests)


def test_a_clip_s_audio_is_known_whichever_view_is_read_first(
    made: Path, encoder: Path, tmp_path: Path
):
    table = pd.read_csv(made / "demo.csv", dtype="str", keep_default_na=False)
    table.assign(text="yes").to_csv(tmp_path / "m.csv", index=False)
    shutil.copytree(made / "store", tmp_path / "s")
    embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder)
    manifest, store = read_manifest(tmp_path / "m.csv"), {"": tmp_path / "s"}
    alone = StoredFeatures(manifest, store)
    assert (alone.audio_digests != "").all()
    for views in (("layers", "text"), ("text", "layers")):
        both = StoredFeatures(manifest, store, views)
        assert both.audio_digests.tolist() == alone.audio_digests.tolist()
        assert both.durations.tolist() == alone.durations.tolist()


def test_another_setting_is_another_view_or_replaces_it(encoder: Path, tmp_path: Path):
    write_texts(tmp_path / "m.csv")
    embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder)
    with pytest.raises(FeatureStoreError, match="pooling is 'mean', wanted 'cls'"):
        embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder, settings={"pooling": "cls"})
    cls = {"settings": {"pooling": "cls"}}
    assert embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder, replace=True, **cls).num_written
    assert FeatureStore.open(tmp_path / "s").view("text").recipe["pooling"] == "cls"


def test_rows_that_are_gone_stay_until_they_are_pruned(encoder: Path, tmp_path: Path):
    write_texts(tmp_path / "m.csv", 30)
    embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder)
    write_texts(tmp_path / "m.csv", 20)
    embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder)
    assert len(FeatureStore.open(tmp_path / "s").view("text").records) == 30
    embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder, prune=True)
    assert len(FeatureStore.open(tmp_path / "s").view("text").records) == 20


def test_a_manifest_without_the_column_is_refused(encoder: Path, tmp_path: Path):
    write_texts(tmp_path / "m.csv")
    with pytest.raises(ManifestError, match=r"has no column 'said', only .*embed\.column"):
        embed_texts(tmp_path / "m.csv", tmp_path / "s", encoder, settings={"column": "said"})


def test_a_view_of_the_corpus_s_own_text_beside_a_recogniser_s_is_gold(
    encoder: Path, tmp_path: Path
):
    table = write_texts(tmp_path / "m.csv")
    given = {"text_source": "hears@0123456789ab", "text_given": table["text"], "text": "a day"}
    write_texts(tmp_path / "m.csv", **given)
    for name, column in (("heard", "text"), ("gold", "text_given")):
        embed_texts(
            tmp_path / "m.csv", tmp_path / "s", encoder, name=name, settings={"column": column}
        )
    manifest, rows = read_manifest(tmp_path / "m.csv"), np.arange(3)
    found = {}
    for views in (("heard",), ("gold",), ("gold", "heard")):
        features = StoredFeatures(manifest, {"": tmp_path / "s"}, views)
        found[views] = features.text_sources((), rows)
    assert list(found.values()) == [
        ("hears@0123456789ab",),
        ("gold",),
        ("gold", "hears@0123456789ab"),
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pooling": "max"}, "embed.pooling: 'max' is not one of ['mean', 'cls']."),
        ({"compute_dtype": "int8"}, "embed.compute_dtype: 'int8' is not one of "),
        ({"batch_size": 0}, "embed.batch_size: 0 is below 1."),
        ({"max_tokens": 0}, "embed.max_tokens: 0 is below 1."),
    ],
)
def test_settings_out_of_range_are_refused(changes, told):
    with pytest.raises(ParamsError) as error:
        EmbedConfig(**changes)
    assert str(error.value).startswith(told)
