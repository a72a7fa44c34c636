"""The gender test of AIR-Bench (Yang et al. 2024), which Gen-SER's Table 2 uses: a test set only.

`Foundation_meta.json` lists questions; those of the task Speaker_Gender_Recognition are on files
in `Speaker_Gender_Recognition_<data set>/`, and `answer_gt` is the right answer.
"""

from dataclasses import dataclass
from pathlib import Path, PurePath

import pandas as pd

from pipeline.corpora.folders import find_file
from pipeline.corpora.importer import Corpus, Importer, Row, read_names, with_labels
from pipeline.errors import ManifestError
from pipeline.files import read_bytes
from pipeline.typed import typed_json

TASK = "Speaker_Gender_Recognition"
GENDERS = ("female", "male")


@dataclass(frozen=True, kw_only=True)
class _Question:
    task_name: str
    dataset_name: str = ""
    path: str = ""
    answer_gt: str = ""


def describe(path: PurePath) -> Row | None:
    """Return the row of a recording of the gender test."""
    folder = next((part for part in path.parts if part.startswith(f"{TASK}_")), None)
    if folder is None:
        return None
    return {"utterance_id": f"{folder.removeprefix(TASK)[1:]}/{path.stem}", "official": "test"}


def read_air_bench(folder: Path) -> Corpus:
    """Return the recordings of the gender test with the right answers.

    Raises:
        ManifestError: If the list of questions is missing or damaged.
    """
    path = find_file(folder, "Foundation_meta.json", "the list of questions")
    questions = typed_json(
        list[_Question],
        read_bytes(path),
        path,
        error=ManifestError,
        cure="fetch AIR-Bench again",
        others=True,
    )
    answers = {
        f"{q.dataset_name}/{PurePath(q.path).stem}": _gender(q.answer_gt)
        for q in questions
        if q.task_name == TASK
    }
    labels = pd.Series(answers, dtype="str").to_frame("gender")
    return with_labels(read_names(folder, describe), labels, what="questions on gender")


def _gender(answer: str) -> str:
    """Return the gender an answer names, e.g. `Female` or `A. female`."""
    words = answer.lower().replace(".", " ").split()
    return next((gender for gender in GENDERS if gender in words), "")


AIR_BENCH_GENDER = Importer(
    name="air-bench-gender",
    title="AIR-Bench, speaker gender",
    language="und",
    classes=GENDERS,
    num_clips=None,
    num_speakers=None,
    hours=None,
    licence="that of the data sets within",
    citation="Yang et al. 2024, doi 10.18653/v1/2024.acl-long.109",
    source="https://huggingface.co/datasets/qyang1021/AIR-Bench-Dataset",
    wants="the folder Foundation, or its part on gender, with Foundation_meta.json",
    tabulate=read_air_bench,
    uses_official=True,
)
