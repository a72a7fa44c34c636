import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ManifestError
from pipeline.manifests.manifest import Manifest, read_manifest, requests, write_manifest

SUFFIXES = (".csv", ".jsonl", ".parquet")

# As the repository of EmoBox ships them: a float count, a 1-based channel, keys with slashes.
EMOBOX = [
    {
        "key": "iemocap-Ses01F_impro04_F000",
        "dataset": "iemocap",
        "wav": "downloads/iemocap/Ses01F_impro04_F000.wav",
        "type": "raw",
        "sample_rate": 16000,
        "num_frame": 32706.000000000004,
        "task": "category",
        "length": 2.0441,
        "emo": "neu",
        "channel": 1,
    },
    {
        "key": "asvp-esd-actor 12/03-01 (a)",
        "dataset": "asvp-esd",
        "wav": "downloads/asvp/Audio/actor 12/03-01 (a).wav",
        "type": "raw",
        "sample_rate": 44100,
        "num_frame": 70312.0,
        "task": "category",
        "length": 1.5944,
        "emo": "Angray",
        "channel": 2,
        "start_time": 0.25,
        "end_time": 1.5,
    },
]

PRINTABLE = st.text(min_size=1, max_size=12).filter(str.isprintable)
ODD = st.sampled_from(["a/b", "a b", "a,b", 'a"b', "'", "żółć", "语音", "NA", "nan", "None", "007"])
DATES = st.sampled_from(["2020-01-01", "2020-01-01 10:00:00", "1e5", "True", "-", "#x", "=1"])
IDS = PRINTABLE | ODD | DATES
FREE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


def csv(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "manifest.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    return str(caught.value)


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "utterance_id": ["a/1", "b 2", "ç3"],
            "path": ["x/a.wav", "x/b.wav", "x/ç.wav"],
            "corpus": ["one", "one", "two"],
            "speaker": ["s", "s", "t"],
            "split": ["train", "dev", ""],
            "start": [0.1 + 0.2, np.nan, 0.0],
            "end": [1 / 3, np.nan, 1e-7],
            "channel": [1, -1, 2],
            "num_samples": [16000, 3, -1],
            "emotion": ["happy", "", "sad"],
            "votes.happy": [2.0, 0.0, np.nan],
            "text": ['say "hi", twice', "", "line\nbreak"],
        }
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_table(tmp_path: Path, suffix: str) -> None:
    write_manifest(tmp_path / f"m{suffix}", rows())
    found = read_manifest(tmp_path / f"m{suffix}")
    wanted = rows()
    for name in wanted.columns:
        assert found.table[name].tolist() == pytest.approx(
            wanted[name].tolist(), nan_ok=True, abs=0
        )
    assert found.table["store_id"].tolist() == [""] * 3
    assert found.table["sample_rate"].tolist() == [-1] * 3
    assert found.table["start"].dtype == np.float64
    assert found.table["channel"].dtype == np.int64
    assert found.tasks == ["emotion"]
    assert found.row_number(1) == (3 if suffix == ".csv" else 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(IDS, min_size=1, max_size=5, unique=True))
    column = st.lists(FREE | ODD | DATES, min_size=len(ids), max_size=len(ids))
    numbers = st.lists(st.floats(0, 1e6) | st.just(np.nan), min_size=len(ids), max_size=len(ids))
    wanted = pd.DataFrame(
        {
            "utterance_id": ids,
            "path": [f"{i}.wav" for i in range(len(ids))],
            "start": pd.Series(data.draw(numbers), dtype="float64"),
            "text": pd.Series(data.draw(column), dtype="str"),
        }
    )
    path = tmp_path_factory.mktemp("manifest") / f"m{suffix}"
    write_manifest(path, wanted)
    once = read_manifest(path).table
    pd.testing.assert_frame_equal(
        once[list(wanted.columns)], wanted, check_dtype=False, check_exact=True
    )
    write_manifest(path, once)
    pd.testing.assert_frame_equal(read_manifest(path).table, once, check_exact=True)


def test_columns_are_written_in_their_documented_order(tmp_path: Path) -> None:
    table = rows()[["text", "emotion", "start", "path", "utterance_id"]]
    write_manifest(tmp_path / "m.csv", table)
    header = (tmp_path / "m.csv").read_text().splitlines()[0]
    assert header == "utterance_id,path,start,text,emotion"


def test_emobox_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "fold.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in EMOBOX))
    manifest = read_manifest(path)
    table = manifest.table
    assert table["utterance_id"].tolist() == [record["key"] for record in EMOBOX]
    assert table["path"].tolist() == [record["wav"] for record in EMOBOX]
    assert table["corpus"].tolist() == ["iemocap", "asvp-esd"]
    assert table["num_samples"].tolist() == [32706, 70312]
    assert table["sample_rate"].tolist() == [16000, 44100]
    assert table["channel"].tolist() == [1, 2]
    np.testing.assert_array_equal(table["start"], [np.nan, 0.25])
    np.testing.assert_array_equal(table["end"], [np.nan, 1.5])
    assert table["emotion"].tolist() == ["neu", "Angray"]
    assert manifest.tasks == ["emotion"]


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


def test_json_values_of_other_types_are_taken_as_text(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(
        '{"utterance_id": 7, "path": "a.wav", "age": 41, "acted": true, "num_samples": 5}\n'
        '{"utterance_id": "b", "path": "b.wav", "age": null, "num_samples": "6.0"}\n'
    )
    table = read_manifest(path).table
    assert table["utterance_id"].tolist() == ["7", "b"]
    assert table["age"].tolist() == ["41", ""]
    assert table["acted"].tolist() == ["True", ""]
    assert table["num_samples"].tolist() == [5, 6]


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
    assert "cannot be read as .parquet in UTF-8 (Unsupported cast from list" in refusal(path)


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


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = csv(tmp_path, "\ufeffutterance_id,path\na,a.wav\n")
    assert read_manifest(path).table["utterance_id"].tolist() == ["a"]


def test_the_store_id_stands_in_where_it_is_given(tmp_path: Path) -> None:
    path = csv(tmp_path, "utterance_id,store_id,path\none/a,a,a.wav\nb,,b.wav\n")
    assert read_manifest(path).store_ids == ["a", "b"]


def manifest_of(tmp_path: Path) -> Manifest:
    write_manifest(tmp_path / "m.csv", rows())
    return read_manifest(tmp_path / "m.csv")


def test_requests_find_each_corpus_under_its_own_root(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    found = requests(manifest, {"two": Path("/second"), "": Path("/first")})
    assert found["source"].tolist() == ["/first/x/a.wav", "/first/x/b.wav", "/second/x/ç.wav"]
    assert found["utterance_id"].tolist() == manifest.store_ids
    assert found["channel"].tolist() == [1, -1, 2]


def test_a_corpus_without_a_root_is_refused(tmp_path: Path) -> None:
    message = "corpus 'one' has no audio root; give --audio-root one=DIR"
    with pytest.raises(ManifestError, match=message):
        requests(manifest_of(tmp_path), {"two": Path("/second")})


def test_a_fold_becomes_the_split(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("utterance_id,path,split,split.1,split.b\nu,u.wav,dev,train,test\n")
    read = read_manifest(path)
    assert read.folds == ["1", "b"]
    assert read.tasks == []
    assert read.table["split"].tolist() == ["dev"]
    assert read_manifest(path, "b").table["split"].tolist() == ["test"]
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, "2")
    assert str(caught.value) == (
        f"{path}: has no fold '2', only ['1', 'b']; make folds with 'genser split'."
    )


def test_a_bad_part_of_a_fold_and_a_bad_declaration_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("utterance_id,path,split.1,official,overlap\nu,u.wav,trian,tset,yes\n")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).splitlines()[1:] == [
        f"  {path}:2: official 'tset' is not one of ['train', 'dev', 'test']",
        f"  {path}:2: overlap 'yes' is not one of ['official']",
        f"  {path}:2: split.1 'trian' is not one of ['train', 'dev', 'test']",
    ]


def test_documented_columns_that_say_nothing_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("utterance_id,path,emotion\nu,u.wav,\n")
    write_manifest(path, read_manifest(path).table)
    assert path.read_text() == "utterance_id,path,emotion\nu,u.wav,\n"
