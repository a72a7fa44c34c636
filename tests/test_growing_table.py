"""A table that grows, and goes on where a kill has left it."""

import re

import pytest

from pipeline.errors import OutputError
from pipeline.scoring.growing_table import DIGEST, MADE_BY, GrowingTable

COLUMNS = ["path", "text"]
ROWS = [
    {"path": "a.wav", "text": 'he said "no",\nand left', DIGEST: "1"},
    {"path": "b\udcff.wav", "text": "é", DIGEST: "2"},
    {"path": "c.wav", "text": "", DIGEST: ""},
]


def opened(path, made_by="me"):
    return GrowingTable(path, COLUMNS, made_by)


def test_cut_anywhere_it_goes_on_with_whole_rows(tmp_path):
    path = tmp_path / "t.csv"
    table = opened(path)
    table.append(ROWS[:2])
    table.append(ROWS[2:])
    whole = path.read_bytes()
    assert [{**row, MADE_BY: "me"} for row in ROWS] == opened(path).rows
    assert path.read_bytes() == whole
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        table = opened(path)
        assert table.rows == [{**row, MADE_BY: "me"} for row in ROWS[: len(table.rows)]]
        table.append(ROWS[len(table.rows) :])
        assert path.read_bytes() == whole, length
    assert not [one for one in tmp_path.iterdir() if one != path]


def test_what_is_not_kept_goes(tmp_path):
    table = opened(tmp_path / "t.csv")
    table.append(ROWS)
    table.keep([row for row in table.rows if row["path"] != "a.wav"])
    assert [row["path"] for row in opened(tmp_path / "t.csv").rows] == ["b\udcff.wav", "c.wav"]


def test_rows_of_another_head_are_refused(tmp_path):
    opened(tmp_path / "t.csv").append(ROWS)
    before = (tmp_path / "t.csv").read_bytes()
    told = "t.csv:2: was made by another head or other settings, found me, wanted you"
    with pytest.raises(OutputError, match=re.escape(told)):
        opened(tmp_path / "t.csv", "you")
    assert (tmp_path / "t.csv").read_bytes() == before


@pytest.mark.parametrize("text", ["x,y\n1,2\n", "path,text,file_digest,made_by\n1,2\n1,2,3,me\n"])
def test_another_table_is_refused_and_stays(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(OutputError, match=r"t\.csv: is another table than this command writes"):
        opened(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == text
