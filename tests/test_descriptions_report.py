"""What a head writes, through the commands: on the page of a report, and in a cross-validation."""

from pathlib import Path

import pandas as pd
import pytest

from helpers.commands import genser
from helpers.knowing import SPLITS, Corpus, described, write_corpus
from pipeline.manifests.manifest import write_manifest

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")
SET = ["-S", "train.num_steps=2", "-S", "train.eval_every=2", "-S", "train.head=knowing"]
SET += ["-S", "report.java_seconds=0"]
FLOOR, CEILING = "the most frequent description", "the description made of the numbers"


@pytest.fixture
def there(tmp_path: Path, install) -> Corpus:
    entry = {"genser.heads": "knowing = knowing_head:KIND"}
    install("knowing_head", "from helpers.knowing import KIND\n", entry)
    return write_corpus(tmp_path)


def reported(there: Corpus, manifest: Path, *settings: str) -> tuple[Path, str]:
    """Train, score and report, and return the report's folder and its Markdown."""
    folder = there.store.parent
    words = [*SET, *settings]
    given = [manifest, "--store", there.store]
    for asked in (
        ["train", *given, "--out", folder / "head"],
        ["score", *given, "--head", folder / "head", "--out", folder / "p.parquet"],
        ["report", folder / "p.parquet", "--manifest", manifest, "--out", folder / "r"],
    ):
        done = genser(*words, *asked)
        assert done.exit_code == 0, done.output
    return folder / "r", (folder / "r/report.md").read_text()


def rows_below(page: str, caption: str) -> list[str]:
    lines = page.splitlines()
    place = next(i for i, line in enumerate(lines) if caption in line)
    rows = lines[place + 2 :]
    return rows[: next(i for i, line in enumerate([*rows, ""]) if not line)]


def test_examples_stand_beside_what_is_given(there: Corpus) -> None:
    _, page = reported(there, there.manifest.path)
    heading, _, *rows = rows_below(page, "what it wrote of the first 2 clips of each class")
    cells = "| class | taken for | clip | description given | description said | text given |"
    assert heading == f"{cells} text heard |"
    # Speaker 4 is the first of test, is soft when calm, and is called low.
    assert any(
        f"| 4-0-0-0 | {described(0, 4)} | {described(0, 0)} | one | one |" in row for row in rows
    )
    assert "What the head says besides" not in page


def test_tables_have_scores_with_intervals_and_slots_between_floor_and_ceiling(
    there: Corpus,
) -> None:
    folder, page = reported(there, there.manifest.path)
    scores = pd.read_csv(folder / "text_scores.csv").set_index("score")
    assert scores.loc["wer", "value"] == 0
    assert (scores["clusters"] == SPLITS.count("test")).all()
    row = rows_below(page, "How near what is written comes to what is given.")[2]
    low, high = (100 * scores.loc["rouge_l", end] for end in ("low", "high"))
    assert f"{100 * scores.loc['rouge_l', 'value']:.1f} [{low:.1f}, {high:.1f}]" in row
    assert "METEOR is absent: not asked for: report.java_seconds is 0." in page
    slots = pd.read_csv(folder / "slots.csv").set_index(["system", "slot"])["accuracy"]
    # Every voice is called low, which one of the two speakers of test is.
    assert slots["p"].to_dict() == {"pitch": 0.5, "energy": 1, "all": 0.75}
    assert slots[FLOOR].to_dict() == {"pitch": 0.5, "energy": 0.5, "all": 0.5}
    assert set(slots[CEILING]) == {1}
    assert "| p | 0.500 | 1.000 | 0.750 |" in rows_below(page, "Slots: clips whose description")


def test_without_descriptors_in_the_manifest_transcripts_stand_alone(there: Corpus) -> None:
    folder = there.store.parent
    write_manifest(folder / "plain.csv", there.manifest.table.drop(columns="descriptors"))
    made, page = reported(there, folder / "plain.csv")
    assert set(pd.read_csv(made / "text_scores.csv")["score"]) == {"wer"}
    assert not (made / "slots.csv").exists()
    assert "What the head writes" in page


def test_what_is_given_cannot_write_the_page(there: Corpus) -> None:
    folder = there.store.parent
    table = there.manifest.table
    loud = "<img src=x onerror=alert(1)> | [a](javascript:b)"
    write_manifest(folder / "loud.csv", table.assign(descriptors=loud))
    made, page = reported(there, folder / "loud.csv")
    html = (made / "report.html").read_text()
    assert "<img src=x" not in page + html
    assert "[a](javascript" not in page  # its bracket is escaped
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_a_cross_validation_scores_what_heads_write(there: Corpus, tmp_path: Path) -> None:
    words = [*SET, "crossval", there.manifest.path, "--store", there.store, "--heads", "knowing"]
    words += ["--variant", "mute=train.head=tokens,train.tokens.input=frames,train.tokens.width=8"]
    done = genser(*words, "--folds", "3", "--out", tmp_path / "cv")
    assert done.exit_code == 0, done.output
    scores = pd.read_csv(tmp_path / "cv/text_scores.csv").set_index("score")
    assert set(scores["system"]) == {"knowing"}
    assert scores.loc["wer", "value"] == 0
    assert (scores["clips"] == len(there.manifest.table)).all()
    slots = pd.read_csv(tmp_path / "cv/slots.csv").set_index(["system", "slot"])["accuracy"]
    assert slots["knowing"].to_dict() == {"pitch": 0.5, "energy": 1, "all": 0.75}
    assert set(slots[CEILING]) == {1}
