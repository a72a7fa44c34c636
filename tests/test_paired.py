"""Several systems under the same draws of speakers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tokens import predictions
from pipeline.errors import PredictionsError
from pipeline.evaluation.bootstrap import cluster_counts, compare, ends, mean_intervals
from pipeline.evaluation.cluster_draws import NUM_DRAWS
from pipeline.evaluation.paired import Paired


def table(**said: str) -> pd.DataFrame:
    """Return systems that say these letters of eight clips of two speakers, labels aaaabbbb."""
    parts = [
        pd.DataFrame(
            {
                "system": name,
                "fold": "1",
                "seed": 0,
                "utterance_id": [f"u{i}" for i in range(8)],
                "corpus": "c",
                "speaker": list("11221122"),
                "dialogue": "",
                "label": list("aaaabbbb"),
                "predicted": list(letters),
            }
        )
        for name, letters in said.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_drop_and_share_are_those_by_hand() -> None:
    # Right of 8: all, 6 (one wrong of each class), 4, and 7; with as many wrong in both classes
    # the macro-F1 is the accuracy.
    found = Paired(table(whole="aaaabbbb", some="aaababbb", less="aabbaabb"), cluster="speaker")
    assert found.score("whole", "macro_f1").value == 1
    assert found.score("some", "macro_f1").value == pytest.approx(0.75)
    assert found.score("less", "macro_f1").value == pytest.approx(0.5)
    drop = found.relative_drop("whole", "some", "macro_f1")
    assert drop is not None
    assert drop.value == pytest.approx(25)
    share = found.share_closed("some", "less", "whole", "macro_f1")
    assert share is not None
    assert share.value == pytest.approx(0.5)
    assert found.difference("some", "less", "wa").value == pytest.approx(0.25)


def test_there_is_no_share_of_a_gap_that_is_not_above_0_and_no_drop_of_nothing() -> None:
    found = Paired(table(one="aaababbb", same="aaababbb", none="bbbbaaaa"), cluster="speaker")
    assert found.share_closed("none", "one", "same", "macro_f1") is None
    assert found.share_closed("one", "same", "none", "macro_f1") is None
    assert found.relative_drop("none", "one", "macro_f1") is None
    assert all(np.isnan(value) for value in ends("drop", None).values())


def test_a_share_has_no_ends_where_the_interval_of_the_gap_reaches_0() -> None:
    # Speaker 2 shows no gap, and is all that is drawn in a quarter of the draws.
    found = Paired(table(high="aaaabbbb", low="bbaaaabb", mid="abaabbbb"), cluster="speaker")
    gap = found.difference("high", "low", "macro_f1")
    assert gap.value > 0
    assert gap.low == 0
    share = found.share_closed("mid", "low", "high", "macro_f1")
    assert share is not None
    assert 0 < share.value < 1
    assert np.isnan([share.low, share.high]).all()


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_a_system_against_itself_is_0_and_against_another_the_negative(a: float, b: float) -> None:
    found = Paired(predictions({"a": a, "b": b}, seeds=(0, 1)), cluster="speaker")
    own = found.difference("a", "a", "macro_f1")
    assert (own.value, own.low, own.high) == (0, 0, 0)
    one, other = (found.difference(*pair, "macro_f1") for pair in (("a", "b"), ("b", "a")))
    assert one.value == pytest.approx(-other.value)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_a_difference_is_that_of_the_comparison_of_two() -> None:
    said = predictions({"a": 0.8, "b": 0.6})
    found = Paired(said, cluster="speaker").difference("a", "b", "ua")
    parts = {name: part.sort_values("utterance_id") for name, part in said.groupby("system")}
    code = {"angry": 0, "calm": 1}
    counts, right = [], []
    for part in parts.values():
        labels, guesses = (part[c].map(code).to_numpy() for c in ("label", "predicted"))
        counts.append(cluster_counts(labels, guesses, part["speaker"].tolist(), num_classes=2))
        right.append(labels == guesses)
    wanted = compare(*counts, right=(right[0], right[1])).difference
    assert (found.value, found.low, found.high) == (wanted.value, wanted.low, wanted.high)


def test_intervals_resample_speakers_and_not_clips() -> None:
    one = np.tile([True, False], 60)
    whole = predictions({"a": 0.5})
    # Half of the speakers are always right: clips alone would tell much more than they do.
    by_speaker = whole["speaker"].isin([f"s{i:02d}" for i in range(0, 12, 2)])
    said = whole.assign(predicted=np.where(by_speaker, whole["label"], "angry"))
    wide = Paired(said, cluster="speaker").score("a", "wa")
    narrow = Paired(said, cluster="clip").score("a", "wa")
    assert wide.num_clusters == 12
    assert narrow.num_clusters == len(one)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_systems_of_other_clips_are_refused() -> None:
    said = predictions({"a": 0.8, "b": 0.6})
    said = said[(said["system"] == "a") | (said["utterance_id"] != "u000")]
    with pytest.raises(PredictionsError, match=r"b: was scored on other clips than a \(119 again"):
        Paired(said, cluster="speaker")


def test_means_of_numbers_resample_the_same_clusters() -> None:
    values = np.random.default_rng(0).random((40, 2))
    clusters = [f"s{i % 8}" for i in range(40)]
    found = mean_intervals(values, clusters)
    weights = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), size=NUM_DRAWS)
    of_clip = weights[:, np.arange(40) % 8]
    for column, interval in zip(values.T, found, strict=True):
        drawn = (of_clip * column).sum(1) / of_clip.sum(1)
        assert interval.value == pytest.approx(column.mean())
        assert interval.low == pytest.approx(np.quantile(drawn, 0.025))
        assert interval.high == pytest.approx(np.quantile(drawn, 0.975))
