"""What heads and runs keep of parameters, and what becomes of those that came later."""

from dataclasses import dataclass, field

import pytest

from pipeline.parameters import as_kept, filled, later, merged
from pipeline.typed import typed


@dataclass(frozen=True)
class Inner:
    width: int = 8
    noise: float = later(0.5, neutral=0.0)


@dataclass(frozen=True)
class Outer:
    layers: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)
    mixup: float = later(0.2, neutral=0.0)


def read(kind, values):
    return typed(kind, filled(kind, values), "head.json", others=True)


OLD = {"layers": [1, 2], "inner": {"width": 8}}


def test_a_later_parameter_leaves_no_trace_where_everything_is_as_before():
    neutral = Outer(inner=Inner(noise=0.0), mixup=0.0)
    assert as_kept(neutral) == {"layers": (1, 2), "inner": {"width": 8}}
    assert as_kept(Outer())["mixup"] == 0.2
    assert as_kept(Outer())["inner"] == {"width": 8, "noise": 0.5}


def test_what_was_kept_before_a_parameter_was_is_read_as_neutral_whatever_its_default():
    assert read(Outer, OLD) == Outer(inner=Inner(noise=0.0), mixup=0.0)


@pytest.mark.parametrize("mixup", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_what_is_kept_is_rebuilt_as_it_was(mixup, noise):
    made = Outer(inner=Inner(noise=noise), mixup=mixup)
    assert read(Outer, as_kept(made)) == made


def test_names_that_are_known_no_more_are_passed_over():
    assert read(Outer, {**OLD, "gone": 3}) == read(Outer, OLD)


def test_values_go_over_defaults_key_by_key_and_nothing_says_nothing():
    defaults = {"steps": 3, "optimiser": {"rate": 1.0, "decay": 0.1}, "mlp": {"hidden": 4}}
    given = {"optimiser": {"rate": 2.0}, "mlp": None, "seed": 7, "head": {"a": 1}}
    assert merged(defaults, given) == {
        "steps": 3,
        "optimiser": {"rate": 2.0, "decay": 0.1},
        "mlp": {"hidden": 4},
        "seed": 7,
        "head": {"a": 1},
    }
    assert defaults["optimiser"] == {"rate": 1.0, "decay": 0.1}
    assert merged({}, given) == given
