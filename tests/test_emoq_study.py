"""The tables of EmoQ: what is a variant of what, and what is left unsaid."""

import numpy as np
import pandas as pd
import pytest

from helpers.emoq_study import SECONDS, SKILLS, said, system, systems
from helpers.tokens import predictions
from pipeline.evaluation.paired import Paired
from pipeline.experiments.emoq_study import EmoQStudy, has_emoq, is_whole, study_emoq


@pytest.fixture(scope="module")
def study() -> EmoQStudy:
    return study_emoq(said(), systems(), SECONDS, cluster="speaker")


def placed(study: EmoQStudy, table: str, whole: str = "whole") -> dict[str, str]:
    mine = study.variants[(study.variants["table"] == table) & (study.variants["whole"] == whole)]
    return dict(zip(mine["system"], mine["variant"], strict=True))


def test_variants_differ_from_the_whole_system_in_one_part(study: EmoQStudy) -> None:
    assert placed(study, "input") == {"whole": "emoq", "a": "audio", "t": "text", "b": "both"}
    losses = {"whole": "both", "f": "focal", "s": "scl", "n": "none"}
    assert placed(study, "losses") == losses
    assert placed(study, "stage1") == {"whole": "with", "one": "without"}


def test_another_source_of_texts_is_another_whole_system(study: EmoQStudy) -> None:
    assert placed(study, "input", "heard") == {"heard": "emoq", "a": "audio"}
    assert placed(study, "losses", "heard") == {"heard": "both"}


@pytest.mark.parametrize(
    "fact", ["language", "encoder", "layers", "former", "text_sources", "stage1_steps"]
)
def test_what_differs_in_more_is_no_variant(fact: str) -> None:
    other = system("other", mal="focal", **{fact: 7.0 if fact == "stage1_steps" else "another"})
    facts = pd.DataFrame([system("whole"), other])
    table = predictions({"whole": 0.8, "other": 0.7})
    found = study_emoq(table, facts, {}, cluster="speaker")
    assert set(found.variants["system"]) == {"whole"}


def test_scores_and_differences_are_those_of_paired(study: EmoQStudy) -> None:
    paired = Paired(said(), cluster="speaker")
    for row in study.variants.to_dict("records"):
        for score in ("wa", "ua", "wf1"):
            one = paired.difference(row["system"], row["whole"], score)
            found = [row[f"{score}_difference{end}"] for end in ("", "_low", "_high")]
            assert found == [one.value, one.low, one.high]
            assert row[score] == paired.score(row["system"], score).value
    assert study.reference == "whole"
    assert study.systems.set_index("system").loc["whole", "ua_difference"] == 0


def test_names_play_no_part(study: EmoQStudy) -> None:
    new = {name: f"x{i}" for i, name in enumerate(reversed(SKILLS))}
    table, facts = said(), systems()
    renamed = study_emoq(
        table.assign(system=table["system"].map(new)),
        facts.assign(system=facts["system"].map(new)),
        {new[name]: value for name, value in SECONDS.items()},
        cluster="speaker",
    )
    for name, mine in study.tables().items():
        other = renamed.tables()[name]
        columns = mine.select_dtypes("number").columns
        pd.testing.assert_frame_equal(mine[columns], other[columns])
        assert other["system"].tolist() == [new[one] for one in mine["system"]]


def test_two_that_facts_cannot_tell_apart_stand_in_one_table() -> None:
    table = predictions({"first": 0.8, "second": 0.7})
    facts = pd.DataFrame([system("first"), system("second")])
    found = study_emoq(table, facts, {}, cluster="speaker")
    assert placed(found, "losses", "first") == {"first": "both", "second": "both"}
    assert set(found.variants["whole"]) == {"first"}


def test_without_a_whole_system_inputs_are_told_without_differences() -> None:
    table = said()
    table = table[table["system"].isin(["plain", "t"])]
    found = study_emoq(table, systems(), {}, cluster="speaker")
    assert found.reference == "t"
    assert placed(found, "input", "") == {"t": "text"}
    assert found.variants["ua_difference"].isna().all()
    compared = found.systems.set_index("system")["ua_difference"]
    assert compared["plain"] != 0
    assert np.isfinite(compared).all()


def test_a_system_without_facts_is_shown_and_is_no_variant() -> None:
    table = predictions({"whole": 0.8, "fused": 0.9})
    found = study_emoq(table, pd.DataFrame([system("whole")]), {}, cluster="speaker")
    assert found.systems["system"].tolist() == ["whole", "fused"]
    assert found.systems["num_parameters"].isna().tolist() == [False, True]
    assert set(found.variants["system"]) == {"whole"}


def test_what_was_scored_is_told(study: EmoQStudy) -> None:
    assert (study.corpora, study.num_classes, study.split) == (
        ("meld",),
        7,
        "test of its own split, 1 seed",
    )
    table = predictions({"whole": 0.8}, seeds=(0, 1))
    folds = table["speaker"].str[-1].map(lambda digit: str(int(digit) % 3))
    found = study_emoq(
        table.assign(fold=folds), pd.DataFrame([system("whole")]), {}, cluster="speaker"
    )
    assert found.split == "test of 3 folds, 2 seeds"
    own = study_emoq(
        table.assign(fold="split"), pd.DataFrame([system("whole")]), {}, cluster="speaker"
    )
    assert own.split == "test of its own split, 2 seeds"
    assert found.num_classes == 2


def test_a_study_is_of_systems_of_this_head() -> None:
    assert has_emoq(systems())
    assert not has_emoq(systems()[:1])
    assert [row["system"] for row in systems().to_dict("records") if is_whole(row)] == [
        "whole",
        "heard",
    ]
