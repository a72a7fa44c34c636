import sys
from collections.abc import Callable

import pytest

from pipeline.errors import PluginError
from pipeline.plugins import plugins

Install = Callable[[str, str, dict[str, str]], None]


def test_what_packages_add_comes_by_name(install: Install) -> None:
    install("zoo_a", "ZEBRA = 1\nANT = 2\n", {"g.x": "zebra = zoo_a:ZEBRA\nant = zoo_a:ANT"})
    install("zoo_b", "CAT = 3\n", {"g.x": "cat = zoo_b:CAT", "g.y": "dog = zoo_b:CAT"})
    assert plugins("g.x", kind=int) == {"ant": 2, "cat": 3, "zebra": 1}
    assert list(plugins("g.x")) == ["ant", "cat", "zebra"]
    assert plugins("g.z") == {}


def test_nothing_is_imported_before_its_group_is_asked_for(install: Install) -> None:
    install("zoo_lazy", "CAT = 3\n", {"g.x": "cat = zoo_lazy:CAT"})
    assert plugins("g.y") == {}
    assert "zoo_lazy" not in sys.modules


@pytest.mark.parametrize(
    ("module", "points", "message"),
    [
        ("CAT = 3\n", "own = zoo_bad:CAT", "the name 'own' is taken by genser itself; rename"),
        ("CAT = 3\n", "../cat = zoo_bad:CAT", "'../cat' cannot name a file; use letters"),
        ("CAT = 'x'\n", "cat = zoo_bad:CAT", "zoo_bad:CAT is of the kind str, wanted builtins.int"),
        ("import zoo_gone\n", "cat = zoo_bad:CAT", "(ModuleNotFoundError: No module named"),
        ("1 / 0\n", "cat = zoo_bad:CAT", "(ZeroDivisionError: division by zero); mend or uninst"),
        ("", "cat = zoo_bad:CAT", "zoo_bad:CAT cannot be imported (AttributeError: "),
    ],
)
def test_a_package_that_does_not_fit_is_named(
    install: Install, module: str, points: str, message: str
) -> None:
    install("zoo_bad", module, {"g.x": points})
    with pytest.raises(PluginError) as caught:
        plugins("g.x", kind=int, taken=("own",))
    name = points.split()[0]
    assert str(caught.value).startswith(f"package zoo-bad, entry point {name!r} of g.x: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_packages_cannot_share_a_name(install: Install) -> None:
    install("zoo_a", "CAT = 1\n", {"g.x": "cat = zoo_a:CAT"})
    install("zoo_b", "CAT = 2\n", {"g.x": "cat = zoo_b:CAT"})
    with pytest.raises(PluginError, match=r"zoo-b, .*: the name 'cat' is taken by package zoo-a;"):
        plugins("g.x")
