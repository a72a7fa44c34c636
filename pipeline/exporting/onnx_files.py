"""Modules of torch as ONNX files, held to what genser itself computes before they are written."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import HeadError
from pipeline.files import publish_bytes

SCORES, PROBABILITIES, NUMBERS = "scores", "probabilities", "numbers"  # outputs of a file
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MOST_BYTES = 2_000_000_000  # of one protocol buffer

# How far answers and scores may be off, as a part of the largest where that is above 1.
TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Example:
    """Inputs of a module, and what genser makes of them by its own way.

    Attributes:
        inputs: By name, float32.
        scores: Shape (B, C).
        answers: Probabilities, shape (B, C), or numbers, shape (B,).
    """

    inputs: Mapping[str, np.ndarray]
    scores: np.ndarray
    answers: np.ndarray


def require_onnx() -> None:
    """Refuse to begin without the packages of the extra.

    Raises:
        HeadError: Naming the first that is not there.
    """
    for package in PACKAGES:
        try:
            import_module(package)
        except ImportError as error:
            raise HeadError(
                f"export needs {package}, which is not installed; pip install 'genser[onnx]'."
            ) from error


def write_onnx(
    path: Path,
    module: nn.Module,
    sizes: Mapping[str, Mapping[int, Any]],
    examples: Sequence[Example],
    metadata: Mapping[str, Any],
    *,
    answers: str = PROBABILITIES,
    tolerance: float = TOLERANCE,
) -> float:
    """Write a module as an ONNX file, once onnxruntime gives what genser does.

    Args:
        path: Where to.
        module: Takes the inputs in their order, gives scores and answers.
        sizes: By input, the axes that are free, each with its `torch.export.Dim`.
        examples: The module is traced with the first; the file is held to all.
        metadata: Kept in the file, JSON values by name.
        answers: What its second output is: `PROBABILITIES` or `NUMBERS`.
        tolerance: How far it may be off.

    Returns:
        How far it is off.

    Raises:
        HeadError: If it does not become a file, or the file computes something else; nothing is
            written.
        OutputError: If it cannot be written.
    """
    size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    if size > MOST_BYTES:
        raise HeadError(
            f"{path}: {size / 1e9:.1f} GB of weights, an ONNX file holds {MOST_BYTES / 1e9:.0f}; "
            "export a smaller encoder, or the head alone."
        )
    data = _converted(path, module.eval(), sizes, examples[0], metadata, (SCORES, answers))
    distance = _distance(data, examples)
    if not distance <= tolerance:
        raise HeadError(
            f"{path}: onnxruntime is {distance:.1e} off what torch computes, wanted at most "
            f"{tolerance:.0e}; nothing is written: use genser itself for this head."
        )
    publish_bytes(path, data)
    return distance


def _converted(
    path: Path,
    module: nn.Module,
    sizes: Mapping[str, Mapping[int, Any]],
    example: Example,
    metadata: Mapping[str, Any],
    outputs: Sequence[str],
) -> bytes:
    inputs: tuple[Tensor, ...] = tuple(torch.from_numpy(x) for x in example.inputs.values())
    try:
        with _quiet(), torch.no_grad():
            # What a convolution divides by cannot be proved of every length: it is asked when run.
            traced = torch.export.export(
                module,
                inputs,
                dynamic_shapes=tuple(dict(sizes[name]) for name in example.inputs),
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            program = torch.onnx.export(
                traced,
                dynamo=True,
                input_names=list(example.inputs),
                output_names=list(outputs),
                verbose=False,
            )
    except (RuntimeError, ValueError, TypeError, NotImplementedError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise HeadError(
            f"{path}: torch's exporter does not take it ({reason}); nothing is written."
        ) from error
    assert program is not None
    proto = program.model_proto
    for name, value in metadata.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        proto.metadata_props.add(key=name, value=text)
    data: bytes = proto.SerializeToString()
    return data


def _distance(data: bytes, examples: Sequence[Example]) -> float:
    """Return how far onnxruntime is off the examples at most."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 3
    session = InferenceSession(data, options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for example in examples:
        found = session.run(None, dict(example.inputs))
        off = [
            np.abs(mine - wanted).max() / max(1.0, float(np.abs(wanted).max()))
            for mine, wanted in zip(found, (example.scores, example.answers), strict=True)
        ]
        worst = float(np.max([worst, *off]))  # NaN stays NaN
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on torch's and its own future from a person's screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
