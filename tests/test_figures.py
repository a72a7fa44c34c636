import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.errors import OutputError, ShapeError
from pipeline.figures.canvas import COLOURS
from pipeline.figures.confusion import confusion_pixels, draw_confusion
from pipeline.figures.curves import CURVES_PIXELS, draw_learning_curve
from pipeline.figures.lines import draw_scores

CLASSES = ["angry", "calm", "happy", "sad", "surprised"]
CURVES = pd.DataFrame(
    {
        "step": [0, 100, 200, 300],
        "train_loss": [9.0, 4.0, 3.0, 2.5],
        "dev_wa": [0.2, np.nan, 0.5, np.nan],
        "dev_ua": [0.2, np.nan, 0.4, np.nan],
    }
)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def counts(num_classes=5):
    return np.eye(num_classes, dtype=np.int64) * 7 + 2


def test_same_matrix_gives_the_same_bytes_without_a_trace_of_the_run(tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        draw_confusion(path, counts(), CLASSES, title="a title")
    assert first.read_bytes() == second.read_bytes()
    assert b"tEXt" not in first.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_other_counts_labels_or_title_give_another_picture(tmp_path):
    def drawn(matrix, classes, title):
        draw_confusion(tmp_path / "c.png", matrix, classes, title=title)
        return (tmp_path / "c.png").read_bytes()

    pictures = {
        drawn(counts(), CLASSES, "a"),
        drawn(2 * counts(), CLASSES, "a"),
        drawn(counts(), CLASSES[::-1], "a"),
        drawn(counts(), CLASSES, "b"),
    }
    assert len(pictures) == 4


@pytest.mark.parametrize("num_classes", [2, 8])
def test_picture_has_the_stated_size(tmp_path, num_classes):
    names = [f"class {index}" for index in range(num_classes)]
    draw_confusion(tmp_path / "c.png", counts(num_classes), names, title="size")
    width, height = confusion_pixels(num_classes)
    assert pixels(tmp_path / "c.png").shape == (height, width, 3)


def test_labels_fit_into_the_picture(tmp_path):
    names = ["a" * 20, "b", "c" * 16, "d", "e" * 18]
    draw_confusion(tmp_path / "c.png", counts() * 10_000, names, title="long " * 30)
    picture = pixels(tmp_path / "c.png")
    border = np.concatenate([picture[[0, -1]].reshape(-1, 3), picture[:, [0, -1]].reshape(-1, 3)])
    assert (border == 255).all()


def test_rows_are_shaded_by_their_share_and_not_by_their_count(tmp_path):
    matrix = np.array([[1000, 0], [0, 1]], dtype=np.int64)
    draw_confusion(tmp_path / "c.png", matrix, ["big", "small"], title="share")
    picture = pixels(tmp_path / "c.png").reshape(-1, 3)
    darkest_blue = (picture == [8, 48, 107]).all(axis=1)
    # Two equally dark cells of 1.6 inches cover about a fifth of the picture, one a tenth.
    assert darkest_blue.mean() > 0.15


def test_class_without_clips_is_grey(tmp_path):
    matrix = counts(3)
    draw_confusion(tmp_path / "full.png", matrix, ["a", "b", "c"], title="grey")
    matrix[1] = 0
    draw_confusion(tmp_path / "gap.png", matrix, ["a", "b", "c"], title="grey")
    grey = [
        (pixels(tmp_path / name) == 0xEE).all(axis=2).mean() for name in ("full.png", "gap.png")
    ]
    assert grey[0] < 0.01
    assert grey[1] > 0.08


def test_names_with_signs_of_mathematics_are_drawn_as_they_stand(tmp_path):
    draw_confusion(tmp_path / "c.png", counts(2), ["$a", r"b$\frac{"], title=r"$\nonsense{$")
    assert (tmp_path / "c.png").stat().st_size > 0


def test_no_clips_at_all_still_give_a_picture(tmp_path):
    draw_confusion(tmp_path / "c.png", np.zeros((2, 2), np.int64), ["a", "b"], title="none")
    assert (tmp_path / "c.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (counts(4), r"found shape \(4, 4\), wanted \(5, 5\)"),
        (counts()[:4], r"found shape \(4, 5\)"),
        (counts().astype(float), "dtype 'float64'"),
        (-counts(), "lowest value"),
    ],
    ids=["other classes", "not square", "shares", "negative"],
)
def test_what_is_no_matrix_of_counts_is_refused(tmp_path, matrix, message):
    with pytest.raises(ShapeError, match=message):
        draw_confusion(tmp_path / "c.png", matrix, CLASSES, title="wrong")
    assert not list(tmp_path.iterdir())


def test_folder_that_is_a_file_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        draw_confusion(tmp_path / "file" / "c.png", counts(), CLASSES, title="nowhere")


def test_learning_curve_is_drawn_at_its_size_and_twice_alike(tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        draw_learning_curve(path, CURVES, title="a run")
    assert first.read_bytes() == second.read_bytes()
    width, height = CURVES_PIXELS
    assert pixels(first).shape == (height, width, 3)


def test_phases_stand_apart_in_the_learning_curve(tmp_path):
    draw_learning_curve(tmp_path / "one.png", CURVES, title="a run")
    half = len(CURVES) // 2
    phases = ["first"] * half + ["second"] * (len(CURVES) - half)
    draw_learning_curve(tmp_path / "two.png", CURVES.assign(phase=phases), title="a run")
    assert (tmp_path / "two.png").read_bytes() != (tmp_path / "one.png").read_bytes()
    fewer = CURVES.iloc[half:].assign(phase="second").reset_index(drop=True)
    draw_learning_curve(tmp_path / "three.png", fewer, title="resumed in its second phase")


@pytest.mark.parametrize(
    "curves",
    [CURVES[:0], CURVES[["step", "dev_wa"]], CURVES[["step", "train_loss"]], pd.DataFrame()],
    ids=["no rows", "no loss", "no score", "nothing"],
)
def test_curves_without_their_columns_are_refused(tmp_path, curves):
    with pytest.raises(ShapeError, match="wanted rows with 'step', 'train_loss'"):
        draw_learning_curve(tmp_path / "l.png", curves, title="wrong")


def colours_in(path):
    """Return which of our colours a picture has in at least 100 pixels above its legend."""
    shown = pixels(path)
    shown = shown[: int(0.85 * len(shown))].reshape(-1, 3)
    wanted = {name: [int(name[i : i + 2], 16) for i in (1, 3, 5)] for name in COLOURS}
    return [name for name, rgb in wanted.items() if (shown == rgb).all(1).sum() >= 100]


def test_scores_that_agree_do_not_hide_each_other_in_the_learning_curve(tmp_path):
    scores = {f"dev_{name}": CURVES["dev_wa"] for name in ("wa", "ua", "wf1", "macro_f1")}
    draw_learning_curve(tmp_path / "c.png", CURVES.assign(**scores), title="four alike")
    assert colours_in(tmp_path / "c.png") == list(COLOURS[:4])


def test_lines_that_agree_do_not_hide_each_other(tmp_path):
    ends = {"value": [0.4, 0.5], "low": [0.3, 0.4], "high": [0.5, 0.6]}
    lines = {f"line {i}": pd.DataFrame({"x": [1, 2], **ends}) for i in range(6)}
    draw_scores(tmp_path / "c.png", lines, title="six alike", xlabel="x", ylabel="y")
    assert colours_in(tmp_path / "c.png") == list(COLOURS)
