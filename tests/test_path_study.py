from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from pipeline.diffusion.sampler import READOUTS, SOLVERS, SamplerConfig
from pipeline.errors import ShapeError
from pipeline.evaluation.bootstrap import cluster_counts, intervals
from pipeline.experiments.path_study import STEPS, sampling_table, trace_clip
from pipeline.figures.lines import draw_scores
from pipeline.figures.reliability import draw_reliability
from pipeline.figures.transport import draw_transport
from pipeline.heads.catalogue import build_head
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.record import HeadRecord
from pipeline.heads.saved import TrainedHead
from pipeline.heads.standardiser import Standardiser
from pipeline.heads.trunk import TrunkConfig
from pipeline.sources.inference import score_source

CLASSES = ("angry", "calm", "sad")


def features(num: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num, 4, 16)).astype(np.float32)


@pytest.fixture
def trained() -> TrainedHead:
    shape = FeatureShape(num_layers=4, dim=16, last_layer=3, input_layer=0)
    torch.manual_seed(0)
    config = GenSERConfig(link="softmax", trunk=TrunkConfig(width=8, num_blocks=1, num_heads=2))
    head = build_head("genser", {"layers": shape}, 3, config).eval()
    standardiser = Standardiser(4, 16)
    standardiser.fit([features()])
    record = HeadRecord(
        kind="genser",
        config=asdict(config),
        shapes={"layers": shape},
        recipes={},
        standardisers={},
        bases=[],
        task="emotion",
        classes=CLASSES,
        label_map=None,
        temperature=1.0,
        prior=None,
        corpora={},
        train={"precision": "float32"},
        seed=0,
        num_train=1,
        num_dev=1,
        num_skipped=0,
        best_step=1,
        dev={},
        leaks={},
        encoders={},
    )
    return TrainedHead(head=head, standardisers={"layers": standardiser}, record=record)


def test_the_table_has_every_solver_readout_and_number_of_steps(
    trained: TrainedHead, array_features, array_source
) -> None:
    labels, clusters = np.arange(12) % 3, [str(i % 4) for i in range(12)]
    table = sampling_table(
        trained, array_features(features()), np.arange(12), labels, clusters, device="cpu"
    )
    assert len(table) == len(SOLVERS) * len(READOUTS) * len(STEPS)
    row = table[
        (table["solver"] == "euler") & (table["readout"] == "state") & (table["num_steps"] == 4)
    ].iloc[0]
    config = SamplerConfig(num_steps=4, solver="euler", readout="state")
    source = array_source(features(), trained.standardisers["layers"])
    scores = score_source(trained.head, source, config, device="cpu", precision="float32").scores
    found = intervals(cluster_counts(labels, scores.argmax(1), clusters, num_classes=3))
    assert row["wa"] == found["wa"].value
    assert (row["ua_low"], row["ua_high"]) == (found["ua"].low, found["ua"].high)
    one = table[(table["num_steps"] == 1) & (table["readout"] == "estimate")]
    assert one["wa"].nunique() == 1


def test_the_table_walks_each_way_once(trained: TrainedHead, array_features, monkeypatch) -> None:
    asked, estimate = [], trained.head.estimate
    monkeypatch.setattr(trained.head, "estimate", lambda *a: asked.append(1) or estimate(*a))
    labels, clusters = np.arange(12) % 3, [str(i % 4) for i in range(12)]
    rows = np.arange(12)
    sampling_table(trained, array_features(features()), rows, labels, clusters, device="cpu")
    # Each step once, and once more at the end of each walk for the readout of Algorithm 2.
    assert len(asked) == len(SOLVERS) * (sum(STEPS) + len(STEPS))


def test_the_readouts_of_one_walk_are_those_of_three(trained: TrainedHead, array_source) -> None:
    source = array_source(features(), trained.standardisers["layers"])
    (batch,) = source.batches([[np.arange(12)]])
    options = SamplerConfig(num_steps=3, solver="euler")
    with torch.inference_mode():
        found = trained.head.scores_by_readout(batch, options)
        for readout in READOUTS:
            alone = trained.head.scores(batch, replace(options, readout=readout))
            assert torch.equal(found[readout], alone)


def test_a_trace_leads_from_the_embedding_to_what_the_sampler_says(
    trained: TrainedHead, array_features, array_source
) -> None:
    clip = features()[5]
    trace = trace_clip(
        trained, array_features(features()), 5, 2, solver="exponential", device="cpu"
    )
    assert len(trace.times) == len(trace.states) == len(trace.cosines) == STEPS[-1] + 1
    assert (trace.times[0], trace.times[-1]) == (1.0, 0.0)
    x1 = trained.standardisers["layers"](torch.from_numpy(clip[None]))[0, 3].numpy()
    np.testing.assert_allclose(trace.states[0], x1, rtol=1e-6)
    np.testing.assert_array_equal(trace.code, trained.head.codes[2].numpy())
    source = array_source(clip[None], trained.standardisers["layers"])
    options = SamplerConfig(num_steps=STEPS[-1], readout="state")
    scores = score_source(trained.head, source, options, device="cpu", precision="float32").scores
    np.testing.assert_allclose(trace.cosines[-1], scores[0], atol=1e-6)


def test_the_figure_of_a_trace_is_drawn_the_same_twice(trained, array_features, tmp_path) -> None:
    trace = trace_clip(trained, array_features(features()), 0, 0, solver="euler", device="cpu")
    pictures = []
    for name in ("a.png", "b.png"):
        draw_transport(
            tmp_path / name,
            times=trace.times,
            states=trace.states,
            code=trace.code,
            cosines=trace.cosines,
            classes=CLASSES,
            label=0,
            title="a clip",
        )
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    with pytest.raises(ShapeError, match="transport: found 21 times, 20 states and 21 rows"):
        draw_transport(
            tmp_path / "c.png",
            times=trace.times,
            states=trace.states[1:],
            code=trace.code,
            cosines=trace.cosines,
            classes=CLASSES,
            label=0,
            title="a clip",
        )


def test_lines_without_points_are_refused(tmp_path) -> None:
    with pytest.raises(ShapeError, match=r"x\.png: found a line without points"):
        draw_scores(tmp_path / "x.png", {}, title="t", xlabel="x", ylabel="y")


def test_the_picture_of_reliability_changes_with_what_it_shows(tmp_path) -> None:
    labels = np.arange(30) % 3
    sure, torn = np.eye(3)[labels] * 0.7 + 0.1, np.full((30, 3), 1 / 3)
    for name, probabilities in (("sure", sure), ("torn", torn), ("again", sure)):
        draw_reliability(tmp_path / f"{name}.png", probabilities, labels, title="t")
    drawn = {name: (tmp_path / f"{name}.png").read_bytes() for name in ("sure", "torn", "again")}
    assert drawn["sure"] == drawn["again"] != drawn["torn"]
