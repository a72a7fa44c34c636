"""Predictions of several systems on one split as one table, and tables of it for a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.evaluation import columns
from pipeline.evaluation.bootstrap import FEW_CLUSTERS, SCORES, Comparison, Interval
from pipeline.evaluation.columns import (
    PROBABILITY,
    UNCERTAINTY,
    labelled_rows,
    probability_columns,
    rows_of_split,
)
from pipeline.evaluation.groups import GROUPED_BY
from pipeline.evaluation.standings import Standing
from pipeline.files import require_regular
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.numbers import is_number
from pipeline.report.page import Table
from pipeline.report.published_genser import STEPS, STEPS_SOURCE
from pipeline.scoring.predictions import Predictions, read_predictions
from pipeline.training.targets import about_rows

NAMES = {"wa": "WA", "ua": "UA", "wf1": "WF1", "macro_f1": "macro F1"}
CALIBRATION = {"ece": "ECE", "brier": "Brier", "nll": "NLL", "js": "JS to votes"}
ERROR_AT_80 = "error at 80 %"  # answered: a fifth is left to a person
ABOUT = ("corpus", "speaker", "dialogue")


def prediction_table(
    predictions: Mapping[str, Predictions],
    split: str,
    manifest: Manifest | None,
    label_map: LabelMap | None,
) -> pd.DataFrame:
    """Return the labelled, scored rows of a split of all systems, one below the other.

    Without a manifest nobody's speaker is known, and nobody's votes.

    Raises:
        PredictionsError: If a system has no such row, or rows that the manifest has not.
    """
    if len({bool(one.classes) for one in predictions.values()}) > 1:
        raise PredictionsError(
            f"{', '.join(predictions)}: some tell classes and some say numbers; report them apart."
        )
    parts = []
    for name, one in predictions.items():
        frame = one.frame
        doubts = frame.get(UNCERTAINTY)
        frame = labelled_rows(rows_of_split(frame, split))
        if doubts is not None:
            frame = frame.assign(**{UNCERTAINTY: doubts[frame.index]})
        if frame.empty:
            raise PredictionsError(
                f"{name}: no row of split {split!r} has both a label and a prediction; "
                "set report.split to another one."
            )
        parts.append(
            frame.assign(
                system=name, fold="", seed=np.full(len(frame), one.metadata.get("seed", 0))
            )
        )
    table = pd.concat(parts, ignore_index=True)
    if manifest is None:
        return table.assign(**dict.fromkeys(ABOUT, ""))
    classes = next(iter(predictions.values())).classes
    about = about_rows(manifest, classes, label_map, also=GROUPED_BY)
    strange = table[~table["utterance_id"].isin(about.index)]
    if len(strange):
        raise PredictionsError(
            f"{manifest.path}: lacks {len(strange)} of the predicted utterances, e.g. "
            f"{strange['utterance_id'].iloc[0]!r}; give the manifest that was scored."
        )
    return table.join(about, on="utterance_id")


def with_others(table: pd.DataFrame, others: Mapping[str, Path]) -> pd.DataFrame:
    """Return the table with other systems' predictions of the first system's rows.

    Args:
        table: From `prediction_table`.
        others: For each name a Parquet or CSV file with utterance_id and predicted.

    Raises:
        PredictionsError: If a file is not readable, or does not say what it predicts for a row.
    """
    first = table[table["system"] == table["system"].iloc[0]]
    known = {*table["label"], *table["predicted"]}
    known |= {column.removeprefix(PROBABILITY) for column in probability_columns(table)}
    numbers = columns.are_numbers(table)
    parts = [table]
    for name, path in others.items():
        if name in set(table["system"]):
            raise PredictionsError(
                f"--with {name}: there is a system of that name; choose another."
            )
        told = _read_other(path)
        lacking = first[~first["utterance_id"].isin(told.index)]
        if len(lacking):
            raise PredictionsError(
                f"{path}: has no prediction for {len(lacking)} of {len(first)} clips, e.g. "
                f"{lacking['utterance_id'].iloc[0]!r}; predict all of them."
            )
        said = set(told.reindex(first["utterance_id"]))
        strange = sorted(v for v in said if not (is_number(v) if numbers else v in known))
        if strange:
            wanted = "a number" if numbers else f"one of {sorted(known)}"
            raise PredictionsError(f"{path}: predicts {strange[0]!r}, wanted {wanted}; rename it.")
        told = pd.to_numeric(told, errors="coerce") if numbers else told
        unknown = ["predicted", *probability_columns(first)]
        mine = first.drop(columns=unknown).assign(system=name)
        parts.append(mine.assign(predicted=mine["utterance_id"].map(told)))
    return pd.concat(parts, ignore_index=True)


def _read_other(path: Path) -> pd.Series:
    """Return a foreign system's predictions by utterance id."""
    try:
        require_regular(path)
        if path.suffix == ".csv":
            frame = pd.read_csv(path, dtype="str", keep_default_na=False)
        else:
            try:
                frame = read_predictions(path).frame
            except PredictionsError:
                frame = pd.read_parquet(path)
        told = frame.set_index("utterance_id")["predicted"].dropna()
    except (OSError, ValueError, KeyError) as error:
        raise PredictionsError(
            f"{path}: is no Parquet or CSV with the columns utterance_id and predicted ({error})."
        ) from error
    if told.index.has_duplicates:
        again = told.index[told.index.duplicated()][0]
        raise PredictionsError(f"{path}: predicts {again!r} twice; keep one row for each clip.")
    return told.astype("str")


def few_note(num_clusters: int) -> str:
    """Return what to say beside intervals of too few clusters, else nothing."""
    if num_clusters >= FEW_CLUSTERS:
        return ""
    return f" Fewer than {FEW_CLUSTERS} were resampled: the ends say little."


def interval_text(found: Interval) -> str:
    """Return e.g. `.553 [.507, .596]`."""
    return f"{_short(found.value)} [{_short(found.low)}, {_short(found.high)}]"


def systems_table(standings: Sequence[Standing], *, cluster: str) -> Table:
    """Return the systems with their scores, and what guessing gives."""
    rows = []
    for one in standings:
        calibration = {
            label: _short(one.calibration[name]) if name in one.calibration else ""
            for name, label in CALIBRATION.items()
            if any(name in other.calibration for other in standings)
        }
        scores = {NAMES[name]: interval_text(one.scores[name]) for name in SCORES}
        folds = {
            f"{NAMES[name]} over folds": f"{_short(mean)} ± {_short(deviation)}"
            for name, (mean, deviation) in one.fold_scores.items()
        }
        seeds = {"UA sd over seeds": _short(one.seed_sd)} if one.num_seeds > 1 else {}
        left = {ERROR_AT_80: interval_text(one.abstained)} if one.abstained else {}
        rows.append({"system": one.system, **scores, **folds, **seeds, **calibration, **left})
    first = standings[0]
    rows.append({"system": "always the commonest class", "WA": _short(first.majority_rate)})
    rows.append({"system": "chance", "UA": _short(1 / first.num_classes)})
    num = first.scores["ua"].num_clusters
    return Table(
        caption=f"{first.num_clips} clips. In brackets 95 % intervals, from a bootstrap that "
        f"resamples {num} {cluster}s.{few_note(num)}",
        frame=pd.DataFrame(rows).fillna(""),
        strong=[first.system],
    )


def corpora_table(standings: Sequence[Standing]) -> Table:
    """Return the systems' scores on each corpus."""
    rows = [
        {
            "corpus": one.corpus,
            "system": one.system,
            **{NAMES[name]: interval_text(one.scores[name]) for name in SCORES},
            "commonest class": _short(one.majority_rate),
            "clips": str(one.num_clips),
            "resampled": str(one.scores["ua"].num_clusters),
        }
        for one in standings
    ]
    return Table(caption="Each corpus alone.", frame=pd.DataFrame(rows))


def comparison_table(first: str, found: Mapping[str, Comparison]) -> Table:
    """Return what the first system gains over each other one."""
    rows = [
        {
            f"{first} against": other,
            "UA difference": f"{one.difference.value:+.3f} "
            f"[{one.difference.low:+.3f}, {one.difference.high:+.3f}]",
            "verdict": one.verdict,
            "McNemar p": f"{one.mcnemar_p:.3f}",
            "only one right": f"{one.only_first} : {one.only_second}",
        }
        for other, one in found.items()
    ]
    margin = next(iter(found.values())).margin
    return Table(
        caption=f"{first} against each other system on the same clips. Better: the interval lies "
        f"above 0. Not inferior: above {-margin:+.3f}. McNemar's p is of which clips are right.",
        frame=pd.DataFrame(rows),
    )


def recall_table(standings: Sequence[Standing], classes: Sequence[str]) -> Table:
    """Return each class's recall for each system."""
    rows = []
    for index, label in enumerate(classes):
        cells = {
            one.system: interval_text(one.scores[f"recall.{index}"])
            for one in standings
            if f"recall.{index}" in one.scores
        }
        if cells:
            rows.append({"class": label, **cells})
    caption = "Recall of each class: how many of its clips were recognised."
    return Table(caption=caption, frame=pd.DataFrame(rows).fillna(""))


def steps_table(found: pd.DataFrame, *, is_of_meld: bool) -> Table:
    """Return WA and UA over the number of steps, for each solver and readout.

    Args:
        found: As `pipeline.experiments.path_study.sampling_table` returns it.
        is_of_meld: Whether the clips are those of Gen-SER's Table 3, which then stands above.
    """
    rows = []
    if is_of_meld:
        printed = {f"N = {steps}": f"{wa:.4f}" for steps, wa in STEPS.items()}
        rows.append({"solver": STEPS_SOURCE, "readout": "", "score": "WA", **printed})
    for (solver, readout), part in found.groupby(["solver", "readout"], sort=False):
        for name in ("wa", "ua"):
            cells = {
                f"N = {row.num_steps}": f"{_short(getattr(row, name))} "
                f"[{_short(getattr(row, f'{name}_low'))}, {_short(getattr(row, f'{name}_high'))}]"
                for row in part.itertuples(index=False)
            }
            named = {"solver": str(solver), "readout": str(readout), "score": NAMES[name]}
            rows.append({**named, **cells})
    return Table(
        caption="WA and UA over the number of steps, for every solver and readout. At N = 1 the "
        "estimate does not depend on the solver; the state of the printed and of Euler's steps "
        "still lies near the embedding after one step. In brackets 95 % intervals."
        f"{few_note(int(found['num_clusters'].iloc[0]))}",
        frame=pd.DataFrame(rows),
        is_folded=True,
    )


def _short(value: float) -> str:
    return f"{value:.3f}"
