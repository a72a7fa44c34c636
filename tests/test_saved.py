"""Trained heads on the disk: those of older versions, and that damage is found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import HeadError
from pipeline.files import sealed_json, unseal_json
from pipeline.heads.folder import read_description
from pipeline.heads.needs import FeatureShape
from pipeline.heads.saved import load_head, save_head
from pipeline.sources.inference import score_source

# Written by genser at commit c13db0c: four steps on 24 clips of two corpora, width 8, seed 0.
FIRST_VERSION = Path(__file__).parent / "golden" / "head_v1"
SCORES = [
    [-0.1405554562807083, -0.4583970904350281, 0.19383053481578827],
    [0.08808696269989014, -0.44684672355651855, -0.4313724637031555],
]


def clips() -> np.ndarray:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(24, 3, 8)).astype(np.float32)
    features[np.arange(24), :, np.arange(24) % 3] += 2
    return features[:2]


def test_a_head_of_the_first_version_scores_as_it_did(array_source) -> None:
    trained = load_head(FIRST_VERSION)
    assert trained.record.shapes == {
        "layers": FeatureShape(num_layers=3, dim=8, last_layer=2, input_layer=None)
    }
    assert trained.record.standardisers["layers"].over == "corpus"
    source = array_source(clips(), trained.standardisers["layers"])
    options = SamplerConfig(num_steps=2)
    found = score_source(trained.head, source, options, device="cpu", precision="float32").scores
    # One machine's last bits are not another's.
    np.testing.assert_allclose(found, SCORES, atol=1e-5)


def test_saved_again_it_is_of_this_version_and_says_the_same(tmp_path: Path) -> None:
    first = load_head(FIRST_VERSION)
    save_head(tmp_path, first, beside=[])
    again = load_head(tmp_path)
    assert read_description(tmp_path)["format_version"] == 2
    assert again.record == first.record
    assert again.digest == first.digest
    for name, tensor in first.head.kept().items():
        assert torch.equal(tensor, again.head.kept()[name])


def test_a_head_of_a_later_version_is_refused(tmp_path: Path) -> None:
    value = unseal_json((FIRST_VERSION / "head.json").read_bytes())
    assert value is not None
    (tmp_path / "head.json").write_bytes(sealed_json({**value, "format_version": 5}))
    with pytest.raises(HeadError, match=r"found format \('genser-head', 5\), wanted .* 4\)"):
        load_head(tmp_path)


def test_a_head_of_a_package_that_is_gone_is_refused(tmp_path: Path) -> None:
    value = unseal_json((FIRST_VERSION / "head.json").read_bytes())
    assert value is not None
    (tmp_path / "head.json").write_bytes(sealed_json({**value, "kind": "theirs"}))
    with pytest.raises(HeadError, match=r"a head of kind 'theirs', found .*; install the package"):
        load_head(tmp_path)


def test_a_changed_byte_of_either_file_is_found(tmp_path: Path) -> None:
    save_head(tmp_path, load_head(FIRST_VERSION), beside=[])
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
        with pytest.raises(HeadError, match="damaged"):
            load_head(tmp_path)
        path.write_bytes(whole)
