"""Standardisation by corpus and by speaker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from helpers.uneven_corpora import scored, trained
from pipeline.dataset import StoredFeatures
from pipeline.errors import HeadError
from pipeline.heads.needs import LAYERS_OF_A_CLIP
from pipeline.heads.standardiser import FEW_CLIPS, ROWS_AT_ONCE, Standardiser, moments
from pipeline.manifests.manifest import Manifest
from pipeline.scoring.loose_files import views_of_head
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.sources.opening import with_groups


def ua(frame: pd.DataFrame, split: str = "test") -> float:
    mine = frame[frame["split"] == split]
    return (mine["label"] == mine["predicted"]).groupby(mine["label"]).mean().mean()


@pytest.mark.parametrize("over", ["corpus", "speaker"])
def test_rows_are_standardised_by_their_own_corpus_or_speaker(uneven, over: str) -> None:
    manifest, store = uneven
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


def test_a_few_clips_are_no_group(uneven) -> None:
    manifest, store = uneven
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
    uneven, tmp_path: Path
) -> None:
    together = scored(uneven, trained(uneven, tmp_path / "all"))
    head = trained(uneven, tmp_path / "speaker", standardise_over="speaker")
    own = scored(uneven, head)
    assert ua(own) > ua(together) + 0.1
    manifest, store = uneven
    found = score_manifest(manifest, {"": store}, head, ScoreConfig(), device="cpu")
    assert found.metadata["transductive"] is True
    assert head.standardisers["layers"].groups == ()
    # Labels play no part in it.
    blind = Manifest(manifest.path, manifest.table.assign(emotion=""), manifest.first_row)
    again = score_manifest(blind, {"": store}, head, ScoreConfig(), device="cpu")
    assert again.table["predicted"].to_pylist() == found.table["predicted"].to_pylist()
    with pytest.raises(HeadError, match="standardises over each speaker, and a loose file has"):
        views_of_head(head, None, "cpu")


def test_a_corpus_keeps_the_numbers_of_its_training_rows(uneven, tmp_path: Path) -> None:
    manifest, store = uneven
    head = trained(uneven, tmp_path / "head", standardise_over="corpus")
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


def in_two_passes(features: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean first, then deviations from it, all rows at once."""
    wide = features.astype(np.float64)
    axis = 0 if kind == "dimension" else (0, 2)
    varies = np.ptp(wide, axis=axis) > 0
    deviation = np.where(varies, np.maximum(wide.std(axis), 1e-15), np.inf)
    shape = (features.shape[1], -1)
    return wide.mean(axis).reshape(shape), (1 / deviation).reshape(shape)


@pytest.mark.parametrize("kind", ["dimension", "scalar"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_one_pass_finds_what_two_passes_find(kind: str, dtype: type) -> None:
    generator = np.random.default_rng(0)
    num = 2 * ROWS_AT_ONCE + 37
    features = generator.normal(size=(num, 3, 16)) * generator.uniform(0.01, 3, size=(3, 16))
    features += 100 * generator.normal(size=(3, 16))
    features[num // 2 :] += 20  # what comes later lies elsewhere
    features[:, 1] = 1.7  # always the same
    features[:, 2, :5] = -0.3
    features = features.astype(dtype)
    mean, scale = in_two_passes(features, kind)
    for cuts in ([], [1], [0, 5, num - 1], [ROWS_AT_ONCE]):
        found_mean, found_scale = moments(np.split(features, cuts), kind)
        np.testing.assert_allclose(found_scale, scale, rtol=1e-7)
        np.testing.assert_allclose(found_mean, mean, rtol=1e-7)


@settings(max_examples=50)
@given(
    npst.arrays(np.float32, (12, 2, 3), elements=st.floats(-1e4, 1e4, width=32)),
    st.integers(0, 12),
    st.sampled_from(["dimension", "scalar"]),
)
def test_only_numbers_that_are_all_the_same_get_no_scale(
    features: np.ndarray, cut: int, kind: str
) -> None:
    features[:, 1] = features[0, 1, 0]
    mean, scale = moments([features[:cut], features[cut:]], kind)
    axis = 0 if kind == "dimension" else (0, 2)
    same = (np.ptp(features, axis=axis) == 0).reshape(2, -1)
    assert ((scale.numpy() == 0) == same).all()
    assert (mean[1] == features[0, 1, 0]).all()
