"""The studies of descriptors: what is a variant of what, and what is told of each."""

import pandas as pd
import pytest

from helpers.descriptors_study import SKILLS, probes, scores, slots, system, systems
from helpers.tokens import predictions
from pipeline.evaluation.paired import Paired
from pipeline.experiments.descriptors_study import (
    DescriptorsStudy,
    has_descriptors,
    study_descriptors,
)

NOTHING = pd.DataFrame()


def studied(table: pd.DataFrame, facts: pd.DataFrame) -> DescriptorsStudy:
    return study_descriptors(
        table, facts, {}, probes=NOTHING, scores=NOTHING, slots=NOTHING, cluster="speaker"
    )


@pytest.fixture(scope="module")
def study() -> DescriptorsStudy:
    return study_descriptors(
        predictions(SKILLS),
        systems(),
        {"plain": 0.5},
        probes=probes(),
        scores=scores(),
        slots=slots(),
        cluster="speaker",
    )


def placed(study: DescriptorsStudy, table: str) -> dict[str, str]:
    mine = study.variants[study.variants["table"] == table]
    assert set(mine["whole"]) == {study.reference}
    return dict(zip(mine["system"], mine["variant"], strict=True))


def test_parts_are_varied_in_any_combination(study: DescriptorsStudy) -> None:
    assert placed(study, "parts") == {
        "whole": "two branches, bottleneck, two stages in phases",
        "one": "one branch, bottleneck, two stages in phases",
        "free": "two branches, no bottleneck, two stages in phases",
        "joint": "two branches, bottleneck, joint",
        "base": "one branch, no bottleneck, joint",
    }


def test_betas_and_conditions_are_tables_of_their_own(study: DescriptorsStudy) -> None:
    assert placed(study, "beta") == {
        "faint": "0.01 to 0.0001",
        "whole": "1 to 0.0001",
        "strong": "1 throughout",
    }
    conditions = {"whole": "predicted", "gold": "gold", "mute": "never"}
    assert placed(study, "condition") == conditions


def test_the_whole_system_has_the_paper_s_beta_or_is_the_first(study: DescriptorsStudy) -> None:
    assert study.reference == "whole"
    facts = systems()
    facts = facts[facts["system"] != "whole"]
    table = predictions({name: skill for name, skill in SKILLS.items() if name != "whole"})
    other = studied(table, facts)
    assert other.reference == "faint"
    assert placed(other, "beta") == {"faint": "0.01 to 0.0001", "strong": "1 throughout"}


@pytest.mark.parametrize("fact", ["encoder", "language", "layers", "described_by", "views"])
def test_what_differs_in_more_is_no_variant(fact: str) -> None:
    facts = pd.DataFrame([system("whole"), system("other", branches="one", **{fact: "another"})])
    found = studied(predictions({"whole": 0.8, "other": 0.7}), facts)
    assert set(found.variants["system"]) == {"whole"}


def test_scores_and_differences_are_those_of_paired(study: DescriptorsStudy) -> None:
    paired = Paired(predictions(SKILLS), cluster="speaker")
    for row in study.variants.to_dict("records"):
        one = paired.difference(row["system"], "whole", "ua")
        found = [row[f"ua_difference{end}"] for end in ("", "_low", "_high")]
        assert found == [one.value, one.low, one.high]
        assert row["ua"] == paired.score(row["system"], "ua").value
    told = study.systems.set_index("system")
    assert set(told.index) == set(SKILLS)
    assert told.loc["plain", "seconds_per_clip"] == 0.5
    assert told["seconds_per_clip"].isna().sum() == len(SKILLS) - 1
    assert told.loc["whole", "ua_difference"] == 0


def test_texts_slots_and_probes_are_told_as_far_as_they_are_known(study: DescriptorsStudy) -> None:
    told = study.told.set_index("system")
    assert told.loc["whole", "slots"] == 0.5
    assert told.loc["one", "bleu4"] == 0.112
    assert told.loc["whole", "sentence: content"] == pytest.approx(0.65)
    assert told.loc["strong", "emotion: descriptor"] == pytest.approx(0.76)
    assert told.loc["gold"].isna().all()
    assert list(studied(predictions({"whole": 0.8}), systems()).told.columns) == ["system"]


def test_names_play_no_part(study: DescriptorsStudy) -> None:
    new = {name: f"x{i}" for i, name in enumerate(reversed(SKILLS))}
    facts, table = systems(), predictions(SKILLS)
    renamed = studied(
        table.assign(system=table["system"].map(new)),
        facts.assign(system=facts["system"].map(new)),
    )
    assert renamed.variants["variant"].tolist() == study.variants["variant"].tolist()
    assert renamed.variants["system"].tolist() == [new[n] for n in study.variants["system"]]


def test_without_a_whole_system_there_is_no_variant() -> None:
    found = studied(predictions({"one": 0.8}), systems())
    assert found.variants.empty
    assert found.reference == "one"
    assert set(found.tables()) == {"systems", "told"}
    assert has_descriptors(systems())
    assert not has_descriptors(systems()[:1])
