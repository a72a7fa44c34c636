"""The parameters of an extraction, and how they are held to its encoder."""

from pathlib import Path

import pytest

from helpers.encoders import hubert_at, view
from pipeline.encoders.base import Outline
from pipeline.encoders.hubert import SpeechEncoder
from pipeline.errors import EncoderError, ParamsError
from pipeline.extraction.agreement import check_settings


@pytest.fixture(scope="module")
def encoder(tiny_encoder_folder: Path) -> SpeechEncoder:
    return hubert_at(tiny_encoder_folder)


def test_the_shape_of_the_encoder_is_held_to_the_parameters(encoder: SpeechEncoder) -> None:
    check_settings(encoder.outline, view())
    check_settings(encoder.outline, view(num_layers=5, dim=64))
    with pytest.raises(EncoderError, match=r"num_layers: the encoder .* has 5, wanted 25"):
        check_settings(encoder.outline, view(num_layers=25))
    with pytest.raises(EncoderError, match=r"dim: the encoder .* has 64, wanted 1024"):
        check_settings(encoder.outline, view(dim=1024))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "mean_std"}, r"pooling: the encoder own takes 'mean', found 'mean_std'; mend"),
        ({"compute_dtype": "bfloat16"}, r"compute_dtype: .* takes 'float32', found 'bfloat16'"),
        (
            {"max_duration_s": 20.5},
            r"max_duration_s: .* takes 20 seconds at once, found 20\.5; .* to 20",
        ),
    ],
)
def test_the_parameters_are_held_to_what_the_encoder_takes(
    settings: dict[str, object], message: str
) -> None:
    strict = Outline(
        num_layers=1, dim=2, poolings=("mean",), compute_dtypes=("float32",), max_window_s=20.0
    )
    check_settings(strict, view(max_duration_s=20))
    config = view(**{"encoder": "own", "max_duration_s": 20, **settings})
    with pytest.raises(EncoderError, match=rf"extract\.{message}") as caught:
        check_settings(strict, config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"compute_dtype": "float64"}, r"compute_dtype: 'float64' is not one of"),
        ({"stored_dtype": "bfloat16"}, r"stored_dtype: 'bfloat16' is not one of"),
        ({"pooling": "max"}, r"pooling: 'max' is not one of \['mean', 'mean_std'\]"),
        ({"max_duration_s": 0.5}, r"max_duration_s: 0\.5 is below 1 second"),
        ({"rows_per_shard": 0}, r"rows_per_shard: 0 is below 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ParamsError, match=rf"extract\.{message}"):
        view(**settings)
