import doctest
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from pipeline.errors import ShapeError
from pipeline.evaluation import metrics

CLASSES = ["angry", "calm", "happy", "sad", "shy"]


def naive_recall(labels, predicted, wanted):
    rows = [p == a for a, p in zip(labels, predicted, strict=True) if a == wanted]
    return sum(rows) / len(rows) if rows else None


def naive_f1(labels, predicted, wanted):
    true_positives = sum(
        a == wanted and p == wanted for a, p in zip(labels, predicted, strict=True)
    )
    if true_positives == 0:
        return 0.0
    precision = true_positives / sum(p == wanted for p in predicted)
    recall = true_positives / sum(a == wanted for a in labels)
    return 2 * precision * recall / (precision + recall)


def naive_scores(labels, predicted):
    labels, predicted = labels.tolist(), predicted.tolist()
    found = sorted(set(labels))
    either = sorted({*labels, *predicted})
    size = len(labels)
    return {
        "wa": sum(a == p for a, p in zip(labels, predicted, strict=True)) / size,
        "ua": sum(naive_recall(labels, predicted, c) for c in found) / len(found),
        "wf1": sum(labels.count(c) * naive_f1(labels, predicted, c) for c in found) / size,
        "macro_f1": sum(naive_f1(labels, predicted, c) for c in either) / len(either),
    }


def sklearn_scores(labels, predicted):
    found = np.unique(labels)
    return {
        "wa": sklearn_metrics.accuracy_score(labels, predicted),
        "ua": sklearn_metrics.recall_score(labels, predicted, labels=found, average="macro"),
        "wf1": sklearn_metrics.f1_score(labels, predicted, average="weighted", zero_division=0.0),
        "macro_f1": sklearn_metrics.f1_score(labels, predicted, average="macro", zero_division=0.0),
    }


def indices(values):
    return np.array(values, dtype=np.int64)


@st.composite
def answers(draw):
    pair = st.tuples(st.integers(0, len(CLASSES) - 1), st.integers(0, len(CLASSES) - 1))
    pairs = draw(st.lists(pair, min_size=1, max_size=40))
    return indices([a for a, _ in pairs]), indices([p for _, p in pairs])


def test_docstring_examples_hold():
    result = doctest.testmod(metrics, extraglobs={"np": np})
    assert result.attempted >= 9
    assert result.failed == 0


@settings(max_examples=60, deadline=None)
@given(answers())
def test_scores_agree_with_the_textbook_sums(pair):
    expected = naive_scores(*pair)
    assert list(expected) == list(metrics.SELECTORS)
    for name, score in metrics.SELECTORS.items():
        assert score(*pair) == pytest.approx(expected[name], abs=1e-12), name


@settings(max_examples=30, deadline=None)
@given(answers())
def test_scores_agree_with_scikit_learn(pair):
    expected = sklearn_scores(*pair)
    for name, score in metrics.SELECTORS.items():
        assert score(*pair) == pytest.approx(expected[name], abs=1e-12), name
    np.testing.assert_array_equal(
        metrics.confusion_matrix(*pair, num_classes=5),
        sklearn_metrics.confusion_matrix(*pair, labels=range(5)),
    )


@settings(max_examples=60, deadline=None)
@given(answers())
def test_recalls_agree_with_the_textbook_sum(pair):
    found = metrics.recalls(*pair, CLASSES)
    assert list(found) == CLASSES
    for index, name in enumerate(CLASSES):
        assert found[name] == naive_recall(pair[0].tolist(), pair[1].tolist(), index)


@settings(max_examples=60, deadline=None)
@given(answers(), st.randoms(use_true_random=False))
def test_order_of_clips_does_not_change_a_bit(pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    moved = (pair[0][order], pair[1][order])
    assert metrics.summarise(*pair, CLASSES) == metrics.summarise(*moved, CLASSES)


@settings(max_examples=60, deadline=None)
@given(answers(), st.permutations(range(len(CLASSES))))
def test_renaming_the_classes_changes_no_score(pair, renamed):
    table = indices(renamed)
    for score in metrics.SELECTORS.values():
        assert score(table[pair[0]], table[pair[1]]) == pytest.approx(score(*pair), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(answers(), st.integers(1, 4))
def test_duplicating_the_clips_of_one_class_leaves_ua_unchanged(pair, times):
    labels, predicted = pair
    again = np.flatnonzero(labels == labels[0]).repeat(times)
    more = (np.append(labels, labels[again]), np.append(predicted, predicted[again]))
    assert metrics.unweighted_accuracy(*more) == pytest.approx(
        metrics.unweighted_accuracy(*pair), abs=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(answers())
def test_scores_lie_between_zero_and_one_and_are_one_only_when_all_is_right(pair):
    for score in metrics.SELECTORS.values():
        assert 0.0 <= score(*pair) <= 1.0
        assert score(pair[0], pair[0]) == 1.0
        assert (score(*pair) == 1.0) == bool((pair[0] == pair[1]).all())


@settings(max_examples=60, deadline=None)
@given(answers())
def test_majority_rate_is_the_accuracy_of_the_best_constant_answer(pair):
    labels = pair[0]
    constant = [metrics.weighted_accuracy(labels, np.full_like(labels, c)) for c in range(5)]
    assert metrics.majority_rate(labels) == max(constant)


@pytest.mark.parametrize(
    ("labels", "predicted", "wa", "ua", "wf1", "macro_f1"),
    [
        ([2], [2], 1.0, 1.0, 1.0, 1.0),
        ([2], [0], 0.0, 0.0, 0.0, 0.0),
        ([1, 1, 1], [1, 1, 1], 1.0, 1.0, 1.0, 1.0),
        ([0, 0, 0, 1], [0, 0, 0, 0], 0.75, 0.5, 9 / 14, 3 / 7),
        ([0, 0, 0, 0], [0, 0, 3, 3], 0.5, 0.5, 2 / 3, 1 / 3),
    ],
    ids=["one clip right", "one clip wrong", "one class", "constant answer", "unheard-of class"],
)
def test_degenerate_answers_have_their_scores(labels, predicted, wa, ua, wf1, macro_f1):
    found = metrics.summarise(indices(labels), indices(predicted), CLASSES)
    assert [found[name] for name in ("wa", "ua", "wf1", "macro_f1")] == pytest.approx(
        [wa, ua, wf1, macro_f1], abs=1e-12
    )


def test_summary_is_plain_json_with_the_agreed_keys():
    found = metrics.summarise(indices([0, 0, 2]), indices([0, 1, 2]), CLASSES[:4])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {"wa", "ua", "wf1", "macro_f1", "recall", "majority_rate", "num_clips"}
    assert found["recall"] == {"angry": 0.5, "calm": None, "happy": 1.0, "sad": None}
    assert found["majority_rate"] == 2 / 3
    assert found["num_clips"] == 3
    assert all(type(found[name]) is float for name in metrics.SELECTORS)


@pytest.mark.parametrize("score", metrics.SELECTORS.values(), ids=metrics.SELECTORS.keys())
@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        (indices([]), indices([]), "found 0 clips, wanted at least 1"),
        (indices([0, 1]), indices([0]), "found 2 clips and 1 predictions"),
        (indices([0, -1]), indices([0, 0]), "labels: found class index -1 at clip 1"),
        (indices([0]), np.array([0.0]), "predicted: found shape .* 'float64'"),
        (indices([[0]]), indices([0]), r"labels: found shape \(1, 1\)"),
    ],
    ids=["empty", "unequal", "negative", "float", "matrix"],
)
def test_what_has_no_score_is_refused(score, labels, predicted, message):
    with pytest.raises(ShapeError, match=message):
        score(labels, predicted)


def test_index_beyond_the_classes_is_refused():
    with pytest.raises(ShapeError, match="predicted: found class index 3 at clip 1, wanted 0 to 2"):
        metrics.confusion_matrix(indices([0, 1]), indices([0, 3]), num_classes=3)
    with pytest.raises(ShapeError, match="wanted 0 to 4"):
        metrics.recalls(indices([5]), indices([0]), CLASSES)
    with pytest.raises(ShapeError, match="wanted each once"):
        metrics.recalls(indices([0]), indices([0]), ["sad", "sad"])
    with pytest.raises(ShapeError, match="found 0 clips"):
        metrics.majority_rate(indices([]))


def test_no_score_is_nan_when_a_class_is_missing():
    found = metrics.summarise(indices([0]), indices([1]), CLASSES)
    assert not any(math.isnan(found[name]) for name in metrics.SELECTORS)
