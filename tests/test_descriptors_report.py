"""The studies of descriptors on a page: published rows beside ours, texts and probes."""

from pathlib import Path

import pandas as pd
import pytest

from helpers.descriptors_study import SKILLS, write_crossval
from pipeline.errors import PredictionsError
from pipeline.figures.probes import draw_probes
from pipeline.report import descriptors_pictures
from pipeline.report.crossval import write_crossval_page
from pipeline.report.descriptors_study import TITLES, WHAT
from pipeline.report.published_descriptors import DESCRIPTORS, TEXTS, UAS


def page(folder: Path, *names: str) -> list[str]:
    write_crossval_page(
        folder / "r", {"cv": write_crossval(folder / "cv", *names)}, cluster="speaker"
    )
    return (folder / "r/report.md").read_text().splitlines()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("descriptors")
    page(folder)
    return folder / "r"


@pytest.fixture(scope="module")
def lines(made: Path) -> list[str]:
    return (made / "report.md").read_text().splitlines()


def rows_below(lines: list[str], caption: str) -> list[str]:
    """Return the rows of the table below a caption, its heading first."""
    place = next(i for i, line in enumerate(lines) if caption in line)
    rows = lines[place + 2 :]
    end = next(i for i, line in enumerate([*rows, ""]) if not line)
    return [rows[0], *rows[2:end]]


def test_every_published_number_is_on_the_page_with_ours_where_the_corpus_is_ours(
    lines: list[str],
) -> None:
    for table, title in TITLES.items():
        wanted = [row for row in UAS if row.table == table]
        same = [line for line in rows_below(lines, title) if "arXiv 2505.23236" in line]
        # Ours are of IEMOCAP: what is of MELD stands apart, with none of ours.
        other = rows_below(lines, f"{DESCRIPTORS} on meld, {WHAT[table]}, ")[1:] if wanted else []
        assert len(same) == sum(row.corpus == "iemocap" for row in wanted)
        for row, line in zip(
            sorted(wanted, key=lambda row: row.corpus), [*same, *other], strict=True
        ):
            assert line.startswith(f"| {row.system} |")
            assert f"| {row.corpus}, ? |" in line
            assert row.ua is None or f"| {row.ua:.3f} |" in line
            assert row.is_whole or f"| {row.gain:+.3f} |" in line
    first = rows_below(lines, "of the paper the least and the most")[1]
    for span in TEXTS:
        assert f"| {span.low:g} to {span.high:g} |" in first


def test_of_another_corpus_no_published_row_stands_among_ours(tmp_path: Path) -> None:
    folder = write_crossval(tmp_path / "cv")
    table = pd.read_parquet(folder / "predictions.parquet").assign(corpus="ravdess")
    table.to_parquet(folder / "predictions.parquet")
    write_crossval_page(tmp_path / "r", {"cv": folder}, cluster="speaker")
    text = (tmp_path / "r/report.md").read_text()
    lines = text.splitlines()
    for caption in (*TITLES.values(), "How near what is written comes to what is given."):
        assert not any("arXiv 2505.23236" in line for line in rows_below(lines, caption))
    apart = [line for line in lines if line.startswith("Published, not comparable in level")]
    assert [a.partition(", HuBERT")[0].partition(": ")[2] for a in apart] == [
        f"{DESCRIPTORS} on iemocap and meld, branches, bottleneck, stages",
        f"{DESCRIPTORS} on iemocap and meld, before the emotion",
        "the least and the most over iemocap, meld, emosec",
    ]
    assert all("Ours are of ravdess" in line for line in apart)
    html = (tmp_path / "r/report.html").read_text()
    assert html.count("<summary>Published, not comparable in level") == len(apart)


def test_published_gains_are_those_of_the_published_scores() -> None:
    whole = {row.corpus: row.ua for row in UAS if row.is_whole}
    for row in UAS:
        reference = whole[row.corpus]
        if row.ua is not None and reference is not None:
            assert row.ua - reference == pytest.approx(row.gain)


def test_ours_stand_under_them_as_the_variant_that_they_are(lines: list[str]) -> None:
    counts = {"parts": 5, "beta": 3, "condition": 3}
    for table, title in TITLES.items():
        assert sum("(ours)" in line for line in rows_below(lines, title)) == counts[table]
    line = next(line for line in rows_below(lines, TITLES["parts"]) if ": one (ours)" in line)
    assert "**one branch, bottleneck, two stages in phases: one (ours)**" in line
    for told in ("an encoder", "a language model", "self-made@0", "11.2", "2.500", "40.0"):
        assert f"**{told}**" in line
    assert "iemocap, 2 classes, test of fold 1, 1 seed" in line
    assert "emotion: content" not in rows_below(lines, TITLES["parts"])[0]
    beta = rows_below(lines, TITLES["beta"])
    assert "| WER | emotion: content | emotion: descriptor |" in beta[0]
    assert "BLEU@4" not in beta[0]


def test_a_cell_says_what_its_csv_says(made: Path, lines: list[str]) -> None:
    table = pd.read_csv(made / "cv_descriptors_variants.csv")
    row = table[(table["table"] == "condition") & (table["system"] == "gold")].iloc[0]
    line = next(line for line in rows_below(lines, TITLES["condition"]) if ": gold (" in line)
    gain = [row[f"ua_difference{end}"] for end in ("", "_low", "_high")]
    assert "**{:+.3f} [{:+.3f}, {:+.3f}]**".format(*gain) in line


def test_what_is_written_has_intervals_and_says_what_is_absent(lines: list[str]) -> None:
    heading, paper, whole, one = rows_below(lines, "of the paper the least and the most")
    assert "BLEU@4" in heading
    assert paper.startswith("| arXiv 2505.23236 |")
    assert whole.startswith("| **whole** |")
    assert one.startswith("| **one** |")
    assert "11.2 [5.6, 16.8]" in whole
    assert "2.50 [1.25, 3.75]" in whole
    # Markdown that a page makes of texts runs nothing of them.
    assert "METEOR is absent: needs <Java>." not in "".join(lines)
    assert any("METEOR is absent: needs &lt;Java>." in line for line in lines)
    assert any("CIDEr-D of the paper: its scale is not said." in line for line in lines)
    accuracy = rows_below(lines, "Slots: clips whose description says")
    assert accuracy[0] == "| system | pitch | energy | all |"
    assert accuracy[-1] == "| the most frequent description | 0.250 | 0.250 | 0.250 |"


def test_probes_stand_with_their_spread_over_runs_and_chance(made: Path, lines: list[str]) -> None:
    table = rows_below(lines, "UA of each question.")
    assert table[0] == "| system | representation | emotion | sentence |"
    assert "| whole | content | 0.650 ± 0.071 | 0.650 ± 0.071 |" in table
    assert table[-1] == "| chance |  | 0.500 | 0.333 |"
    assert {path.name for path in made.glob("cv_descriptors*")} == {
        "cv_descriptors_systems.csv",
        "cv_descriptors_variants.csv",
        "cv_descriptors_told.csv",
        "cv_descriptors_variants_1.png",
        "cv_descriptors_probes_1.png",
        "cv_descriptors_probes_2.png",
    }


def test_a_picture_of_one_run_shows_its_intervals_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[pd.DataFrame] = []

    def draw(path: Path, table: pd.DataFrame, *, title: str, ylabel: str) -> None:
        drawn.append(table)
        draw_probes(path, table, title=title, ylabel=ylabel)

    monkeypatch.setattr(descriptors_pictures, "draw_probes", draw)
    folder = write_crossval(tmp_path / "cv", "plain", "whole")
    told = pd.read_csv(folder / "probes.csv")
    told[told["fold"] == 1].to_csv(folder / "probes.csv", index=False)
    write_crossval_page(tmp_path / "r", {"cv": folder}, cluster="speaker")
    bars = drawn[0]
    assert (bars["value"] - bars["low"]).tolist() == pytest.approx([0.2] * len(bars))
    assert (bars["high"] - bars["value"]).tolist() == pytest.approx([0.1] * len(bars))


def test_every_system_says_what_it_takes(made: Path, lines: list[str]) -> None:
    place = lines.index("## cv: does the language model earn its cost")
    rows = rows_below(lines[place:], "Every system.")
    assert len(rows) == 1 + len(SKILLS)
    plain = next(row for row in rows if row.startswith("| plain |"))
    assert "| logreg | layers | an encoder | none |" in plain
    assert "| 0.5 |" in plain


def test_the_costs_stand_once_beside_emoq(tmp_path: Path) -> None:
    folder = write_crossval(tmp_path / "cv", "plain", "whole")
    facts = pd.read_csv(folder / "systems.csv", keep_default_na=False)
    plain = facts["system"] == "plain"
    facts.loc[plain, ["head", "input", "mal"]] = ["emoq", "emoq", "both"]
    facts.to_csv(folder / "systems.csv", index=False)
    write_crossval_page(tmp_path / "r", {"cv": folder}, cluster="speaker")
    page = (tmp_path / "r/report.md").read_text()
    assert page.count("does the language model earn its cost") == 1
    assert "## cv: the studies of emotion descriptors" in page


def test_without_texts_and_probes_the_tables_stand_alone(tmp_path: Path) -> None:
    lines = page(tmp_path, "plain", "one")
    assert any(line.startswith("## cv: the studies of emotion descriptors") for line in lines)
    assert not any("what is written" in line or "what each branch knows" in line for line in lines)
    for title in TITLES.values():
        # Of beta the paper prints nothing, so there is no table of it.
        assert any(f"{title}. None of ours is of this table." in line for line in lines) == (
            title != TITLES["beta"]
        )
    assert not any("(ours" in line for line in lines)
    assert not list((tmp_path / "r").glob("cv_descriptors*.png"))


def test_a_folder_without_the_head_has_no_study(tmp_path: Path) -> None:
    assert not any("descriptors" in line for line in page(tmp_path, "plain"))


@pytest.mark.parametrize("name", ["predictions.parquet", "costs.csv"])
def test_files_that_are_not_crossval_s_are_refused(tmp_path: Path, name: str) -> None:
    folder = write_crossval(tmp_path / "cv")
    (folder / name).write_text("nothing")
    with pytest.raises(PredictionsError, match="lacks what the study of descriptors is made of"):
        write_crossval_page(tmp_path / "r", {"cv": folder}, cluster="speaker")
