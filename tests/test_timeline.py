"""Stretches on one timeline, and the files that it becomes."""

import itertools
import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.segmentation.cutting import Span, windows
from pipeline.segmentation.formats import Interval, rttm, textgrid
from pipeline.segmentation.timeline import Said, cells, means, merged

spans = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 10)).map(lambda x: Span(x[0], x[0] + x[1])),
    min_size=1,
    max_size=12,
)


@given(spans, st.integers(0, 2**32 - 1))
def test_between_cuts_is_the_mean_of_the_stretches_that_lie_there(spans, seed):
    p = np.random.default_rng(seed).dirichlet(np.ones(3), len(spans))
    found = cells(spans, p)
    for moment in np.arange(0.5, 52):
        here = [i for i, span in enumerate(spans) if span.start < moment < span.end]
        mine = [part for part in found if part.span.start < moment < part.span.end]
        assert len(mine) == bool(here)
        if here:
            np.testing.assert_allclose(mine[0].probabilities, p[here].mean(0))
            assert mine[0].predicted == p[here].mean(0).argmax()


@given(spans, st.integers(0, 2**32 - 1))
def test_a_number_is_the_mean_of_the_stretches_that_lie_there_and_nothing_is_merged(spans, seed):
    numbers = np.random.default_rng(seed).integers(1, 3, len(spans)).astype(float)
    found = means(spans, numbers[:, None])
    inside = {time for span in spans for time in range(span.start, span.end)}
    cuts = {time for span in spans for time in span}
    assert [part.start for part, _ in found] == sorted(cuts & inside)
    for moment in inside:
        (mine,) = (mean for part, mean in found if part.start <= moment < part.end)
        here = [
            y for span, y in zip(spans, numbers, strict=True) if span.start <= moment < span.end
        ]
        np.testing.assert_allclose(mine, [sum(here) / len(here)])


@given(spans, st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_neighbours_of_one_class_become_one(spans, seed, gap):
    p = np.random.default_rng(seed).dirichlet(np.ones(2), len(spans))
    parts = cells(spans, p)
    found = merged(parts, gap)
    for a, b in itertools.pairwise(found):
        assert a.span.end <= b.span.start
        assert a.predicted != b.predicted or b.span.start - a.span.end > gap
    for part in found:
        inside = [x for x in parts if part.span.start <= x.span.start < part.span.end]
        weights = np.array([x.span.end - x.span.start for x in inside], float)
        mean = (weights[:, None] * [x.probabilities for x in inside]).sum(0) / weights.sum()
        np.testing.assert_allclose(part.probabilities, mean)
        assert {x.predicted for x in inside} == {part.predicted} == {int(mean.argmax())}
    assert [x.span for x in merged(found, gap)] == [x.span for x in found]


def test_a_gap_that_is_longer_is_kept():
    parts = [Said(Span(0, 1), 0, np.array([0.9, 0.1])), Said(Span(1.5, 4), 0, np.array([0.6, 0.4]))]
    assert [part.span for part in merged(parts, 0.4)] == [Span(0, 1), Span(1.5, 4)]
    (one,) = merged(parts, 0.5)
    assert one.span == Span(0, 4)
    np.testing.assert_allclose(one.probabilities[0], (0.9 * 1 + 0.6 * 2.5) / 3.5)


def test_windows_that_overlap_leave_no_gap():
    found = cells(windows(9.0, 4.0, 2.0), np.full((4, 2), 0.5))
    assert [part.span.start for part in found[1:]] == [part.span.end for part in found[:-1]]
    assert (found[0].span.start, found[-1].span.end) == (0, 9)


def read_textgrid(text: str) -> dict[str, list[tuple[float, float, str]]]:
    """Read Praat's long format word by word, as its manual tells it: only values count."""
    values = re.findall(r'"(?:[^"]|"")*"|<exists>|(?<![\w\[])-?\d+(?:\.\d+)?(?![\w\]])', text)
    take = iter(values)
    assert [next(take), next(take)] == ['"ooTextFile"', '"TextGrid"']
    start, end, exists, num_tiers = float(next(take)), float(next(take)), next(take), next(take)
    assert exists == "<exists>"
    tiers = {}
    for _ in range(int(num_tiers)):
        assert next(take) == '"IntervalTier"'
        name = next(take)[1:-1].replace('""', '"')
        assert (float(next(take)), float(next(take))) == (start, end)
        rows = []
        for _ in range(int(next(take))):
            a, b, label = float(next(take)), float(next(take)), next(take)
            rows.append((a, b, label[1:-1].replace('""', '"')))
        # Praat wants intervals that fill the tier, none of them empty.
        assert (rows[0][0], rows[-1][1]) == (start, end)
        assert all(x[1] == y[0] for x, y in itertools.pairwise(rows))
        assert all(x[0] < x[1] for x in rows)
        tiers[name] = rows
    assert next(take, None) is None
    return tiers


def test_a_textgrid_is_read_back():
    intervals = [
        Interval(Span(0.5, 1.25), "happy"),
        Interval(Span(1.25, 3), 'said "no",\n12 times'),
    ]
    made = textgrid(4.0, {"emotion": intervals, "text": [], 'a "b"': [Interval(Span(0, 4), "x")]})
    assert read_textgrid(made) == {
        "emotion": [
            (0, 0.5, ""),
            (0.5, 1.25, "happy"),
            (1.25, 3, 'said "no", 12 times'),
            (3, 4, ""),
        ],
        "text": [(0, 4, "")],
        'a "b"': [(0, 4, "x")],
    }


def test_an_rttm_has_ten_fields_a_line():
    made = rttm(Path("a/my call.wav"), [Interval(Span(1.024, 3.2), "very sad", 0.75)])
    assert made == "SPEAKER my_call 1 1.024000 2.176000 <NA> <NA> very_sad 0.750000 <NA>\n"
    assert len(made.split()) == 10
