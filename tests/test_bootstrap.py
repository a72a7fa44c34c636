import audmetric
import confidence_intervals
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from pipeline.errors import ShapeError
from pipeline.evaluation import cluster_draws
from pipeline.evaluation.bootstrap import (
    cluster_counts,
    compare,
    drawn_scores,
    intervals,
    scores_of,
)
from pipeline.evaluation.cluster_draws import draws_taken
from pipeline.evaluation.metrics import SELECTORS, confusion_matrix, recalls


def clips(num: int = 240, seed: int = 0, skill: float = 0.5, speakers: int = 12):
    """Labels, predictions and speakers; some speakers are easier than others."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, num)
    speaker = np.arange(num) % speakers
    ease = generator.uniform(-0.3, 0.3, speakers)[speaker]
    is_right = generator.random(num) < skill + ease
    predicted = np.where(is_right, labels, generator.integers(0, 3, num))
    return labels, predicted, [f"s{i}" for i in speaker]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_scores_of_counts_are_those_of_clips(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    found = scores_of(confusion_matrix(labels, predicted, num_classes=4))
    for name, score in SELECTORS.items():
        assert found[name] == pytest.approx(score(labels, predicted))
    for index, recall in enumerate(recalls(labels, predicted, list("abcd")).values()):
        value = float(found[f"recall.{index}"])
        assert np.isnan(value) if recall is None else value == pytest.approx(recall)


def test_scores_are_those_of_audmetric_and_scikit_learn() -> None:
    labels, predicted, _ = clips()
    found = scores_of(confusion_matrix(labels, predicted, num_classes=3))
    assert found["wa"] == pytest.approx(audmetric.accuracy(labels, predicted))
    assert found["ua"] == pytest.approx(audmetric.unweighted_average_recall(labels, predicted))
    assert found["ua"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(
        audmetric.unweighted_average_fscore(labels, predicted)
    )
    assert found["wf1"] == pytest.approx(f1_score(labels, predicted, average="weighted"))


def test_clusters_are_counted_apart_and_sum_to_the_whole() -> None:
    labels, predicted, speakers = clips()
    counts = cluster_counts(labels, predicted, speakers, num_classes=3)
    assert counts.shape == (12, 3, 3)
    whole = confusion_matrix(labels, predicted, num_classes=3)
    np.testing.assert_array_equal(counts.sum(0), whole)
    mine = np.array(speakers) == "s10"
    one = confusion_matrix(labels[mine], predicted[mine], num_classes=3)
    np.testing.assert_array_equal(counts[sorted(set(speakers)).index("s10")], one)


def naive_interval(labels, predicted, speakers, score) -> tuple[float, float]:
    """Draw speakers, put all their clips together, score them; again and again."""
    generator = np.random.default_rng(1)
    speakers = np.array(speakers)
    names = sorted(set(speakers))
    values = []
    for _ in range(1000):
        drawn = generator.choice(names, len(names))
        rows = np.concatenate([np.flatnonzero(speakers == name) for name in drawn])
        values.append(score(labels[rows], predicted[rows]))
    return tuple(np.quantile(values, [0.025, 0.975]))


@pytest.mark.parametrize("name", ["wa", "ua", "wf1", "macro_f1"])
def test_an_interval_is_that_of_drawing_whole_speakers(name: str) -> None:
    labels, predicted, speakers = clips()
    found = intervals(cluster_counts(labels, predicted, speakers, num_classes=3))[name]
    low, high = naive_interval(labels, predicted, speakers, SELECTORS[name])
    assert found.value == pytest.approx(SELECTORS[name](labels, predicted))
    assert found.low == pytest.approx(low, abs=0.015)
    assert found.high == pytest.approx(high, abs=0.015)


def packaged_interval(labels, predicted, conditions) -> tuple[float, float]:
    _, ends = confidence_intervals.evaluate_with_conf_int(
        predicted,
        lambda y, p: float(np.mean(y == p)),
        labels=labels,
        conditions=conditions,
        num_bootstraps=1000,
        alpha=5,
    )
    return ends


def test_the_confidence_intervals_package_agrees() -> None:
    labels, predicted, speakers = clips()
    alone = [str(i) for i in range(len(labels))]
    by_clip = intervals(cluster_counts(labels, predicted, alone, num_classes=3))["wa"]
    low, high = packaged_interval(labels, predicted, None)
    assert by_clip.low == pytest.approx(low, abs=0.015)
    assert by_clip.high == pytest.approx(high, abs=0.015)
    # The package also resamples the clips within a drawn speaker, which can only widen it
    # (Davison & Hinkley 1997, section 3.8, advise against).
    by_speaker = intervals(cluster_counts(labels, predicted, speakers, num_classes=3))["wa"]
    low, high = packaged_interval(labels, predicted, np.array(speakers))
    assert low <= by_speaker.low + 0.01
    assert high >= by_speaker.high - 0.01
    assert high - low < 2 * (by_speaker.high - by_speaker.low)


def test_resampling_clips_instead_makes_intervals_too_narrow() -> None:
    labels, predicted, speakers = clips()
    by_speaker = intervals(cluster_counts(labels, predicted, speakers, num_classes=3))["ua"]
    alone = [str(i) for i in range(len(labels))]
    by_clip = intervals(cluster_counts(labels, predicted, alone, num_classes=3))["ua"]
    assert by_speaker.high - by_speaker.low > 1.2 * (by_clip.high - by_clip.low)
    assert not by_speaker.is_shaky
    few = intervals(cluster_counts(labels, predicted, ["a", "b"] * 120, num_classes=3))["ua"]
    assert few.num_clusters == 2
    assert few.is_shaky


def test_several_seeds_are_averaged() -> None:
    runs = [clips(seed=0, skill=skill) for skill in (0.4, 0.7)]
    counts = [cluster_counts(*run, num_classes=3) for run in runs]
    both = intervals(np.stack(counts))["ua"]
    assert both.value == pytest.approx(np.mean([intervals(c)["ua"].value for c in counts]))


def test_drawing_in_small_portions_gives_the_same_interval(monkeypatch) -> None:
    counts = cluster_counts(*clips(), num_classes=3)
    whole = intervals(counts)
    monkeypatch.setattr(cluster_draws, "WEIGHTS_AT_ONCE", 100)
    assert intervals(counts) == whole


def test_intervals_are_of_the_draws_that_are_taken_in_their_block() -> None:
    counts = cluster_counts(*clips(), num_classes=3)
    whole, drawn = intervals(counts), drawn_scores(counts[None])["ua"]
    with draws_taken(300):
        few = intervals(counts)["ua"]
        np.testing.assert_array_equal(drawn_scores(counts[None])["ua"], drawn[:300])
    assert [few.low, few.high] == np.nanquantile(drawn[:300], [0.025, 0.975]).tolist()
    assert few.value == whole["ua"].value
    assert intervals(counts) == whole


def test_a_system_does_not_differ_from_itself() -> None:
    labels, predicted, speakers = clips()
    counts = cluster_counts(labels, predicted, speakers, num_classes=3)
    is_right = labels == predicted
    same = compare(counts, counts, right=(is_right, is_right))
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    assert same.mcnemar_p == 1.0
    assert same.is_not_inferior
    assert not same.is_better


def test_a_better_system_is_found_better_and_the_other_way_round_not() -> None:
    labels, weak, speakers = clips(skill=0.3)
    strong = np.where(np.arange(len(labels)) % 3 > 0, labels, weak)
    counts = [cluster_counts(labels, p, speakers, num_classes=3) for p in (strong, weak)]
    right = [labels == strong, labels == weak]
    found = compare(counts[0], counts[1], right=(right[0], right[1]))
    assert found.is_better
    assert found.only_second == 0
    # All k discordant clips on one side: p = 2 / 2^k.
    assert found.mcnemar_p == pytest.approx(2 * 0.5**found.only_first)
    back = compare(counts[1], counts[0], right=(right[1], right[0]))
    assert not back.is_not_inferior
    assert back.difference.low == pytest.approx(-found.difference.high)


def test_the_margin_decides_what_is_not_inferior() -> None:
    labels, predicted, speakers = clips()
    worse = predicted.copy()
    worse[:2] = (labels[:2] + 1) % 3
    counts = [cluster_counts(labels, p, speakers, num_classes=3) for p in (worse, predicted)]
    right = (labels == worse, labels == predicted)
    assert compare(counts[0], counts[1], right=right, margin=0.5).is_not_inferior
    assert not compare(counts[0], counts[1], right=right, margin=0.0).is_not_inferior


def test_systems_on_other_clips_cannot_be_compared() -> None:
    labels, predicted, speakers = clips()
    counts = cluster_counts(labels, predicted, speakers, num_classes=3)
    right = labels == predicted
    with pytest.raises(ShapeError, match="found other clips or labels in the second system"):
        compare(counts, counts[:-1], right=(right, right))
    with pytest.raises(ShapeError, match="clusters: found 1 for 240 clips"):
        cluster_counts(labels, predicted, ["a"], num_classes=3)
