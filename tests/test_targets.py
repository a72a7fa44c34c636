import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ManifestError, ParamsError
from pipeline.manifests.labels import LabelMap
from pipeline.training.targets import make_targets, one_hot, vote_shares

CLASSES = ("angry", "happy")
MAP = LabelMap(classes=CLASSES, mapping={"excited": "happy", "mad": "angry"}, drop=("other",))
TABLE = pd.DataFrame(
    {
        "votes.excited": [1.0, 0.0, np.nan],
        "votes.happy": [1.0, 0.0, np.nan],
        "votes.mad": [2.0, 0.0, np.nan],
        "votes.other": [6.0, 3.0, np.nan],
    }
)


def test_a_label_is_one_class_and_no_label_none() -> None:
    assert one_hot(np.array([1, -1, 0]), 2).tolist() == [[0, 1], [0, 0], [1, 0]]


def test_votes_are_put_together_by_the_label_map_and_others_left_out() -> None:
    shares = vote_shares(TABLE, CLASSES, MAP)
    assert shares[0].tolist() == [0.5, 0.5]
    assert np.isnan(shares[1:]).all()
    plain = vote_shares(TABLE, ("happy", "mad"), None)
    np.testing.assert_allclose(plain[0], [1 / 3, 2 / 3])


def test_a_row_without_votes_keeps_its_label() -> None:
    labels = np.array([0, 1, 1])
    made = make_targets(TABLE, labels, CLASSES, MAP, kind="votes")
    assert made.tolist() == [[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]
    assert make_targets(TABLE, labels, CLASSES, MAP, kind="label").tolist() == [
        [1.0, 0.0],
        [0.0, 1.0],
        [0.0, 1.0],
    ]


def test_votes_that_nobody_gave_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"'votes', but no training row has votes for"):
        make_targets(TABLE[1:], np.array([0, 1]), CLASSES, MAP, kind="votes")
    with pytest.raises(ParamsError, match=r"train\.targets: 'vote' is not one of"):
        make_targets(TABLE, np.array([0, 1, 1]), CLASSES, MAP, kind="vote")
