"""What the recipe of an encoder's features says, and what it leaves out."""

import hashlib
import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoModel

from helpers.encoders import (
    hubert_at,
    view,
)
from pipeline.encoders.hubert import SpeechEncoder
from pipeline.extraction.encoding import (
    make_recipe,
)
from pipeline.store.recipe import differences


@pytest.fixture(scope="module")
def encoder(tiny_encoder_folder: Path) -> SpeechEncoder:
    return hubert_at(tiny_encoder_folder)


def naive_digest(folder: Path) -> str:
    """SHA-256 over type, shape and bytes of the tensors, in the order of the model's modules."""
    weights = load_file(folder / "model.safetensors")
    names = [n for n in AutoModel.from_pretrained(folder).state_dict() if n in weights]
    parts = []
    for name in names:
        if name != "masked_spec_embed":
            array = weights[name].numpy()
            digest = hashlib.sha256(array.tobytes()).hexdigest()
            parts.append([str(array.dtype), list(array.shape), digest])
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_recipe_of_a_hubert_is_as_it_was(
    encoder: SpeechEncoder, tiny_encoder_folder: Path
) -> None:
    """Stores made before other kinds of encoders came must stay in use."""
    recipe = make_recipe(encoder, view())
    assert recipe == {
        "view": "layers",
        "source": "audio",
        "encoder": {
            "family": "hubert",
            "weights": naive_digest(tiny_encoder_folder),
            "flags": {
                "conv_bias": False,
                "conv_dim": [64] * 7,
                "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
                "conv_pos_batch_norm": False,
                "conv_stride": [5, 2, 2, 2, 2, 2, 2],
                "do_stable_layer_norm": True,
                "feat_extract_activation": "gelu",
                "feat_extract_norm": "layer",
                "feat_proj_layer_norm": True,
                "hidden_act": "gelu",
                "hidden_size": 64,
                "intermediate_size": 128,
                "layer_norm_eps": 1e-5,
                "num_attention_heads": 4,
                "num_conv_pos_embedding_groups": 4,
                "num_conv_pos_embeddings": 16,
                "num_hidden_layers": 4,
            },
        },
        "layer_convention": "input, block outputs, normalised last output",
        "normalisation": "zscore",
        "sample_rate": 16000,
        "audio_contract": 1,
        "channels": "the manifest's channel, else the mean of all",
        "max_duration_s": 30.0,
        "pooling": "mean",
        "compute_dtype": "float32",
        "stored_dtype": "float16",
    }
    assert [type(recipe[name]) for name in ("sample_rate", "max_duration_s")] == [int, float]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"pooling": "mean_std"}, "pooling"),
        ({"compute_dtype": "bfloat16"}, "compute_dtype"),
        ({"stored_dtype": "float32"}, "stored_dtype"),
        ({"max_duration_s": 20}, "max_duration_s"),
    ],
)
def test_the_recipe_tells_what_changes_a_number(
    encoder: SpeechEncoder, settings: dict[str, object], field: str
) -> None:
    before = make_recipe(encoder, view())
    after = make_recipe(encoder, view(**settings))
    found = differences(before, after)
    assert len(found) == 1
    assert found[0].startswith(f"{field} is ")


@pytest.mark.parametrize("settings", [{"rows_per_shard": 9}, {"encoder": "other/place"}])
def test_the_recipe_leaves_out_what_changes_none(
    encoder: SpeechEncoder, settings: dict[str, object]
) -> None:
    changed = view(**settings)
    assert make_recipe(encoder, changed) == make_recipe(encoder, view())
