"""Pages point to what is there, the site knows each, and the example does what it says."""

import re
import runpy
from configparser import ConfigParser
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.scoring.predictions import read_predictions

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "data_manifests").glob("*.md"), *(ROOT / "docs").rglob("*.md")]
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def test_every_link_of_every_page_leads_to_a_file():
    places = {page: LINK.findall(page.read_text("utf-8")) for page in PAGES}
    lost = {
        f"{page.relative_to(ROOT)}: {link}"
        for page, links in places.items()
        for link in links
        if not (page.resolve().parent / link).exists()
    }
    assert not lost


def test_the_site_s_menu_names_every_page_but_single_decisions():
    config = YAML(typ="safe", pure=True).load((ROOT / "mkdocs.yml").read_text())
    told = set(re.findall(r"'([\w/]+\.md)'", repr(config["nav"])))
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in PAGES if ROOT / "docs" in p.parents}
    assert told == {p for p in pages if not p.startswith("decisions/")} | {"decisions/README.md"}


def test_the_page_of_the_api_takes_the_example_in():
    page = (ROOT / "docs/api/index.md").read_text("utf-8")
    # In a form that a formatter of Python does not take for Python.
    (taken,) = re.findall(r"^--8<--\n(.+)\n--8<--$", page, re.MULTILINE)
    assert (ROOT / taken).is_file()


def test_the_example_runs_where_the_demo_has_run(made, tmp_path, monkeypatch, capsys):
    for link, there in (
        ("data_manifests/demo.csv", "demo.csv"),
        ("demo", "demo"),
        ("features/demo", "store"),
        ("models/demo", "head"),
    ):
        (tmp_path / link).parent.mkdir(exist_ok=True)
        (tmp_path / link).symlink_to(made / there)
    monkeypatch.chdir(tmp_path)
    made_by_it = runpy.run_path(str(ROOT / "examples" / "read_and_score.py"))
    assert "nearest centroid" in capsys.readouterr().out
    found = read_predictions(Path("example.parquet"))
    assert found.table.equals(read_predictions(made / "p.parquet").table)
    assert made_by_it["ua"].low <= made_by_it["ua"].value <= made_by_it["ua"].high


def test_every_extra_is_told():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    page = (ROOT / "docs/installing.md").read_text("utf-8").partition("## Extras")[2]
    names = " ".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", names)) == set(config["options.extras_require"])


def test_the_citation_is_of_this_version_and_has_what_the_format_wants():
    citation = YAML(typ="safe", pure=True).load((ROOT / "CITATION.cff").read_text())
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert citation["version"] == config["metadata"]["version"]
    assert citation["license"] == config["metadata"]["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(one["url"].rsplit("/", 1)[1] in readme for one in citation["references"])
