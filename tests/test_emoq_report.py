"""EmoQ's tables on a page: every printed row, and ours under those of the same clips."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.emoq_study import SEVEN, SKILLS, said, write_crossval
from pipeline.errors import PredictionsError
from pipeline.report.crossval import write_crossval_page
from pipeline.report.published_emoq import ROWS, TABLES, rows_of_table


def page(folder: Path, table: pd.DataFrame | None = None) -> list[str]:
    write_crossval_page(
        folder / "r", {"cv": write_crossval(folder / "cv", table)}, cluster="speaker"
    )
    return (folder / "r/report.md").read_text().splitlines()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emoq")
    page(folder)
    return folder / "r"


@pytest.fixture(scope="module")
def lines(made: Path) -> list[str]:
    return (made / "report.md").read_text().splitlines()


def of_table(lines: list[str], table: int | str) -> list[str]:
    """Return the rows of a table of the paper, by its number, or of one by its caption."""
    caption = f"Table {table}: " if isinstance(table, int) else table
    place = next(i for i, line in enumerate(lines) if caption in line)
    begin = next(i for i in range(place, len(lines)) if lines[i].startswith("| system"))
    end = next(i for i in range(begin, len(lines) + 1) if not lines[i : i + 1] or not lines[i])
    return lines[begin + 2 : end]


def test_the_published_rows_are_those_that_the_paper_prints() -> None:
    assert [len(rows_of_table(table.number)) for table in TABLES] == [8, 7, 7, 4, 4, 2]
    for table in TABLES:
        whole = [row for row in rows_of_table(table.number) if row.is_whole]
        assert len(whole) == 1
        assert all(
            (getattr(row, name) or 0) < getattr(whole[0], name)
            for row in rows_of_table(table.number)
            for name in ("wa", "ua")
            if not row.is_whole
        )
    scores = {(row.wa, row.ua, row.wf1) for row in ROWS if row.is_whole and row.table >= 3}
    assert scores == {(0.676, 0.508, 0.665)}


@pytest.mark.parametrize("number", [table.number for table in TABLES])
def test_every_printed_row_is_on_the_page(lines: list[str], number: int) -> None:
    shown = of_table(lines, number)
    for row, line in zip(rows_of_table(number), shown, strict=False):
        assert line.startswith(f"| {row.system} |")
        for value in (row.wa, row.ua, row.wf1):
            assert f"| {'-' if value is None else f'{value:.3f}'} |" in line
        assert f"arXiv 2509.15775, Table {number}" in line


def test_ours_of_the_same_clips_stand_under_the_rows_that_they_are_variants_of(
    lines: list[str],
) -> None:
    ours = {
        table.number: [line for line in of_table(lines, table.number) if "(ours" in line]
        for table in TABLES
    }
    # Seven classes of MELD: Table 3, and not those of four classes or of IEMOCAP.
    assert [len(ours[number]) for number in (1, 2, 3)] == [0, 0, len(SKILLS) - 1]
    assert [len(ours[number]) for number in (4, 5, 6)] == [4 + 2, 4 + 1, 2 + 1]
    line = next(line for line in ours[5] if "focal: f" in line)
    assert "(ours, whole is whole)" in line
    for told in (
        "an encoder",
        "a language model",
        "gold",
        "meld, 7 classes, test of its own split, 1 seed",
    ):
        assert f"**{told}**" in line


def test_text_alone_hears_with_nothing_and_audio_alone_reads_nothing(lines: list[str]) -> None:
    ours = [line for line in of_table(lines, 4) if "(ours" in line]
    text, audio = (next(line for line in ours if kind in line) for kind in ("text: t", "audio: a"))
    assert "| **none** | **a language model** | **gold** |" in text
    assert "| **an encoder** | **a language model** | **none** |" in audio


def test_a_cell_says_what_its_csv_says(made: Path, lines: list[str]) -> None:
    table = pd.read_csv(made / "cv_emoq_variants.csv")
    row = table[(table["table"] == "losses") & (table["system"] == "n")].iloc[0]
    line = next(line for line in of_table(lines, 5) if "none: n (ours" in line)
    gain = [row[f"wf1_difference{end}"] for end in ("", "_low", "_high")]
    assert "**{:+.3f} [{:+.3f}, {:+.3f}]**".format(*gain) in line
    assert f"**{row['wa']:.3f} [" in line


def test_published_differences_are_to_the_whole_system(lines: list[str]) -> None:
    line = next(line for line in of_table(lines, 6) if line.startswith("| without stage 1"))
    assert "| -0.027 | -0.002 | -0.032 |" in line


def test_every_system_says_what_it_takes(made: Path, lines: list[str]) -> None:
    place = lines.index("## cv: does the language model earn its cost")
    shown = [line for line in lines[place:] if line.startswith("| ")][2:][: len(SKILLS)]
    plain = next(line for line in shown if line.startswith("| plain |"))
    assert "| logreg | layers | a text encoder | none | gold | 2,700 | 70,000 | 0.001 |" in plain
    assert any(line.startswith("| **whole** |") and "2,000,000" in line for line in shown)
    assert any(", on cpu." in line for line in lines[place:])
    assert (made / "cv_costs.png").exists()
    assert sorted(path.name for path in made.glob("cv_emoq*")) == [
        "cv_emoq_systems.csv",
        "cv_emoq_variants.csv",
        "cv_emoq_variants_1.png",
        "cv_emoq_variants_2.png",
    ]


@pytest.mark.parametrize(
    ("corpus", "num_folds"), [("ravdess", None), ("meld", 5)], ids=["corpus", "split"]
)
def test_other_clips_stand_in_a_table_of_their_own_and_published_ones_folded_apart(
    tmp_path: Path, corpus: str, num_folds: int | None
) -> None:
    lines = page(tmp_path, said(corpus=corpus, num_folds=num_folds))
    split = "test of 5 folds" if num_folds else "test of its own split"
    for table in TABLES:
        shown = of_table(lines, table.number)
        assert not any("(ours" in line for line in shown)
        assert [line.split(" | ")[0] for line in shown] == [
            f"| {row.system}" for row in rows_of_table(table.number)
        ]
    apart = [line for line in lines if line.startswith("Published, not comparable in level: EmoQ")]
    assert len(apart) == len(TABLES)
    assert all(f"Ours are of {corpus}, 7 classes, {split}, 1 seed; only diff" in a for a in apart)
    assert "HuBERT-large, frozen, Qwen2.5-7B-Instruct." in apart[3]
    for number, what in ((4, "what it reads"), (5, "losses of stage 1"), (6, "stage 1")):
        ours = of_table(lines, f"As Table {number}, {what}.")
        assert ours
        assert all("(ours" in line for line in ours)
    assert not any("arXiv 2509.15775" in line for line in lines if "(ours" in line)
    html = (tmp_path / "r/report.html").read_text()
    assert html.count("<summary>Published, not comparable in level: EmoQ, Table") == len(TABLES)


def test_four_classes_of_iemocap_in_five_folds_stand_in_table_1(tmp_path: Path) -> None:
    lines = page(tmp_path, said("iemocap", SEVEN[:4], num_folds=5))
    assert len([line for line in of_table(lines, 1) if "(ours" in line]) == len(SKILLS) - 1
    assert not any("(ours" in line for line in of_table(lines, 2))


def test_without_a_whole_system_the_page_has_no_differences(tmp_path: Path) -> None:
    table = said()
    lines = page(tmp_path, table[table["system"].isin(["plain", "t"])])
    for number, name in ((3, "t (ours)"), (4, "text: t (ours)")):
        line = next(line for line in of_table(lines, number) if f"| **{name}** |" in line)
        assert np.sum([cell.strip() == "" for cell in line.split("|")[1:-1]]) == 3
    assert not list((tmp_path / "r").glob("cv_emoq_variants_*"))


def test_a_folder_without_the_head_has_no_study(tmp_path: Path) -> None:
    table = said()
    lines = page(tmp_path, table[table["system"] == "plain"])
    assert not any("EmoQ" in line for line in lines)


@pytest.mark.parametrize("name", ["predictions.parquet", "costs.csv"])
def test_files_that_are_not_crossval_s_are_refused(tmp_path: Path, name: str) -> None:
    folder = write_crossval(tmp_path / "cv")
    (folder / name).write_text("nothing")
    with pytest.raises(PredictionsError, match="lacks what the study of EmoQ is made of"):
        write_crossval_page(tmp_path / "r", {"cv": folder}, cluster="speaker")
