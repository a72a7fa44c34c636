"""METEOR and SPICE as programs: what they are asked, what is read, and why there is none."""

import math
import os
import sys
from pathlib import Path

import pytest

from pipeline.evaluation.java_scores import CORE_NLP, JavaScore, java_scores

# Says the mean length of what was told, so that what it read is seen in what is read of it.
JAVA = """#!{python}
import json, sys, time
name = next(a for a in sys.argv if a.endswith(".jar"))
rest = sys.argv[sys.argv.index(name) + 1:]
{before}
if name.startswith("meteor"):
    told, given = (open(path).read().splitlines() for path in rest[:2])
    assert len(told) == len(given) and rest[2:] == ["-l", "en", "-norm"], rest
    print("Segment 1 score: 0.5")
    print("Final score:            ", sum(map(len, told)) / len(told) / 100)
else:
    asked = json.load(open(rest[0]))
    found = [{{"scores": {{"All": {{"f": len(one["test"]) / 100}}}}}} for one in asked]
    json.dump(found, open(rest[rest.index("-out") + 1], "w"))
"""
GIVEN, TOLD = ["A low voice.", "a high voice"], ["A low, low voice!", "voice"]
MEAN = (len("a low low voice") + len("voice")) / 2 / 100


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a package like pycocoevalcap, all its jars, and a program `java`."""
    libraries = tmp_path / "pycocoevalcap/spice/lib"
    libraries.mkdir(parents=True)
    (tmp_path / "pycocoevalcap/meteor").mkdir()
    for jar in CORE_NLP:
        (libraries / jar).touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    program(tmp_path)
    return tmp_path


def program(folder: Path, before: str = "") -> None:
    path = folder / "java"
    path.write_text(JAVA.format(python=sys.executable, before=before))
    path.chmod(0o755)


def reasons(seconds: float = 60) -> set[str]:
    found = java_scores(GIVEN, TOLD, seconds=seconds)
    assert all(math.isnan(one.value) for one in found.values())
    return {one.reason for one in found.values()}


def test_both_are_asked_about_normalised_sentences(there: Path) -> None:
    found = java_scores(GIVEN, TOLD, seconds=60)
    assert found == {name: JavaScore(value=pytest.approx(MEAN)) for name in ("meteor", "spice")}


def test_one_that_takes_longer_is_ended(there: Path) -> None:
    program(there, before="time.sleep(600)")
    assert reasons(0.2) == {"gave nothing in 0.2 s"}


def test_one_that_fails_says_why_in_its_last_line(there: Path) -> None:
    program(there, before="sys.exit('a trace\\n of many lines\\nout of memory')")
    assert reasons() == {"failed (out of memory)"}
    program(there, before="sys.exit(3)")
    assert reasons() == {"failed (exit code 3)"}


def test_an_answer_without_a_score_is_a_failure(there: Path) -> None:
    program(there, before="print('nothing'); sys.exit()")
    (meteor,) = (one for one in reasons() if "final" in one)
    assert meteor == "failed (it names no final score)"


def test_what_is_lacking_is_said(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reasons(0) == {"not asked for: report.java_seconds is 0"}
    (there / "pycocoevalcap/spice/lib" / CORE_NLP[1]).unlink()
    found = java_scores(GIVEN, TOLD, seconds=60)
    assert found["meteor"].reason == ""
    assert found["spice"].reason == (
        f"needs CoreNLP 3.6.0: put {CORE_NLP[1]} into pycocoevalcap's spice/lib"
    )
    monkeypatch.setenv("PATH", str(there / "nowhere"))
    assert reasons() == {"needs Java, found no 'java' on the path"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert reasons() == {"needs the extra 'captions' (pip install 'genser[captions]') and Java"}
