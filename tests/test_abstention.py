"""Error rates when the least sure clips are left to a person."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.abstention import COVERAGES, Answers, abstention_table, errors_at
from pipeline.evaluation.cluster_draws import NUM_DRAWS, draws_of_clusters
from pipeline.evaluation.standings import standings_of
from pipeline.report import abstention
from pipeline.report.abstention import abstention_sections, kept_abstention_sections


def naive(sureness, wrong, coverage: float) -> float:
    """Answer one group of equally sure clips after the other until enough are answered."""
    answered = failed = 0.0
    for value in sorted(set(sureness), reverse=True):
        group = [w for s, w in zip(sureness, wrong, strict=True) if s == value]
        answered += len(group)
        failed += sum(group)
        if answered >= coverage * len(sureness) - 1e-9:
            break
    return failed / answered


def answers(seed: int, num: int = 40, clusters: int = 4) -> Answers:
    generator = np.random.default_rng(seed)
    sureness = generator.integers(0, 12, num) / 12
    return Answers(
        sureness=sureness,
        wrong=generator.random(num) > sureness,
        clusters=generator.integers(0, clusters, num).astype(str),
    )


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([0.05, 0.5, 0.8, 1.0]))
def test_the_error_rate_is_that_of_answering_group_by_group(seed, coverage):
    run = answers(seed)
    found = errors_at([run], [coverage]).values[0]
    assert found == pytest.approx(naive(run.sureness, run.wrong, coverage))


def test_a_draw_is_scored_as_its_clips_written_out():
    run = answers(3, num=30)
    found = errors_at([run], [0.8, 1.0])
    names = np.unique(run.clusters)
    weights = np.concatenate(list(draws_of_clusters(len(names), 0)))
    for draw in (0, 7, NUM_DRAWS - 1):
        rows = np.concatenate(
            [
                np.tile(np.flatnonzero(run.clusters == name), often)
                for name, often in zip(names, weights[draw], strict=True)
            ]
        )
        for place, coverage in enumerate((0.8, 1.0)):
            wanted = naive(run.sureness[rows], run.wrong[rows], coverage)
            assert found.drawn[draw, place] == pytest.approx(wanted)


def test_seeds_are_averaged_within_each_draw():
    first, second = answers(1), answers(2)
    second = Answers(sureness=second.sureness, wrong=second.wrong, clusters=first.clusters)
    both = errors_at([first, second], [0.8])
    alone = [errors_at([run], [0.8]) for run in (first, second)]
    np.testing.assert_allclose(both.drawn, sum(one.drawn for one in alone) / 2)
    assert both.values[0] == pytest.approx(sum(one.values[0] for one in alone) / 2)


def test_equally_sure_clips_are_answered_together_whatever_their_order():
    for wrong in ([True, False, False, False], [False, False, False, True]):
        run = Answers(sureness=np.ones(4), wrong=np.array(wrong), clusters=np.arange(4).astype(str))
        assert errors_at([run], [0.25, 0.5]).values.tolist() == [0.25, 0.25]


def table(**uncertainty: float) -> pd.DataFrame:
    """System a, sure where it is right, and system b, as sure everywhere; ten clips of each."""
    rows = []
    for system in ("a", "b"):
        for clip in range(10):
            is_right = clip >= 2
            sure = 0.9 if is_right or system == "b" else 0.6
            rows.append(
                {
                    "system": system,
                    "fold": "",
                    "seed": 0,
                    "utterance_id": f"c{clip}",
                    "corpus": "made",
                    "speaker": f"s{clip % 5}",
                    "dialogue": "",
                    "label": "yes",
                    "predicted": "yes" if is_right else "no",
                    "probability.no": 1 - sure if is_right else sure,
                    "probability.yes": sure if is_right else 1 - sure,
                    **({"uncertainty": float(not is_right)} if system in uncertainty else {}),
                }
            )
    return pd.DataFrame(rows)


def test_a_table_has_every_system_by_every_measure_that_it_tells():
    found = abstention_table(table(b=1), cluster="speaker")
    assert list(dict.fromkeys(zip(found["system"], found["by"], strict=True))) == [
        ("a", "confidence"),
        ("b", "confidence"),
        ("b", "uncertainty"),
    ]
    at = found.set_index(["system", "by", "coverage"])
    assert len(found) == 3 * len(COVERAGES)
    assert at.loc[("a", "confidence", 1.0), "error"] == pytest.approx(0.2)
    assert at.loc[("a", "confidence", 0.8), "error"] == 0
    assert at.loc[("b", "confidence", 0.8), "error"] == pytest.approx(0.2)
    assert at.loc[("b", "confidence", 0.8), "difference"] == pytest.approx(-0.2)
    assert at.loc[("b", "uncertainty", 0.8), "difference"] == 0
    assert np.isnan(at.loc[("a", "confidence", 0.8), "difference"])


def test_standings_tell_the_error_rate_at_80_percent():
    standings = standings_of(table(), cluster="speaker", margin=0.02).table()
    assert standings["error_at_80"].tolist() == pytest.approx([0.0, 0.2])
    assert (standings["error_at_80_low"] <= standings["error_at_80"]).all()
    alone = table().drop(columns=["probability.no", "probability.yes"])
    assert "error_at_80" not in standings_of(alone, cluster="speaker", margin=0.02).table()
    assert abstention_table(alone, cluster="speaker").empty


def test_of_many_systems_the_first_and_the_best_are_drawn(tmp_path, monkeypatch):
    found = abstention_table(table(b=1), cluster="speaker")
    a, b = (found[found["system"] == name] for name in "ab")
    b = b[b["by"] == "confidence"]
    others = [b.assign(system=f"s{i}", error=b["error"] / (1 + i)) for i in range(9)]
    drawn: list[str] = []
    monkeypatch.setattr(abstention, "draw_scores", lambda _, lines, **__: drawn.extend(lines))
    abstention_sections(tmp_path, pd.concat([a.assign(error=0.9), *others]))
    assert drawn == [f"{name}, by confidence" for name in ("a", "s4", "s5", "s6", "s7", "s8")]


def test_a_section_has_the_table_the_csv_and_the_picture(tmp_path):
    found = abstention_table(table(b=1), cluster="speaker")
    (section,) = abstention_sections(tmp_path, found)
    cells = section.tables[0].frame.set_index(["system", "by"])
    assert cells.loc[("a", "confidence"), "80%"].startswith("0.000 [0.000, ")
    assert cells.loc[("b", "confidence"), "difference"].startswith("-0.200 [")
    assert (tmp_path / "abstention.png").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(tmp_path / "abstention.csv")) == len(found)
    (kept,) = kept_abstention_sections(tmp_path / "page", "cv", tmp_path)
    assert kept.tables[0].frame.equals(section.tables[0].frame)
    assert abstention_sections(tmp_path, found.iloc[:0]) == []
    assert kept_abstention_sections(tmp_path, "cv", tmp_path / "nowhere") == []
