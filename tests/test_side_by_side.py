"""Systems of one table side by side, of classes and of numbers alike."""

import numpy as np
import pandas as pd
import pytest

from helpers.tokens import predictions
from pipeline.errors import PredictionsError
from pipeline.evaluation.number_standings import number_standing, number_standings_of
from pipeline.evaluation.side_by_side import common_rows
from pipeline.evaluation.standings import standing, standings_of

KINDS = {"classes": standings_of, "numbers": number_standings_of}


def two(kind: str) -> pd.DataFrame:
    """Two systems on 120 clips of two corpora, six speakers in each."""
    table = predictions({"a": 0.8, "b": 0.6})
    table["corpus"] = np.where(table["speaker"] < "s06", "one", "two")
    if kind == "numbers":
        table["predicted"] = (table["predicted"] == "calm") + 0.0
        table["label"] = (table["label"] == "calm") + 0.0
    return table


@pytest.mark.parametrize("kind", KINDS)
def test_every_system_stands_on_all_clips_and_on_each_corpus(kind: str) -> None:
    table = two(kind)
    found = KINDS[kind](table, cluster="speaker", margin=0.02)
    assert [one.system for one in found.overall] == ["a", "b"]
    assert found.first is found.overall[0]
    places = [(one.corpus, one.system, one.num_clips) for one in found.by_corpus]
    assert places == [(c, s, 60) for c in ("one", "two") for s in ("a", "b")]
    part = table[(table["corpus"] == "two") & (table["system"] == "b")]
    alone = (
        number_standing(part, cluster="speaker")
        if kind == "numbers"
        else standing(part, ["angry", "calm"], cluster="speaker")
    )
    assert found.by_corpus[-1].scores == alone.scores
    assert list(found.comparisons) == ["b"]
    assert len(found.table()) == 6
    one = KINDS[kind](table.assign(corpus="one"), cluster="speaker", margin=0.02)
    assert one.by_corpus == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_compared_is_refused(kind: str) -> None:
    table, of = two(kind), KINDS[kind]
    is_b = table["system"] == "b"
    ids = table["utterance_id"].where(~is_b, "other-" + table["utterance_id"])
    with pytest.raises(PredictionsError, match="a and b have no clip in common; score the same"):
        of(table.assign(utterance_id=ids), cluster="speaker", margin=0.02)
    low, high = sorted(set(table["label"]))
    turned = table["label"].map({low: high, high: low})
    one = is_b & (table["utterance_id"] == "u007")
    labels = table["label"].where(~one, turned)
    with pytest.raises(PredictionsError, match="a and b have other labels for u007; score the s"):
        of(table.assign(label=labels), cluster="speaker", margin=0.02)
    seeds = pd.concat([table, table[table["utterance_id"] != "u000"].assign(seed=1)])
    with pytest.raises(PredictionsError, match="a: its seeds were scored on different clips"):
        of(seeds, cluster="speaker", margin=0.02)


def test_systems_meet_on_the_clips_that_both_have() -> None:
    table = two("classes")
    kept = (table["system"] == "a") | (table["utterance_id"] < "u010")
    mine, theirs = common_rows(table[kept], "a", "b")
    assert mine["utterance_id"].tolist() == theirs["utterance_id"].tolist()
    assert len(mine) == 10
