import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.diffusion.codes import CODES, similarities, sinusoidal_codes
from pipeline.errors import ParamsError, ShapeError


def naive_code(b: int, dim: int) -> list[float]:
    return [math.sin(2 * math.pi * index * (b + 1) / dim) for index in range(dim)]


def naive_cosine(x: list[float], y: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))


def test_codes_are_those_of_equation_2() -> None:
    codes = sinusoidal_codes(7, 1024)
    wanted = torch.tensor([naive_code(b, 1024) for b in range(7)], dtype=torch.float32)
    assert codes.dtype == torch.float32
    torch.testing.assert_close(codes, wanted, rtol=0, atol=1e-7)


@settings(max_examples=30)
@given(dim=st.integers(3, 257), data=st.data())
def test_codes_are_orthogonal_and_of_one_norm(dim: int, data: st.DataObject) -> None:
    num_classes = data.draw(st.integers(1, (dim - 1) // 2))
    codes = sinusoidal_codes(num_classes, dim).double()
    wanted = dim / 2 * torch.eye(num_classes, dtype=torch.float64)
    torch.testing.assert_close(codes @ codes.T, wanted, rtol=0, atol=1e-6 * dim)


def test_the_greatest_number_of_codes_is_as_orthogonal_as_float32_can_say() -> None:
    # Angles taken in float32, without reducing them to one turn, leave 3e-5 here.
    codes = sinusoidal_codes(511, 1024).double()
    cosines = codes @ codes.T / 512
    torch.testing.assert_close(cosines, torch.eye(511, dtype=torch.float64), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("num_classes", "dim"), [(512, 1024), (3, 6), (0, 8), (-1, 8), (1, 2)])
def test_more_classes_than_the_codes_can_hold_are_refused(num_classes: int, dim: int) -> None:
    with pytest.raises(ParamsError, match=rf"found {num_classes} classes for {dim} feature dim"):
        sinusoidal_codes(num_classes, dim)


def test_the_refusal_names_the_greatest_number_and_the_smallest_width() -> None:
    with pytest.raises(ParamsError, match=r"wanted 1 to 3 classes.*at least 9 dimensions"):
        sinusoidal_codes(4, 8)
    assert sinusoidal_codes(4, 9).shape == (4, 9)


def test_the_code_just_past_the_limit_would_be_zero_or_a_repeat() -> None:
    past = torch.tensor(naive_code(3, 8))  # b + 1 = D/2
    again = torch.tensor(naive_code(4, 8))  # b + 1 = D/2 + 1
    torch.testing.assert_close(past, torch.zeros(8), rtol=0, atol=1e-6)
    torch.testing.assert_close(again, -sinusoidal_codes(3, 8)[2], rtol=0, atol=1e-6)


def test_similarities_are_cosines() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 12, generator=generator)
    codes = sinusoidal_codes(3, 12)
    wanted = [[naive_cosine(row, code) for code in codes.tolist()] for row in x.tolist()]
    torch.testing.assert_close(similarities(x, codes), torch.tensor(wanted))


def test_a_code_is_nearest_to_itself() -> None:
    codes = sinusoidal_codes(9, 64)
    torch.testing.assert_close(similarities(3 * codes, codes), torch.eye(9), rtol=0, atol=1e-6)


@settings(max_examples=30)
@given(exponent=st.integers(-30, 30))
def test_similarities_do_not_depend_on_length(exponent: int) -> None:
    codes = sinusoidal_codes(4, 32)
    x = codes[:2] + 0.5 * codes[2:]
    torch.testing.assert_close(similarities(x * 10.0**exponent, codes), similarities(x, codes))


def test_a_zero_vector_is_similar_to_nothing() -> None:
    codes = sinusoidal_codes(3, 8)
    assert similarities(torch.zeros(2, 8), codes).tolist() == [[0.0] * 3] * 2
    assert similarities(codes, torch.zeros(1, 8)).tolist() == [[0.0]] * 3


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_vector_that_is_not_finite_gives_nan_in_its_own_row_only(bad: float) -> None:
    codes = sinusoidal_codes(3, 8)
    x = codes.clone()
    x[1, 4] = bad
    cosines = similarities(x, codes)
    assert cosines[1].isnan().all()
    assert cosines[[0, 2]].isfinite().all()


def test_similarities_are_full_precision_inside_autocast_and_for_half_vectors() -> None:
    codes = sinusoidal_codes(3, 64)
    x = codes + 0.3 * codes.roll(1, dims=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = similarities(x, codes)
    torch.testing.assert_close(inside, similarities(x, codes), rtol=0, atol=0)
    assert similarities(x.bfloat16(), codes).dtype == torch.float32


@pytest.mark.parametrize(("x", "codes"), [((2, 8), (3, 9)), ((8,), (3, 8)), ((2, 8), (8,))])
def test_similarities_refuse_other_shapes(x: tuple[int, ...], codes: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"wanted \(B, D\) and \(C, D\)"):
        similarities(torch.ones(x), torch.ones(codes))


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(sorted(CODES)), dim=st.integers(5, 130), data=st.data())
def test_codes_of_every_kind_are_orthogonal_and_of_the_norm_of_the_sinusoids(
    kind: str, dim: int, data: st.DataObject
) -> None:
    num_classes = data.draw(st.integers(1, 2))
    codes = CODES[kind](num_classes, dim).double()
    wanted = dim / 2 * torch.eye(num_classes, dtype=torch.float64)
    torch.testing.assert_close(codes @ codes.T, wanted, rtol=0, atol=1e-5 * dim)


@pytest.mark.parametrize(("kind", "most"), [("sinusoidal", 9), ("one_hot", 20), ("hadamard", 15)])
def test_each_kind_of_code_holds_so_many_classes_and_no_more(kind: str, most: int) -> None:
    codes = CODES[kind](most, 20).double()
    torch.testing.assert_close(
        codes @ codes.T, 10 * torch.eye(most, dtype=torch.float64), rtol=0, atol=1e-5
    )
    with pytest.raises(ParamsError, match=f"wanted 1 to {most} classes"):
        CODES[kind](most + 1, 20)


def test_hadamard_codes_only_step_up_and_down() -> None:
    codes = CODES["hadamard"](7, 20)
    assert set(codes[:, 16:].flatten().tolist()) == {0.0}
    assert codes[:, :16].abs().unique().numel() == 1
    assert codes.sum(1).abs().max() < 1e-5
