"""Clips that pass by once, a few shards in memory at a time."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.uneven_corpora import trained
from pipeline.dataset import StoredFeatures
from pipeline.extraction.feature_tables import read_feature_table
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.heads.needs import LAYERS_OF_A_CLIP
from pipeline.progress import Silence
from pipeline.scoring.score import ScoreConfig, open_clips, score_clips
from pipeline.sources import inference
from pipeline.sources.passing import Passing
from pipeline.store import reader
from pipeline.store.rows import open_rows


@pytest.mark.parametrize("over", ["all", "corpus", "speaker"])
def test_clips_that_pass_by_are_scored_as_those_in_memory(
    uneven, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: str
) -> None:
    manifest, store = uneven
    shutil.rmtree(store)
    ingested = IngestConfig(rows_per_shard=7)
    ingest(read_feature_table(tmp_path / "f.npz"), store, ingested, Silence())
    head = trained(uneven, tmp_path / "head", standardise_over=over)
    features = StoredFeatures(manifest, {"": store})
    rows = np.random.default_rng(0).permutation(100)[:90]
    opened: list[str] = []
    monkeypatch.setattr(inference, "SCORED_AT_ONCE", 20)
    monkeypatch.setattr(
        reader,
        "open_rows",
        lambda root, name, *of: opened.append(name) or open_rows(root, name, *of),
    )
    scores = {}
    for once in (False, True):
        clips = open_clips(features, rows, head, device="cpu", once=once)
        opened.clear()
        scores[once] = score_clips(clips, head, ScoreConfig(), device="cpu").scores
        # In memory they have been read; each shard that passes by is read once.
        assert len(opened) == len(set(opened)) == (15 if once else 0)
    np.testing.assert_allclose(scores[True], scores[False], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("sizes", "wanted"), [([3, 4, 5], [7, 5]), ([30], [20, 10])])
def test_a_pool_has_whole_shards_and_a_batch_no_more_than_is_asked(
    sizes: list[int], wanted: list[int]
) -> None:
    shards = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    features = SimpleNamespace(shards=lambda rows, view: shards[rows])
    at_once = 9 if len(sizes) > 1 else 20
    passing = Passing(features, np.arange(len(shards)), [LAYERS_OF_A_CLIP], device="cpu")
    plan = passing.scan(at_once)
    assert [len(part) for pool in plan for part in pool] == wanted
    assert sorted(np.concatenate([part for pool in plan for part in pool])) == list(
        range(len(shards))
    )
