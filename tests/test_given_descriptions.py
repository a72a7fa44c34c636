"""Descriptions of a file of their own, joined to a manifest by clip."""

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.commands import genser, refused
from helpers.manifests import csv
from pipeline.descriptions.given import read_given
from pipeline.errors import ManifestError
from pipeline.manifests.descriptors import descriptor_sources
from pipeline.manifests.manifest import read_manifest

HEAD = "utterance_id,path,descriptors,descriptors_source\n"
# As SpeechCraft's programs write them: labels, and what a language model made of them.
SPEECHCRAFT = {
    "POD01_S01": {
        "labels": "age:Elderly\tgender:male\tpitch:low\temotion:sad\ttranscription: well",
        "description": "An elderly man speaks slowly, with sadness, in a low pitch.",
    },
    "POD01_S02": {"labels": "gender:male\temotion:happy", "description": "Joyfully."},
    "POD01_S03": {"labels": "gender:female", "description": "A woman with  a high voice."},
}


def written(folder: Path, content: Any, name: str = "en.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_speechcraft_s_descriptions_are_joined_by_clip_without_emotions(tmp_path: Path) -> None:
    manifest = csv(
        tmp_path,
        f"{HEAD}POD01_S01,a.wav,,\nPOD01_S02,b.wav,,\nx,c.wav,mine,\ny,d.wav,old,self-made@1\n"
        "POD01_S03,e.wav,,\n",
    )
    file = written(tmp_path, SPEECHCRAFT)
    result = genser("describe", manifest, "--from", file, "-o", tmp_path / "out.csv")
    assert result.exit_code == 0, result.output
    table = read_manifest(tmp_path / "out.csv").table
    assert table["descriptors"].tolist() == [
        "An elderly man speaks slowly, in a low pitch.",
        "",
        "mine",
        "",
        "A woman with a high voice.",
    ]
    source = table["descriptors_source"].iloc[0]
    assert source.startswith("en@")
    assert descriptor_sources(table) == ("given", source)
    assert f"2 of 5 rows described by {source}, joined by utterance_id to 3" in result.stdout
    assert "1 without a clause that names an emotion, 1 with nothing left" in result.stdout
    assert not (tmp_path / "out.csv.description.json").exists()
    asis = ("-S", "describe.strip_emotion=false", "describe", manifest, "--from", file)
    genser(*asis, "-o", tmp_path / "asis.csv")
    table = read_manifest(tmp_path / "asis.csv").table
    assert table["descriptors"].iloc[1] == "Joyfully."
    assert table["descriptors_source"].iloc[0] != source


@pytest.mark.parametrize(
    ("rows", "by"),
    [
        ("1,x/POD01_S01.wav\n2,x/POD01_S03.wav\n", "file name"),
        ("1,x/POD01/S01.wav\n2,x/POD01/S03.wav\n", "folder and file name"),
        ("POD01_S01,x/1.wav\n2,x/POD01/S02.wav\nPOD01_S03,x/3.wav\n", "utterance_id"),
    ],
)
def test_a_clip_is_named_by_its_id_its_file_or_its_folder_and_file(
    tmp_path: Path, rows: str, by: str
) -> None:
    manifest = csv(tmp_path, f"utterance_id,path\n{rows}")
    file = written(tmp_path, SPEECHCRAFT)
    result = genser("describe", manifest, "--from", file, "-o", tmp_path / "out.csv")
    assert f"2 of {rows.count('.wav')} rows" in result.stdout
    assert f"joined by {by} to 3" in result.stdout


def test_clips_of_one_file_are_not_all_given_its_description(tmp_path: Path) -> None:
    rows = "1,POD01_S01.wav,0,1\n2,POD01_S01.wav,1,2\n"
    manifest = csv(tmp_path, f"utterance_id,path,start,end\n{rows}")
    file = written(tmp_path, SPEECHCRAFT)
    line = refused("describe", manifest, "--from", file, "-o", tmp_path / "out.csv")
    assert "en.json: knows none of the clips of" in line
    assert "it has 'POD01_S01', the manifest '1'" in line


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_table_or_plain_texts_are_read_alike(tmp_path: Path, suffix: str) -> None:
    table = tmp_path / f"t.{suffix}"
    table.write_text(
        "id,labels,caption\na,x,A loud voice.\n"
        if suffix == "csv"
        else '{"id": "a", "labels": "x", "caption": "A loud voice."}\n'
    )
    wanted = {"a": "A loud voice."}
    assert read_given(table, "") == wanted
    assert read_given(written(tmp_path, wanted), "") == wanted


def test_files_that_do_not_tell_which_text_of_which_clip_are_refused(tmp_path: Path) -> None:
    two = {"a": {"short": "x", "long": "y"}}
    with pytest.raises(ManifestError, match=r"texts \['long', 'short'\], wanted one .* found ''"):
        read_given(written(tmp_path, two), "")
    assert read_given(written(tmp_path, two), "long") == {"a": "y"}
    with pytest.raises(ManifestError, match="found 'none'"):
        read_given(written(tmp_path, two), "none")
    for wrong, what in (([], "holds list"), ({}, "something else"), ({"a": 3}, "something else")):
        with pytest.raises(ManifestError, match=what):
            read_given(written(tmp_path, wrong), "")
    (tmp_path / "no.json").write_text("{")
    with pytest.raises(ManifestError, match=r"no\.json: cannot be read \(no JSON"):
        read_given(tmp_path / "no.json", "")
    with pytest.raises(ManifestError, match=r"gone\.json: cannot be read \(No such file"):
        read_given(tmp_path / "gone.json", "")
    (tmp_path / "t.csv").write_text("name,caption\na,x\n")
    with pytest.raises(ManifestError, match=r"columns \['name', 'caption'\], wanted one of"):
        read_given(tmp_path / "t.csv", "")
