"""The study of tokens on a page."""

from pathlib import Path

import pandas as pd
import pytest

from helpers.tokens import SKILLS, predictions, write_crossval
from pipeline.errors import PredictionsError, ShapeError
from pipeline.figures.tokens import draw_gains, draw_rates
from pipeline.report.crossval import write_crossval_page
from pipeline.report.published import PUBLISHED_TOKENS
from pipeline.report.token_cells import interval, layers_text


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page")
    folder = write_crossval(out / "cv")
    write_crossval_page(out / "report", {"toy": folder}, cluster="speaker")
    return out / "report"


def test_the_page_has_its_sections_tables_and_pictures(page: Path) -> None:
    text = (page / "report.md").read_text()
    for title in (
        "tokens by layer and size",
        "fusion and acoustics",
        "kinds of tokens, bit rate and storage",
        "attention over layers",
        "every system",
    ):
        assert f"## toy: {title}" in text
    assert "## Cross-validation" in text
    assert sorted(path.name for path in page.iterdir()) == [
        "report.html",
        "report.md",
        "toy_tokens_attention.csv",
        "toy_tokens_attention.png",
        "toy_tokens_codecs.csv",
        "toy_tokens_fusion.csv",
        "toy_tokens_fusion_1.png",
        "toy_tokens_layers.csv",
        "toy_tokens_layers_1.png",
        "toy_tokens_rates.png",
        "toy_tokens_systems.csv",
    ]
    assert (page / "report.html").read_text().count("data:image/png;base64,") == 4


def test_codes_that_all_have_acoustics_beside_them_are_in_no_table_of_layers(
    tmp_path: Path,
) -> None:
    folder = write_crossval(tmp_path / "cv")
    predictions = pd.read_parquet(folder / "predictions.parquet")
    kept = predictions["system"].isin(["c12+", "f12"])
    predictions[kept].to_parquet(folder / "predictions.parquet")
    write_crossval_page(tmp_path / "r", {"toy": folder}, cluster="speaker")
    text = (tmp_path / "r/report.md").read_text()
    assert "## toy: tokens by layer and size" not in text
    assert "## toy: fusion and acoustics" in text
    assert "| c12+ |" in text


def test_a_cell_says_what_its_csv_says(page: Path) -> None:
    text = (page / "report.md").read_text()
    layers = pd.read_csv(page / "toy_tokens_layers.csv").set_index("codes")
    drop = layers.loc["c1"]
    told = f"{drop['drop']:.1f} [{drop['drop_low']:.1f}, {drop['drop_high']:.1f}]"
    assert f"| c1 | 1 |  | 16 | {drop['codes_macro_f1']:.3f} [" in text
    assert f"| {told} |" in text
    fusion = pd.read_csv(page / "toy_tokens_fusion.csv").set_index("system")
    assert f"| {100 * fusion.loc['c12', 'closed']:.0f}" in text
    assert "| **c2** | **16** | **codes** | **2** |  | **no** |" in text


def test_published_rows_of_other_clips_are_folded_apart_and_name_encoder_and_data(
    page: Path,
) -> None:
    assert all(row.encoder and row.data and row.source for row in PUBLISHED_TOKENS)
    lines = (page / "report.md").read_text().splitlines()
    paper = next(i for i, line in enumerate(lines) if ".3133 to .3479" in line)
    for told in ("6 to 14", "WavLM-large, fine-tuned", "MSP-Podcast"):
        assert told in lines[paper]
    assert lines[paper - 4].startswith("Published, not comparable in level: discrete tokens on MSP")
    assert "Ours are of toy, 2 classes, test of fold 1, 1 seed;" in lines[paper - 4]
    assert lines[paper + len(PUBLISHED_TOKENS)] == ""
    ours = [line for line in lines if "(ours)" in line]
    assert len(ours) == 2
    assert all("an encoder" in line and "toy" in line for line in ours)
    assert (
        "<summary>Published, not comparable in level: discrete tokens on MSP-Podcast"
        in (page / "report.html").read_text()
    )


def test_eight_classes_of_msp_podcast_s_own_split_stand_under_published_rows(
    tmp_path: Path,
) -> None:
    folder = write_crossval(tmp_path / "cv")
    table = predictions(SKILLS, classes=tuple("abcdefgh"))
    table.assign(corpus="msp-podcast", fold="split").to_parquet(folder / "predictions.parquet")
    write_crossval_page(tmp_path / "r", {"toy": folder}, cluster="speaker")
    lines = (tmp_path / "r/report.md").read_text().splitlines()
    last = next(i for i, line in enumerate(lines) if PUBLISHED_TOKENS[-1].system in line)
    assert "(ours)" in lines[last + 1]
    assert not any("not comparable in level" in line for line in lines)


def test_without_dev_the_page_says_that_nothing_is_chosen(tmp_path: Path) -> None:
    folder = write_crossval(tmp_path / "cv", with_dev=False)
    write_crossval_page(tmp_path / "r", {"toy": folder}, cluster="speaker")
    text = (tmp_path / "r/report.md").read_text()
    assert "What is best on dev is not known, so no layer is marked as chosen." in text
    assert "so there is none to compare with." in text
    assert not (tmp_path / "r/toy_tokens_fusion_1.png").exists()


def test_a_folder_without_tokens_has_no_study(tmp_path: Path) -> None:
    folder = write_crossval(tmp_path / "cv")
    facts = pd.read_csv(folder / "systems.csv").assign(input="layers")
    facts.to_csv(folder / "systems.csv", index=False)
    write_crossval_page(tmp_path / "r", {"toy": folder}, cluster="speaker")
    assert "## toy: " not in (tmp_path / "r/report.md").read_text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("systems.csv", "system,head\nc1,tokens\n", "systems.csv: is not what 'genser crossval'"),
        ("predictions.parquet", "nothing", "lacks what the study of tokens is made of"),
        ("dev.csv", None, "lacks what the study of tokens is made of"),
    ],
)
def test_files_that_are_not_crossval_s_are_refused(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    folder = write_crossval(tmp_path / "cv")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(PredictionsError, match=message):
        write_crossval_page(tmp_path / "r", {"toy": folder}, cluster="speaker")


def test_layers_in_a_row_are_told_by_their_ends() -> None:
    assert layers_text("1 2 3 4") == "1-4"
    assert layers_text("22 23") == "22, 23"
    assert layers_text("6 12 18") == "6, 12, 18"
    assert layers_text("") == ""


def test_a_share_without_ends_is_told_without_them() -> None:
    nan = float("nan")
    assert interval({"x": 0.5, "x_low": nan, "x_high": nan}, "x") == "0.500"
    assert interval({"x": nan}, "x") == ""


def test_pictures_of_nothing_and_of_no_rate_are_refused(tmp_path: Path) -> None:
    columns = ["rate", "value", "low", "high", "group", "hollow", "label"]
    none = pd.DataFrame(columns=columns)
    with pytest.raises(ShapeError, match=r"p.png: found nothing to draw"):
        draw_gains(tmp_path / "p.png", none, title="t", xlabel="x")
    zero = pd.DataFrame([[0.0, 0.5, 0.4, 0.6, "g", False, ""]], columns=columns)
    with pytest.raises(ShapeError, match=r"p.png: found a rate of 0 or none"):
        draw_rates(tmp_path / "p.png", zero, title="t", ylabel="y")
