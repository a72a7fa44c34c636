"""Encoders with weights drawn from a seed."""

from pathlib import Path

import pytest
import torch

from helpers.encoders import digest_of
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.errors import EncoderError


@pytest.mark.parametrize(
    ("name", "options"), [("size", {"size": "vast"}), ("family", {"family": "bert"})]
)
def test_a_seeded_encoder_of_an_unknown_kind_is_refused(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    with pytest.raises(EncoderError, match=f"seeded encoder: {name} '.*' is not one of"):
        save_seeded_encoder(tmp_path, **options)


def test_a_seeded_encoder_depends_on_its_seed_alone(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        save_seeded_encoder(tmp_path / name, seed=seed)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b") != digest_of(tmp_path / "c")
