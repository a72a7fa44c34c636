"""The model card of a head: what it is, was trained on and reached, and what it is not for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.encoders.hub import PREFIX, is_local
from pipeline.evaluation.concordance import CCC, PEARSON, RMSE
from pipeline.evaluation.number_standings import NumberStanding
from pipeline.evaluation.standings import Standing
from pipeline.heads.record import HeadRecord
from pipeline.report.markdown import code, plain, table

METRICS = {"ua": "recall", "wa": "accuracy", "wf1": "f1", "macro_f1": "f1"}
NUMBER_METRICS = {CCC: "ccc", PEARSON: "pearsonr", RMSE: "rmse"}
NAMES = {
    **{"ua": "UA", "wa": "WA", "wf1": "weighted F1", "macro_f1": "macro F1"},
    **{CCC: "CCC", PEARSON: "Pearson", RMSE: "RMSE"},
}
GIVE_IT = "give the same one with `--encoder`"  # of who takes a head whose encoder is a folder
EACH = {"ua": "mean recall of the classes", "wa": "accuracy", CCC: "concordance"}

USES = (
    "For research on speech emotion recognition, and for sorting recordings whose speakers agreed "
    "to it. It tells how a voice sounds to people who labelled recordings like those above, not "
    "what somebody feels.\n\n"
    "Not for judging people: hiring, schools, police, borders, insurance, credit or medicine. The "
    "European Union's Regulation 2024/1689, Article 5(1)(f), forbids inferring emotions at work "
    "and in schools. Results are worse for languages, ages, dialects, rooms and microphones that "
    "it was not trained on, by an amount that nobody measured here."
)


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What a head reached on some rows.

    Attributes:
        standing: Its scores with intervals.
        split: Which rows.
        corpora: Of those rows.
        cluster: What the intervals resample.
        notes: What is stamped on the predictions, in sentences.
    """

    standing: Standing | NumberStanding
    split: str
    corpora: Sequence[str]
    cluster: str
    notes: Sequence[str] = ()

    @property
    def metrics(self) -> Mapping[str, str]:
        """The scores that a card shows, and what the hub calls each."""
        return METRICS if isinstance(self.standing, Standing) else NUMBER_METRICS


def model_card(
    record: HeadRecord,
    repository: str,
    *,
    licence: str,
    licences: Mapping[str, str],
    tested: Tested | None,
    version: str,
) -> str:
    """Return the card in Markdown, with the metadata that the hub reads before it.

    Args:
        record: What the head says of itself.
        repository: `OWNER/NAME`.
        licence: Of the head, as the hub spells licences; "other" where it is none of those.
        licences: Of each corpus that is known, by name.
        tested: What it reached on rows that it was not trained on, if that is known.
        version: Of genser.
    """
    from huggingface_hub import EvalResult, ModelCardData

    results: Any = [] if tested is None else _results(tested, EvalResult)
    data = ModelCardData(
        library_name="genser",
        license=licence,
        pipeline_tag="audio-classification",
        tags=["genser", "speech-emotion-recognition", record.kind],
        base_model=sorted({name for name in _models(record) if _is_of_the_hub(name)}) or None,
        model_name=repository,
        eval_results=results or None,
    )
    parts = [
        f"---\n{data.to_yaml()}\n---",
        f"# {plain(repository)}",
        f"A {code(record.kind)} head of genser {version} for the task {code(record.task)}. "
        f"{_says(record)}",
        f"    pip install genser\n    genser predict clip.wav --head hf://{repository}@<commit>",
        "## What it hears with",
        _hearing(record),
        "## What it was trained on",
        _training(record, licences),
        "## What it reached",
        _reached(record, tested),
        "## What it is for, and what not",
        USES,
    ]
    return "\n\n".join(parts) + "\n"


def _results(tested: Tested, kind: Any) -> list[Any]:
    data = ", ".join(tested.corpora) or "unknown"
    return [
        kind(
            task_type="audio-classification",
            dataset_type=data,
            dataset_name=f"{data}, {tested.split}",
            metric_type=tested.metrics[name],
            metric_name=f"{NAMES[name]}, 95 % interval {found.low:.3f} to {found.high:.3f}",
            metric_value=round(found.value, 4),
        )
        for name in tested.metrics
        for found in [tested.standing.scores[name]]
    ]


def local_encoders(record: HeadRecord) -> list[str]:
    """Return the encoders of a head that are folders of this machine, which nobody else has."""
    return sorted({name for name in record.encoders.values() if name and is_local(name)})


def _models(record: HeadRecord) -> list[str]:
    spelled = [name for name in record.encoders.values() if name]
    return [*spelled, *(base.spelling for base in record.bases)]


def _is_of_the_hub(name: str) -> bool:
    return name.startswith(PREFIX) or "@" in name


def _says(record: HeadRecord) -> str:
    if record.scale is not None:
        return (
            f"It says a number; those that it was trained on are from {record.scale.low:g} to "
            f"{record.scale.high:g}."
        )
    return f"It tells {len(record.classes)} classes apart: {plain(', '.join(record.classes))}."


def _hearing(record: HeadRecord) -> str:
    lines = []
    for view, recipe in record.recipes.items():
        encoder = record.encoders.get(view) or recipe.get("name") or "no encoder of genser's"
        weights = recipe.get("encoder", {})
        digest = weights.get("weights", "") if isinstance(weights, Mapping) else ""
        held = f", weights {plain(str(digest)[:12])}" if digest else ""
        own = ""
        if is_local(encoder):
            # Where it lies on this machine helps nobody, and is nobody's business.
            encoder, own = Path(encoder).resolve().name, f"; a folder, {GIVE_IT}"
        lines.append(f"- view {code(view)}: {code(encoder)}{held}{own}")
    lines += [f"- base model {code(one.spelling)}, {one.digest[:12]}" for one in record.bases]
    lines += [f"- the manifest's text, by {plain(', '.join(record.text_sources))}"] * bool(
        record.text_sources
    )
    return "\n".join([*lines, "", "These are named here and are not part of this repository."])


def _training(record: HeadRecord, licences: Mapping[str, str]) -> str:
    rows = [
        [
            plain(corpus or "without a name"),
            plain(", ".join(classes)) if record.scale is None else "numbers",
            plain(licences.get(corpus, "not known to genser")),
        ]
        for corpus, classes in record.corpora.items()
    ]
    trained = "\n".join(table(["corpus", "classes", "licence"], rows))
    shared = record.leaks.get("shared_speakers", 0)
    leaks = (
        f"{shared} speakers were in more than one split."
        if shared
        else "No speaker was in two splits."
    )
    copies = record.copies.get("num_clips")
    beside = f" and {copies} augmented copies" if copies else ""
    return (
        f"{record.num_train} clips{beside}, selected on {record.num_dev} of other speakers; step "
        f"{record.best_step}, seed {record.seed}. {leaks}\n\n{trained}"
    )


def _reached(record: HeadRecord, tested: Tested | None) -> str:
    dev = ", ".join(f"{NAMES.get(name, name)} {value:.3f}" for name, value in record.dev.items())
    said = f"On dev, by which it was selected: {plain(dev)}."
    if tested is None:
        return f"{said} Nobody gave predictions on other clips when this card was written."
    rows = [
        [
            f"{NAMES[name]}{f', {EACH[name]}' if name in EACH else ''}",
            f"{found.value:.3f}",
            f"{found.low:.3f} to {found.high:.3f}",
        ]
        for name in tested.metrics
        for found in [tested.standing.scores[name]]
    ]
    one = tested.standing
    scores = "\n".join(table(["", "value", "95 % interval"], rows))
    where = plain(f"{', '.join(tested.corpora) or 'an unnamed corpus'}, {tested.split}")
    beside = (
        f"chance is {1 / one.num_classes:.3f} UA, always the commonest class "
        f"{one.majority_rate:.3f} WA"
        if isinstance(one, Standing)
        else f"always saying their mean has an RMSE of {one.label_sd:.3f}"
    )
    num_clusters = next(iter(one.scores.values())).num_clusters
    return (
        f"On {where}, {one.num_clips} clips ({beside}); the intervals resample "
        f"{num_clusters} {tested.cluster}s.\n\n{scores}\n\n"
        + " ".join([*map(plain, tested.notes), said])
    )
