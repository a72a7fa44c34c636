"""The learning curves of a head: what was written is read back, anything else is one line."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from helpers.commands import genser, refused
from pipeline.errors import HeadError
from pipeline.files import sealed_json, sha256_bytes, unseal_json
from pipeline.training.curves import CURVES, MOST_BYTES, MOST_LOOKS, read_curves, write_curves


@pytest.fixture
def head(here: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree("head", tmp_path / "head"))


def reseal(head: Path, change: Callable[[dict], None]) -> None:
    value = unseal_json((head / "head.json").read_bytes())
    assert value is not None
    change(value)
    (head / "head.json").write_bytes(sealed_json(value))


def put(head: Path, data: bytes) -> None:
    """Put other curves into a head, with the digest that makes them part of it."""
    (head / CURVES).write_bytes(data)
    reseal(head, lambda value: value["files"].update({CURVES: sha256_bytes(data)}))


def test_what_was_written_is_read_back(head: Path, tmp_path: Path) -> None:
    curves = pd.DataFrame(
        {
            "step": [5, 10],
            "train_loss": [float("nan"), 0.1234567890123],
            "learning_rate": [1e-3, 1e-12],
            "phase": ["1", "two"],
            "loss.x": [0.5, float("nan")],
            "dev_ua": [0.25, 1.0],
        }
    )
    write_curves(tmp_path / "x", curves, title="x")
    put(head, (tmp_path / "x" / CURVES).read_bytes())
    pd.testing.assert_frame_equal(read_curves(head), curves)


@pytest.mark.parametrize("what", ["changed", "removed", "a folder", "unnamed", "another's"])
def test_curves_that_are_not_the_head_s_are_not_shown(head: Path, tmp_path: Path, what) -> None:
    path = head / CURVES
    if what == "changed":
        path.write_text(path.read_text().replace("5\t", "6\t", 1))
    elif what == "unnamed":
        reseal(head, lambda value: value["files"].pop(CURVES))
    elif what == "another's":
        path.write_text("step\ttrain_loss\tdev_ua\n1\t0.5\t1.0\n")
    else:
        path.unlink()
        if what == "a folder":
            path.mkdir()
    told = refused("report", "p.parquet", "--head", head, "--out", tmp_path / "r")
    assert told == (
        f"Error: {path}: absent or damaged, its digest is not the one in head.json; train the "
        "head again.\n"
    )
    assert not (tmp_path / "r" / "report.html").exists()


ROW = "1\t0.5\t0.1\t0.4\n"
HEADS = "step\ttrain_loss\tlearning_rate\tdev_ua\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "found No columns to parse from file, wanted a table of numbers"),
        ("\x00\xff", "found "),
        (HEADS, "found none looks at dev, wanted 1 to"),
        (HEADS + "".join(f"{i}\t0\t0\t0\n" for i in range(MOST_LOOKS + 1)), "found more than"),
        ("a\tb\n1\t2\n", "found the columns ['a', 'b'], wanted 'step', 'train_loss'"),
        ("=cmd\t" + HEADS + "1\t" + ROW, "found the columns ['=cmd', 'step'"),
        ("step\tstep\ttrain_loss\tdev_ua\n1\t1\t1\t1\n", "found the columns ['step', 'step.1'"),
        ("step\ttrain_loss\n1\t2\n", "found 2 columns, wanted 'dev_<name>'"),
        (
            "\t".join(["step", "train_loss", *(f"dev_{i}" for i in range(200))]) + "\n1\t1\n",
            "found 202 columns, wanted 'dev_<name>' and at most 100",
        ),
        (HEADS + ROW + "2\tlow\t0\t0\n", "could not convert string to float: 'low'"),
        (HEADS + ROW + ROW, "found step 1 in row 2, wanted whole ones that rise"),
        (HEADS + "3\t0\t0\t0\n2\t0\t0\t0\n", "found step 2 in row 2"),
        (HEADS + "1.5\t0\t0\t0\n", "found step 1.5 in row 1"),
        (HEADS + "\t0\t0\t0\n", "found step nan in row 1"),
        (HEADS + "-2\t0\t0\t0\n", "found step -2 in row 1"),
        (HEADS + "1e400\t0\t0\t0\n", "found step inf in row 1"),
        (HEADS + "1e300\t0\t0\t0\n", "found step 1e+300 in row 1"),
        (HEADS + "1\tinf\t0\t0\n", "found infinity in 'train_loss', wanted numbers"),
        (HEADS + "1\t0\t0\t0\t9\t9\n", "found "),
        (HEADS + '1\t0\t0\t"0\n', "found "),
    ],
)
def test_hostile_curves_are_one_line(head: Path, tmp_path: Path, text: str, line: str) -> None:
    put(head, text.encode("latin-1"))
    with pytest.raises(HeadError) as caught:
        read_curves(head)
    told = str(caught.value)
    assert told.startswith(f"{head / CURVES}: ")
    assert line in told
    assert told.endswith("; train the head again.")
    assert "\n" not in told
    assert len(told) < 500


def test_curves_without_end_are_not_read(head: Path) -> None:
    with (head / CURVES).open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(HeadError, match=f"found {MOST_BYTES + 1} bytes, wanted at most"):
        read_curves(head)


def test_a_report_names_what_a_head_was_selected_by(here: Path, tmp_path: Path) -> None:
    words = ["-S", "train.num_steps=2", "train", "demo.csv", "--store", "store"]
    genser("-S", "train.select_by=wf1", *words, "--out", tmp_path / "h")
    reseal(tmp_path / "h", lambda value: value["train"].update(select_by="bits"))
    told = genser("report", "p.parquet", "--head", tmp_path / "h", "--out", tmp_path / "r")
    assert told.exit_code == 0
    assert "(the best on dev by bits)" in (tmp_path / "r" / "report.md").read_text()
    reseal(tmp_path / "h", lambda value: value["train"].pop("select_by"))
    told = refused("report", "p.parquet", "--head", tmp_path / "h", "--out", tmp_path / "r")
    assert "head.json: train.select_by: found None, wanted text; train the head again." in told
