"""The sentence that a report begins with, for every way it can turn out."""

from dataclasses import replace

import pandas as pd
import pytest

from pipeline.evaluation.bootstrap import Comparison, Interval
from pipeline.evaluation.number_standings import (
    NumberComparison,
    NumberStanding,
    NumberStandings,
)
from pipeline.evaluation.standings import Standing, Standings
from pipeline.report.verdict import crossval_verdict_of, number_verdict_of, verdict_of


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high, num_clusters=12)


def standing(name: str, wa: tuple[float, float, float], ua: tuple[float, float, float]) -> Standing:
    return Standing(
        system=name,
        corpus="",
        scores={"wa": interval(*wa), "ua": interval(*ua)},
        fold_scores={},
        seed_sd=float("nan"),
        calibration={},
        abstained=None,
        num_clips=100,
        num_seeds=1,
        majority_rate=0.412,
        num_classes=4,
    )


def against(value: float, low: float, high: float) -> Comparison:
    return Comparison(
        difference=interval(value, low, high),
        margin=0.02,
        mcnemar_p=1.0,
        only_first=0,
        only_second=0,
    )


def verdict(first: Standing, *others: tuple[Standing, Comparison], baselines=("b",)) -> str:
    found = Standings(
        classes=["x"],
        overall=[first, *(one for one, _ in others)],
        by_corpus=[],
        comparisons={one.system: compared for one, compared in others},
    )
    return verdict_of(found, where="URDU", baselines=baselines)


GOOD = standing("s", (0.7, 0.6, 0.8), (0.6, 0.5, 0.7))


@pytest.mark.parametrize(
    ("wa", "ua", "said"),
    [
        (
            (0.118, 0.09, 0.15),
            (0.24, 0.2, 0.3),
            "Below the commonest class on URDU: 0.118 of the clips right against 0.412.",
        ),
        (
            (0.35, 0.3, 0.4),
            (0.33, 0.28, 0.4),
            "Below the commonest class on URDU: 0.350 of the clips right against 0.412, though its "
            "UA is above chance, 0.330 against 0.250.",
        ),
        (
            (0.45, 0.38, 0.5),
            (0.24, 0.2, 0.3),
            "Not shown to be above the commonest class on URDU: 0.450 [0.380, 0.500] of the clips "
            "right against 0.412.",
        ),
        (
            (0.45, 0.412, 0.5),
            (0.3, 0.26, 0.35),
            "Not shown to be above the commonest class on URDU: 0.450 [0.412, 0.500] of the clips "
            "right against 0.412, though its UA is above chance, 0.300 against 0.250.",
        ),
        (
            (0.7, 0.6, 0.8),
            (0.6, 0.5, 0.7),
            "Above the commonest class on URDU: 0.700 of the clips right against 0.412.",
        ),
    ],
)
def test_accuracy_is_held_against_always_saying_the_commonest_class(wa, ua, said: str) -> None:
    assert verdict(standing("s", wa, ua)) == said


@pytest.mark.parametrize(
    ("difference", "said", "margin"),
    [
        ((0.1, 0.05, 0.2), "better than the best baseline, b", ""),
        ((0.0, -0.01, 0.02), "as good as the best baseline, b", ", margin 0.020"),
        ((-0.01, -0.015, -0.005), "as good as the best baseline, b", ", margin 0.020"),
        ((-0.1, -0.2, -0.05), "worse than the best baseline, b", ""),
        ((0.0, -0.1, 0.1), "not shown to be better or worse than the best baseline, b", ""),
    ],
)
def test_ua_is_held_against_the_best_baseline_by_the_paired_difference(
    difference, said, margin
) -> None:
    weak = (standing("a", (0.7, 0.6, 0.8), (0.3, 0.2, 0.4)), against(0.3, 0.2, 0.4))
    best = (standing("b", (0.7, 0.6, 0.8), (0.5, 0.4, 0.6)), against(*difference))
    for others in ((weak, best), (best, weak)):
        assert verdict(GOOD, *others) == (
            "Above the commonest class on URDU: 0.700 of the clips right against 0.412; "
            f"{said} (UA 0.600 against 0.500{margin})."
        )


def test_a_foreign_system_is_no_baseline() -> None:
    best = (standing("theirs", (0.7, 0.6, 0.8), (0.5, 0.4, 0.6)), against(0.1, 0.05, 0.2))
    assert "; better than the best other system, theirs (" in verdict(GOOD, best)


def numbers(ccc: tuple[float, float, float], rmse: float) -> NumberStanding:
    return NumberStanding(
        system="s",
        corpus="",
        scores={"ccc": interval(*ccc), "rmse": interval(rmse, rmse, rmse)},
        fold_ccc=None,
        seed_sd=float("nan"),
        label_sd=1.0,
        num_clips=10,
        num_seeds=1,
    )


@pytest.mark.parametrize(
    ("ccc", "rmse", "said"),
    [
        ((0.5, 0.4, 0.6), 0.8, "Above always saying the mean on X: CCC 0.500 against 0."),
        (
            (0.1, 0.05, 0.2),
            1.2,
            "Above always saying the mean on X: CCC 0.100 against 0, though its RMSE is larger, "
            "1.200 against 1.000.",
        ),
        (
            (0.1, -0.1, 0.2),
            0.9,
            "Not shown to be above always saying the mean on X: CCC 0.100 [-0.100, 0.200] "
            "against 0.",
        ),
    ],
)
def test_numbers_are_held_against_always_saying_the_mean(ccc, rmse: float, said: str) -> None:
    found = NumberStandings(overall=[numbers(ccc, rmse)], by_corpus=[], comparisons={})
    assert number_verdict_of(found, where="X", baselines=()) == said


def test_numbers_are_held_against_the_best_baseline_by_ccc() -> None:
    compared = NumberComparison(
        difference=interval(-0.2, -0.3, -0.1), margin=0.02, rmse=interval(0, 0, 0)
    )
    overall = [numbers((0.5, 0.4, 0.6), 0.8), replace(numbers((0.7, 0.6, 0.8), 0.6), system="b")]
    found = NumberStandings(overall=overall, by_corpus=[], comparisons={"b": compared})
    said = number_verdict_of(found, where="X", baselines=("b",))
    assert said.endswith("; worse than the best baseline, b (CCC 0.500 against 0.700).")


def written(**scores: float) -> pd.DataFrame:
    """Return standings as `genser crossval` writes them: s and b, on all and on one corpus."""
    row = {"system": "s", "corpus": "", "clusters": 12, **scores}
    less, more = {"ua": 0.5, "ccc": 0.7}, {"ua": 0.9, "ccc": 0.9}
    rows = [row, {**row, "system": "b", **less}]
    rows += [{**one, "corpus": "alone", **more} for one in rows]
    return pd.DataFrame(rows)[list(row)]


def test_a_cross_validation_has_the_verdict_of_its_tables() -> None:
    scores = {"wa": 0.7, "wa_low": 0.6, "wa_high": 0.8, "ua": 0.6, "ua_low": 0.5, "ua_high": 0.7}
    table = written(**scores, majority_rate=0.412, chance=0.25)
    row = {"second": "b", "ua_difference": 0.1, "low": 0.05, "high": 0.2, "margin": 0.02}
    compared = pd.DataFrame([{**row, "first": "s", "clusters": 12}])
    above = "Above the commonest class on cv: 0.700 of the clips right against 0.412"
    assert crossval_verdict_of(table, compared, where="cv") == (
        f"{above}; better than the best other system, b (UA 0.600 against 0.500)."
    )
    assert crossval_verdict_of(table, None, where="cv") == f"{above}."


def test_a_cross_validation_of_numbers_has_one_too() -> None:
    scores = {"ccc": 0.5, "ccc_low": 0.4, "ccc_high": 0.6, "rmse": 0.8, "label_sd": 1.0}
    ends = {f"ccc_difference{end}": v for end, v in (("", -0.2), ("_low", -0.3), ("_high", -0.1))}
    compared = pd.DataFrame([{"second": "b", **ends, "margin": 0.02, "clusters": 12}])
    assert crossval_verdict_of(written(**scores), compared, where="cv") == (
        "Above always saying the mean on cv: CCC 0.500 against 0; worse than the best other "
        "system, b (CCC 0.500 against 0.700)."
    )
