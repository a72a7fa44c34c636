"""The repository's rules about itself."""

import ast
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import pipeline
import stages
from stages.cli import COMMANDS

ROOT = Path(__file__).parent.parent
PACKAGES = ("pipeline", "stages")


def module_file(name: str) -> Path | None:
    path = ROOT / Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def imported(path: Path) -> set[str]:
    """Names of our modules that a file imports, inside functions too, type-checking blocks not."""
    names = set()
    for node in ast.walk(_without_type_checking(ast.parse(path.read_text()))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {n for n in names if n.split(".")[0] in PACKAGES}


def _without_type_checking(tree: ast.Module) -> ast.Module:
    class Remove(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            is_guard = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return None if is_guard else self.generic_visit(node)

    return Remove().visit(tree)


def import_closure(start: Path) -> set[str]:
    found: set[Path] = set()
    todo = [start]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        todo += [f for name in imported(path) if (f := module_file(name))]
    return {p.relative_to(ROOT).as_posix() for p in found if p.name != "__init__.py"}


def places(modules: set[str]) -> set[str]:
    """What stands in dvc.yaml for modules: a package of the library whole, all else by file."""
    return {m if m.count("/") == 1 else m.rsplit("/", 1)[0] for m in modules}


def dvc_stages() -> dict[str, dict]:
    return YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]


def cmds(stage: str) -> list[str]:
    cmd = dvc_stages()[stage]["cmd"]
    return [cmd] if isinstance(cmd, str) else cmd


def test_packages_lie_in_the_repository():
    for package in (pipeline, stages):
        assert Path(package.__file__).parent.parent == ROOT


@pytest.mark.parametrize("stage", list(dvc_stages()))
def test_a_dvc_stage_depends_on_exactly_the_code_it_imports(stage):
    deps = {
        d for d in dvc_stages()[stage]["deps"] if d.startswith(tuple(f"{p}/" for p in PACKAGES))
    }
    commands = [re.match(r"genser (?:--params \S+ )?(\w+)", cmd) for cmd in cmds(stage)]
    closures = [import_closure(ROOT / "stages" / f"{command[1]}.py") for command in commands]
    assert deps == places(set().union(*closures))


def test_an_edited_head_does_not_extract_again():
    heads = {d for d in dvc_stages()["extract"]["deps"] if "heads/" in d or "training" in d}
    assert not heads


def test_dvc_calls_nothing_but_genser():
    for stage in dvc_stages():
        assert all(cmd.startswith("genser ") for cmd in cmds(stage))


def test_a_dvc_stage_depends_on_the_parameters_that_its_commands_are_given():
    for name, stage in dvc_stages().items():
        files = {cmd.split()[2] for cmd in cmds(name) if cmd.startswith("genser --params")}
        told = {file for part in stage["params"] if isinstance(part, dict) for file in part}
        assert told == files, name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_text_with_an_example(name):
    module = (ROOT / "stages" / f"{name}.py").read_text()
    assert f"genser {name}" in module or re.search(rf"genser .*{name} ", module)
    assert "Example:" in module


def test_the_readme_s_tree_is_the_disk_s():
    readme = (ROOT / "README.md").read_text()
    tree = readme[readme.index("## Where things are") : readme.index("`make check` runs")]
    library = tree[tree.index("pipeline/") :]
    told = set(re.findall(r"\b(\w+(?:\.py|/))(?=\s|$)", library)) - {"pipeline/"}
    there = {
        p.name + ("/" if p.is_dir() else "")
        for p in (ROOT / "pipeline").iterdir()
        if p.name not in ("__init__.py", "__pycache__", "py.typed")
    }
    assert told == there
    for name in re.findall(r"[\w./]+(?:\.\w+|/)(?=\s)", tree[: tree.index("pipeline/")]):
        assert (ROOT / name).exists(), name


def test_no_module_and_no_test_file_is_longer_than_it_should_be():
    too_long = {
        str(p.relative_to(ROOT)): n
        for package in (*PACKAGES, "tests")
        for p in (ROOT / package).rglob("*.py")
        if (n := len(p.read_text().splitlines())) > 300
    }
    assert not too_long


def test_each_decision_says_what_why_and_what_else_and_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\((.+\.md)\)", (folder / "README.md").read_text())
    pages = {page.name for page in folder.glob("*.md")} - {"README.md"}
    assert sorted(listed) == sorted(pages)
    for page in pages:
        text = (folder / page).read_text()
        assert re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE) == [
            "What",
            "Why",
            "What else was weighed",
        ], page
        assert len(text.splitlines()) <= 15, page


def test_what_is_checked_before_a_commit_is_what_make_check_runs():
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^check: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    hooks = YAML(typ="safe", pure=True).load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    assert [f"$(BIN){entry.removeprefix('.venv/bin')}" for entry in entries] == [
        line.strip() for line in recipe[1].splitlines()
    ]


def test_what_must_pass_is_what_the_readme_names():
    told = re.findall(r"`?(make \w+)", (ROOT / "README.md").read_text())
    assert set(re.findall(r"^make \w+$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)) <= set(
        told
    )
