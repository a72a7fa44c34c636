"""What is stamped on predictions, in words: on which terms their scores were reached."""

from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.bootstrap import Interval
from pipeline.report.tables import interval_text
from pipeline.scoring.predictions import CONTAMINATED, Predictions


def lead_of(
    predictions: Mapping[str, Predictions], system: str, score: str, found: Interval
) -> str:
    """Return the sentence under the title of a report, of the first predictions.

    Args:
        predictions: By name.
        system: The name of the first.
        score: The name of its main score.
        found: The score.
    """
    metadata = next(iter(predictions.values())).metadata
    leaks = metadata.get("head_leaks") or {}
    shared = leaks.get("shared_speakers", 0) if isinstance(leaks, dict) else 0
    stamp = (
        f"{shared} speakers were in more than one split when it was trained."
        if shared
        else "No speaker was in two splits when it was trained."
    )
    transductive = (
        " It is transductive: each speaker or new corpus was standardised by its own scored clips."
        * bool(metadata.get("transductive"))
    )
    known: Any = metadata.get(CONTAMINATED) or ()
    contaminated = (
        f" Contaminated: the model behind its features was trained on {', '.join(known)}, which is "
        "scored here." * bool(known)
    )
    return (
        f"{system}, task {metadata.get('task', 'unknown')}: {score.upper()} "
        f"{interval_text(found)}. {stamp}{transductive}{contaminated}"
    )


def provenance_of(predictions: Mapping[str, Predictions]) -> list[str]:
    """Return for each file of predictions what is stamped on it."""
    texts = []
    for name, one in predictions.items():
        told = "; ".join(f"{key} {value}" for key, value in sorted(one.metadata.items()))
        labels = f"classes {', '.join(one.classes)}" if one.classes else "numbers"
        texts.append(f"{name}: {labels}; {told}.")
    return texts
