"""Augmented copies: views beside those of the clips, read by training alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.extraction import tree
from helpers.work import Pickled
from pipeline.audio.augmentation import AugmentConfig, Draw, augmented
from pipeline.audio.roots import found_requests
from pipeline.audio.segments import Segment
from pipeline.dataset import StoredFeatures
from pipeline.encoders.catalogue import open_encoder
from pipeline.errors import FeatureStoreError, ManifestError, ParamsError
from pipeline.extraction.encoding import decode, decode_for
from pipeline.extraction.extract import Summary, extract
from pipeline.extraction.settings import ExtractConfig, ViewConfig
from pipeline.extraction.views import open_views
from pipeline.heads.saved import load_head
from pipeline.manifests.manifest import Manifest, read_manifest
from pipeline.progress import Lines, Silence
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.store.reader import FeatureStore
from pipeline.training.config import TrainConfig
from pipeline.training.copies import digest_of_copies, num_copies, with_copies
from pipeline.training.rows import TrainingRows, choose_rows
from pipeline.training.train import train_manifest

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

AUGMENT = AugmentConfig(speed=Draw(low=0.9, high=1.1), noise=Draw(low=10, high=30))
TRAIN = TrainConfig(head="logreg")


def made(
    manifest: Manifest, audio: Path, root: Path, *, engine: Any = None, **values: Any
) -> dict[str, Summary]:
    values = {"encoder": "fbank", "rows_per_shard": 3, "copies": 2, "augment": AUGMENT} | values
    replacing = values.pop("replace", False)
    views = open_views(ExtractConfig(**values).view_settings(), "cpu")
    requests = found_requests(manifest, {"": audio})
    return extract(requests, root, views, reporter=Silence(), engine=engine, replace=replacing)


@pytest.fixture
def manifest(corpus) -> Manifest:
    return read_manifest(corpus.manifest)


def rows_of(manifest: Manifest, features: StoredFeatures) -> TrainingRows:
    return choose_rows(manifest, features, task="emotion", label_map=None, allow_overlap=False)


def trained(manifest: Manifest, root: Path, out: Path, **values: Any) -> list[str]:
    heard = Lines()
    train_manifest(
        manifest,
        {"": root},
        task="emotion",
        label_map=None,
        config=replace(TRAIN, **values),
        out=out,
        allow_overlap=False,
        device="cpu",
        reporter=heard,
    )
    return heard.lines


def test_copies_stand_beside_the_clips_in_views_of_their_own(
    corpus, manifest, tmp_path, monkeypatch
) -> None:
    views = {"layers": ViewConfig(), "f": ViewConfig(kind="frames", layers=(0,))}
    summaries = made(manifest, corpus.audio, tmp_path / "with", views=views)
    made(manifest, corpus.audio, tmp_path / "without", views=views, copies=0)
    plain = tree(tmp_path / "without")
    shards = {name: data for name, data in plain.items() if name.endswith((".h5", "recipe.json"))}
    assert shards
    assert shards.items() <= tree(tmp_path / "with").items()
    assert [n for n, one in summaries.items() if one.of_copies] == [
        f"{view}-copy{copy}" for view in views for copy in (1, 2)
    ]
    store = FeatureStore.open(tmp_path / "with")
    for view in views:
        for copy in (1, 2):
            records = store.view(f"{view}-copy{copy}").records
            assert sorted(records["utterance_id"]) == [f"train_{i}" for i in range(4)]
    told = store.view("layers-copy2").recipe["augment"]
    assert told["copy"] == 2
    assert told["speed"] == {"low": 0.9, "high": 1.1, "chance": 1.0}
    # In workers, in another order: each copy is the same.
    monkeypatch.chdir(tmp_path)
    backwards = replace(manifest, table=manifest.table.iloc[::-1].reset_index(drop=True))
    made(backwards, corpus.audio, tmp_path / "away", engine=Pickled(), rows_per_shard=1)
    ids = [f"train_{i}" for i in range(4)]
    for copy in ("layers-copy1", "layers-copy2"):
        away = FeatureStore.open(tmp_path / "away").view(copy).read(ids)
        np.testing.assert_array_equal(store.view(copy).read(ids), away)


def test_a_copy_is_heard_as_it_is_and_none_is_cut_into_windows(corpus) -> None:
    encoder = open_encoder("fbank", compute_dtype="float32", device="cpu")
    config = ExtractConfig(encoder="fbank", copies=1, augment=AUGMENT, max_duration_s=1.0)
    _, settings = config.view_settings()
    place = Segment(path=corpus.audio / "train" / "train_1.wav")
    found = decode_for(settings, place, encoder, "train_1").clip
    plain = decode(place, encoder, 1.0).clip
    expected = augmented(plain.waveform, 16000, AUGMENT, clip_id="train_1", copy=1)
    np.testing.assert_array_equal(found.waveform, expected)
    assert found.num_resampled == len(expected) != plain.num_resampled
    assert found.mean == pytest.approx(expected.mean(), abs=1e-7)
    assert found.variance == pytest.approx(expected.var(), rel=1e-4)
    assert (found.audio_digest, found.duration) == (plain.audio_digest, plain.duration)
    long = decode_for(settings, Segment(path=corpus.audio / "test" / "test_3.wav"), encoder, "x")
    assert long.clip is None
    assert long.error.outcome == "too_long"


def test_copies_of_training_rows_follow_the_manifest_s(corpus, manifest, tmp_path) -> None:
    made(manifest, corpus.audio, tmp_path / "s")
    features = StoredFeatures(manifest, {"": tmp_path / "s"})
    rows = rows_of(manifest, features)
    assert num_copies(features, None) == 2
    everything, more = with_copies(features, rows, 2)
    assert more.train.tolist() == [*rows.train, *range(12, 20)]
    assert more.dev is rows.dev
    np.testing.assert_array_equal(more.labels[12:], np.tile(rows.labels[rows.train], 2))
    read = everything.read(more.train)
    ids = features.texts("utterance_id", rows.train)
    store = FeatureStore.open(tmp_path / "s")
    wanted = [store.view(name).read(ids) for name in ("layers", "layers-copy1", "layers-copy2")]
    np.testing.assert_array_equal(read, np.concatenate(wanted))
    assert not np.array_equal(wanted[1], wanted[2])
    assert everything.groups("speaker")[12:].tolist() == ["small/speaker_train"] * 8
    assert with_copies(features, rows, 0) == (features, rows)


def test_training_reads_copies_and_scoring_wants_none(corpus, manifest, tmp_path) -> None:
    made(manifest, corpus.audio, tmp_path / "with")
    made(manifest, corpus.audio, tmp_path / "without", copies=0)
    said = trained(manifest, tmp_path / "with", tmp_path / "more")
    assert "8 augmented copies of training clips beside them" in said
    said = trained(manifest, tmp_path / "with", tmp_path / "few", copies=0)
    assert not any("copies" in line for line in said)
    trained(manifest, tmp_path / "without", tmp_path / "none")
    more, few, none = (load_head(tmp_path / n, device="cpu") for n in ("more", "few", "none"))
    assert more.record.copies["num_clips"] == 8
    assert more.record.copies["noise"] == {"low": 10, "high": 30, "chance": 1.0}
    assert "copies" not in none.record.as_json()
    weights = {n: [p.name for p in (tmp_path / n).glob("weights-*")] for n in ("few", "none")}
    assert weights["few"] == weights["none"]  # named by their digest
    assert few.record.num_train == more.record.num_train == 4
    for name, values in more.standardisers["layers"].state_dict().items():
        np.testing.assert_array_equal(values, none.standardisers["layers"].state_dict()[name])
    scored = [
        score_manifest(manifest, {"": tmp_path / store}, head, ScoreConfig(), device="cpu").table
        for store, head in (("with", more), ("without", more), ("without", none))
    ]
    assert scored[0].equals(scored[1])
    assert scored[0].num_rows == 12
    assert not scored[0].equals(scored[2])


def test_what_a_run_is_known_by_has_its_copies(corpus, manifest, tmp_path) -> None:
    made(manifest, corpus.audio, tmp_path / "s", copies=1)
    features = StoredFeatures(manifest, {"": tmp_path / "s"})
    one = digest_of_copies(features, None)
    made(manifest, corpus.audio, tmp_path / "s")
    features = StoredFeatures(manifest, {"": tmp_path / "s"})
    assert len({one, digest_of_copies(features, None), digest_of_copies(features, 0)}) == 3
    assert digest_of_copies(features, 1) == one
    assert digest_of_copies(features, 0) == ""


def test_copies_that_are_not_there_are_refused(corpus, manifest, tmp_path) -> None:
    made(manifest, corpus.audio, tmp_path / "s", copies=1)
    with pytest.raises(ParamsError, match=r"train\.copies: found 2, view 'layers' has 1 copies"):
        trained(manifest, tmp_path / "s", tmp_path / "m", copies=2)
    # A fold that trains on what was a dev row when copies were made.
    split = manifest.table["split"].replace({"dev": "train", "test": "dev"})
    other = replace(manifest, table=manifest.table.assign(split=split))
    with pytest.raises(ManifestError, match="training clip 'dev_0' has no augmented copies"):
        trained(other, tmp_path / "s", tmp_path / "m")
    louder = replace(AUGMENT, gain=Draw(low=3, high=6))
    with pytest.raises(FeatureStoreError, match=r"'layers-copy1': augment\.gain.* is 'nothing'"):
        made(manifest, corpus.audio, tmp_path / "s", augment=louder)
    made(manifest, corpus.audio, tmp_path / "s")
    made(manifest, corpus.audio, tmp_path / "s", augment=louder, copies=1, replace=True)
    with pytest.raises(FeatureStoreError, match=r"'layers-copy2': augment\.gain"):
        trained(manifest, tmp_path / "s", tmp_path / "m")


def test_copies_want_something_to_change_and_their_names() -> None:
    with pytest.raises(ParamsError, match=r"extract\.copies: found 2, and extract\.augment"):
        ExtractConfig(copies=2)
    with pytest.raises(ParamsError, match=r"layers-copy1: is a name of augmented copies"):
        ExtractConfig(views={"layers-copy1": ViewConfig()})
