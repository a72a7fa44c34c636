from pathlib import Path

import pandas as pd
import pytest

from helpers.manifests import SUFFIXES, csv, rows
from pipeline.errors import ManifestError
from pipeline.manifests.manifest import read_manifest, write_manifest


def refusal(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    return str(caught.value)


HEAD = "utterance_id,path,split,start,end,channel,num_samples,votes.sad\n"


GOOD = "a,a.wav,train,0,1,1,9,1\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,b.wav,,,,,,", "utterance_id 'a' is used in an earlier row too"),
        (",b.wav,,,,,,", "utterance_id is empty"),
        ("b\tc,b.wav,,,,,,", r"utterance_id 'b\tc' is not printable text"),
        ("b,,,,,,,", "path is empty"),
        ("b,/b.wav,,,,,,", "path '/b.wav' is not inside the audio root, wanted a relative one"),
        ("b,../b.wav,,,,,,", "path '../b.wav' is not inside the audio root"),
        ("b,x/../../b.wav,,,,,,", "path 'x/../../b.wav' is not inside the audio root"),
        ("b,b\0.wav,,,,,,", r"path 'b\x00.wav' holds a null character"),
        ("b,b.wav,Train,,,,,", "split 'Train' is not one of ['train', 'dev', 'test']"),
        ("b,b.wav,,x,,,,", "start 'x' is not a number"),
        ("b,b.wav,,inf,,,,", "start 'inf' is not a number"),
        ("b,b.wav,,-1,,,,", "start -1 is below 0 s"),
        ("b,b.wav,,2,1.5,,,", "end 1.5 s is not after start 2 s"),
        ("b,b.wav,,,0,,,", "end 0 s is not after start 0 s"),
        ("b,b.wav,,,,0,,", "channel '0' is not a whole number above 0"),
        ("b,b.wav,,,,1.5,,", "channel '1.5' is not a whole number above 0"),
        ("b,b.wav,,,,left,,", "channel 'left' is not a number"),
        ("b,b.wav,,,,,-1,", "num_samples '-1' is not a whole number above 0"),
        ("b,b.wav,,,,,1e30,", "num_samples '1e30' is not a whole number above 0"),
        ("b,b.wav,,,,,,-2", "votes.sad '-2' is below 0"),
        ("b,b.wav,,,,,,many", "votes.sad 'many' is not a number"),
    ],
)
def test_a_bad_row_is_refused_by_its_number(tmp_path: Path, row: str, message: str) -> None:
    path = csv(tmp_path, f"{HEAD}{GOOD}{row}\n")
    found = refusal(path)
    assert found.startswith(f"{path}:3: {message}")
    assert found.endswith("; mend the manifest.")
    assert found.count("\n") == 0


def test_two_dots_within_a_name_are_no_fault(tmp_path: Path) -> None:
    path = csv(tmp_path, "utterance_id,path\na,x/take..1.wav\nb,..b/c.wav\n")
    assert len(read_manifest(path).table) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_numbered_as_a_person_counts_them(tmp_path: Path, suffix: str) -> None:
    table = rows().assign(split=["train", "dev", "late"])
    path = tmp_path / f"m{suffix}"
    write_manifest(path, table)
    assert refusal(path).startswith(f"{path}:{4 if suffix == '.csv' else 3}: split 'late'")


def test_a_blank_line_is_a_row_and_blank_lines_at_the_end_are_not(tmp_path: Path) -> None:
    path = csv(tmp_path, "utterance_id,path\na,a.wav\n\nb,/b.wav\n\n\n")
    wanted = [":3: path is empty", ":3: utterance_id is empty", ":4: path '/b.wav' is not"]
    lines = refusal(path).splitlines()
    assert lines[0] == f"{path}: 3 faults in its rows; mend the manifest:"
    for line, part in zip(lines[1:], wanted, strict=True):
        assert f"{path}{part}" in line
    good = csv(tmp_path, "utterance_id,path\r\na,a.wav\r\n\r\n")
    assert read_manifest(good).table["path"].tolist() == ["a.wav"]


def test_ten_faults_are_shown_in_order_and_the_rest_counted(tmp_path: Path) -> None:
    lines = [
        f"{i},{i}.wav,{'nowhere' if i % 2 else 'dev'},{-1 if i == 30 else 0}" for i in range(40)
    ]
    path = csv(tmp_path, "utterance_id,path,split,start\n" + "\n".join(lines))
    shown = refusal(path).splitlines()
    assert shown[0] == f"{path}: 21 faults in its rows; mend the manifest:"
    assert [line.strip() for line in shown[1:11]] == [
        f"{path}:{i + 2}: split 'nowhere' is not one of ['train', 'dev', 'test']"
        for i in range(1, 21, 2)
    ]
    assert shown[11:] == ["  and 11 more"]


def test_ten_faults_are_all_shown(tmp_path: Path) -> None:
    path = csv(tmp_path, "utterance_id,path\n" + "".join(f"{i},\n" for i in range(10)))
    shown = refusal(path).splitlines()
    assert len(shown) == 11
    assert "more" not in shown[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("utterance_id,wav\na,a.wav\n", "has no column 'path', only ['utterance_id', 'wav']; see"),
        ("path\na.wav\n", "has no column 'utterance_id', only ['path']"),
        (
            "utterance_id;path\na;a.wav\n",
            "has no column 'utterance_id', only ['utterance_id;path']",
        ),
        ("utterance_id,path\n", "has no rows; add one row per utterance"),
        ("", "cannot be read as .csv in UTF-8"),
        (
            "utterance_id,path\n\xe9,a.wav\n".encode("latin-1"),
            "cannot be read as .csv in UTF-8 ('utf",
        ),
        ("utterance_id,path\na,a.wav\nb,b.wav,c\n", "Expected 2 fields in line 3, saw 3"),
        ("utterance_id,path\na,a.wav,c\n", "Expected 2 fields in line 2, saw 3"),
        ('utterance_id,path\na,"a.wav\n', "cannot be read as .csv in UTF-8"),
        ("utterance_id,path,path\na,a.wav,b\n", "names the column 'path' twice; name each once"),
        ("utterance_id,path,\na,a.wav,b\n", "has a column without name"),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = csv(tmp_path, text)
    found = refusal(path)
    assert found.startswith(f"{path}: ")
    assert message in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"utterance_id": "b"', ":2: is no JSON ("),
        ('["b", "b.wav"]', ":2: is no JSON object; write one per line"),
        ('{"utterance_id": "b", "words": ["x"]}', ":2: words ['x'] is no text or number; drop it"),
        ("\xe9", ": cannot be read as .jsonl in UTF-8"),
        ('{"utterance_id": "b", "path": "b.wav", "start": NaN}', ":2: start 'nan' is not a number"),
    ],
)
def test_a_bad_line_of_json_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"utterance_id": "a", "path": "a.wav"}\n' + line.encode("latin-1"))
    assert f"{path}{message}" in refusal(path)


def test_an_emobox_line_with_two_paths_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"key": "a", "wav": "a.wav", "path": "b.wav"}\n')
    assert "names the column 'path' twice" in refusal(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_of_nothing_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_bytes(b"")
    assert refusal(path).startswith(f"{path}: ")


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    path.write_bytes(b"utterance_id,path\n" * 9)
    assert refusal(path).startswith(f"{path}: cannot be read as .parquet")


def test_a_parquet_column_of_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    table = pd.DataFrame({"utterance_id": ["a"], "path": ["a.wav"], "words": [["x", "y"]]})
    table.to_parquet(path)
    assert "column 'words' is of type list<element: string>, wanted texts or" in refusal(path)


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"none{suffix}"
        assert refusal(path) == f"{path}: no such manifest; make one with 'genser prepare'."


def test_an_unknown_suffix_is_refused_for_reading_and_writing(tmp_path: Path) -> None:
    path = tmp_path / "m.xlsx"
    wanted = f"{path}: suffix '.xlsx' is not .csv, .jsonl or .parquet."
    assert refusal(path) == wanted
    with pytest.raises(ManifestError, match=r"'\.xlsx' is not"):
        write_manifest(path, rows())
    assert not path.exists()
