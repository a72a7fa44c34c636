"""What a Gen-SER head does on its way from an embedding to a class code."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch

from pipeline.dataset import StoredFeatures
from pipeline.diffusion.codes import similarities
from pipeline.diffusion.sampler import READOUTS, SOLVERS, SamplerConfig
from pipeline.evaluation.bootstrap import cluster_counts, intervals
from pipeline.heads.genser import GenSER
from pipeline.heads.saved import TrainedHead
from pipeline.scoring.class_priors import classes_lacking, masked
from pipeline.scoring.score import open_clips
from pipeline.sources.inference import gather_source

STEPS = (1, 2, 4, 10, 20)  # N, as in Gen-SER, Table 3


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The walk of one clip.

    Attributes:
        times: t of each state, from T down to 0, shape (N + 1,).
        states: x_t, shape (N + 1, D).
        code: The code of the clip's class, shape (D,).
        cosines: Of each state to each class code, shape (N + 1, C).
    """

    times: np.ndarray
    states: np.ndarray
    code: np.ndarray
    cosines: np.ndarray


def sampling_table(
    trained: TrainedHead,
    features: StoredFeatures,
    rows: np.ndarray,
    labels: np.ndarray,
    clusters: Sequence[object],
    *,
    device: str,
) -> pd.DataFrame:
    """Score clips with every solver, readout and number of steps (Gen-SER, Table 3).

    Args:
        trained: A head that samples.
        features: Of the manifest.
        rows: Its labelled rows to score, shape (B,).
        labels: Class indices, shape (B,).
        clusters: What intervals resample, one for each clip.
        device: A torch device.

    Returns:
        Columns solver, readout, num_steps, wa and ua with `_low` and `_high`, and num_clusters.
    """
    head = trained.head
    assert isinstance(head, GenSER)
    clips = open_clips(features, rows, trained, device=device)
    table = []
    lacking = classes_lacking(trained, clips.corpora)
    scores = {
        (solver, num_steps): gather_source(
            head,
            clips.source,
            partial(
                head.scores_by_readout, options=SamplerConfig(num_steps=num_steps, solver=solver)
            ),
            device=device,
            precision=trained.record.precision,
        )
        for solver in SOLVERS
        for num_steps in STEPS
    }
    for solver in SOLVERS:
        for readout in READOUTS:
            for num_steps in STEPS:
                predicted = masked(scores[solver, num_steps][readout], lacking).argmax(1)
                counts = cluster_counts(
                    labels, predicted, clusters, num_classes=len(trained.classes)
                )
                found = intervals(counts)
                ends = {
                    f"{name}{suffix}": value
                    for name in ("wa", "ua")
                    for suffix, value in (
                        ("", found[name].value),
                        ("_low", found[name].low),
                        ("_high", found[name].high),
                    )
                }
                ends["num_clusters"] = found["ua"].num_clusters
                table.append({"solver": solver, "readout": readout, "num_steps": num_steps, **ends})
    return pd.DataFrame(table)


@torch.inference_mode()
def trace_clip(
    trained: TrainedHead,
    features: StoredFeatures,
    row: int,
    label: int,
    *,
    solver: str,
    device: str,
) -> Trace:
    """Follow one clip from its embedding to the end of the walk, in the most of `STEPS`.

    Args:
        trained: A Gen-SER head.
        features: Of the manifest.
        row: The clip's row.
        label: Its class.
        solver: Which steps to take.
        device: A torch device.
    """
    head = trained.head
    assert isinstance(head, GenSER)
    clips = open_clips(features, np.array([row]), trained, device=device)
    (batch,) = clips.source.batches([[np.array([0])]])
    walk = SamplerConfig(num_steps=STEPS[-1], solver=solver, readout="state")
    sample = head.walk(batch, walk, keep_states=True)
    assert sample.states is not None
    states = sample.states[:, 0]
    return Trace(
        times=head.config.t_max * np.linspace(1.0, 0.0, len(states)),
        states=states.cpu().numpy(),
        code=head.codes[label].cpu().numpy(),
        cosines=similarities(states, head.codes).cpu().numpy(),
    )
