"""METEOR and SPICE: Java programs that come with pycocoevalcap, each under a time limit.

They are run as they are, one process for all sentences. Where one cannot be run its number is
absent, with the reason: a report is not worth less for it.
"""

import importlib.util
import json
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.evaluation.word_errors import normalised

METEOR, SPICE = "meteor", "spice"
PACKAGE = "pycocoevalcap"
JARS = {METEOR: "meteor/meteor-1.5.jar", SPICE: "spice/spice-1.0.jar"}
CORE_NLP = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
_FINAL = re.compile(r"^Final score:\s+(\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class JavaScore:
    """A score, or why there is none.

    Attributes:
        value: 0 to 1; NaN where there is none.
        reason: Why; "" where there is one.
    """

    value: float
    reason: str = ""


def java_scores(
    references: Sequence[str], said: Sequence[str], *, seconds: float
) -> dict[str, JavaScore]:
    """Return METEOR and SPICE of sentences, one reference each.

    Args:
        references: Of each clip.
        said: What a head wrote of it.
        seconds: The most that each may take; 0 runs neither.
    """
    given, told = normalised(references), normalised(said)
    return {name: _score(name, given, told, seconds) for name in JARS}


def _score(name: str, given: list[str], told: list[str], seconds: float) -> JavaScore:
    lacking = _lacking(name, seconds)
    if lacking:
        return JavaScore(value=math.nan, reason=lacking)
    try:
        with TemporaryDirectory() as folder:
            run = _meteor if name == METEOR else _spice
            return JavaScore(value=run(Path(folder), given, told, seconds))
    except subprocess.TimeoutExpired:
        reason = f"gave nothing in {seconds:g} s"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"failed ({_last_line(str(error))})"
    return JavaScore(value=math.nan, reason=reason)


def _lacking(name: str, seconds: float) -> str:
    """Return what must be there for a score and is not; "" if all is."""
    if seconds == 0:
        return "not asked for: report.java_seconds is 0"
    if importlib.util.find_spec(PACKAGE) is None:
        return "needs the extra 'captions' (pip install 'genser[captions]') and Java"
    if shutil.which("java") is None:
        return "needs Java, found no 'java' on the path"
    libraries = _jar(name).parent / "lib"
    absent = [jar for jar in CORE_NLP if name == SPICE and not (libraries / jar).is_file()]
    if absent:
        return f"needs CoreNLP 3.6.0: put {' and '.join(absent)} into {PACKAGE}'s spice/lib"
    return ""


def _jar(name: str) -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / JARS[name]


def _meteor(folder: Path, given: list[str], told: list[str], seconds: float) -> float:
    for file, sentences in (("given", given), ("told", told)):
        (folder / file).write_text("".join(f"{sentence}\n" for sentence in sentences))
    files = [str(folder / "told"), str(folder / "given")]
    text = _run(METEOR, ["-Xmx2G"], [*files, "-l", "en", "-norm"], seconds)
    found = _FINAL.search(text)
    if found is None:
        raise ValueError("it names no final score")
    return float(found[1])


def _spice(folder: Path, given: list[str], told: list[str], seconds: float) -> float:
    asked = [
        {"image_id": i, "test": sentence, "refs": [reference]}
        for i, (reference, sentence) in enumerate(zip(given, told, strict=True))
    ]
    (folder / "asked.json").write_text(json.dumps(asked))
    files = [str(folder / "asked.json"), "-out", str(folder / "found.json")]
    _run(SPICE, ["-Xmx8G"], [*files, "-subset", "-silent"], seconds)
    found = json.loads((folder / "found.json").read_text())
    return float(np.mean([float(one["scores"]["All"]["f"]) for one in found]))


def _run(name: str, options: list[str], arguments: list[str], seconds: float) -> str:
    """Return what a program says.

    Raises:
        subprocess.TimeoutExpired: If it takes longer.
        ValueError: With what it says of its failure.
    """
    jar = _jar(name)
    done = subprocess.run(
        ["java", *options, "-jar", jar.name, *arguments],
        cwd=jar.parent,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr or f"exit code {done.returncode}")
    return done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
