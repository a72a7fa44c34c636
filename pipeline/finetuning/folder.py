"""A fine-tuned encoder as a folder of transformers: the whole checkpoint, its tuned weights new."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.finetuned import MARK, RECORD, compared_digest
from pipeline.encoders.hub import hub_model, is_local
from pipeline.encoders.loading import WHISPER, load_model, read_encoder_config
from pipeline.errors import EncoderError
from pipeline.files import publish, publish_bytes, sealed_json, writing

CONFIG, WEIGHTS = "config.json", "model.safetensors"
STAGE = ".written"  # fixed, so that what a killed run left is overwritten by the next
# Beside weights a checkpoint has texts: of its preprocessor, its tokenizer, its licence.
TEXTS = (".json", ".txt", ".model", ".md", ".jinja", "")
LARGEST_TEXT = 64_000_000


def write_folder(
    out: Path, spelling: str, tuned: Mapping[str, Tensor], record: Mapping[str, Any]
) -> None:
    """Write an encoder with other weights; `config.json` comes last and makes the folder one.

    Its class, its other weights (in float32) and the texts beside them are those of the encoder
    that it was made of: of a whole Whisper a whole Whisper comes.

    Args:
        out: Where to.
        spelling: Of the encoder.
        tuned: Its new weights, by their names in the encoder.
        record: What `finetune.json` says, but for the digest of the weights.

    Raises:
        EncoderError: If the encoder is no longer to be had.
        OutputError: If the folder cannot be written.
    """
    stage = out / STAGE
    with writing(stage):
        shutil.rmtree(stage, ignore_errors=True)
        _save_whole(stage, spelling, tuned)
        texts = _texts_of(spelling)
        for name, data in texts.items():
            (stage / name).write_bytes(data)
        config = json.loads(texts[CONFIG])
        config |= {"dtype": "float32", "architectures": _architectures(stage)}
        config.pop("torch_dtype", None)  # the older name of the same
        config.pop(MARK, None)
        (stage / CONFIG).write_text(json.dumps(config))
    # Opened as extraction opens it: whole, and with the digest that extraction will find.
    opened = open_encoder(str(stage), compute_dtype="float32", device="cpu")
    whole = {**record, "weights": opened.identity["weights"]}
    with publish(out / WEIGHTS) as temporary:
        # Copied, not moved: safetensors makes its files readable by their owner alone.
        shutil.copyfile(stage / WEIGHTS, temporary)
    for name, data in texts.items():
        if name != CONFIG:
            publish_bytes(out / name, data)
    publish_bytes(out / RECORD, sealed_json(whole))
    config[MARK] = compared_digest(whole)
    publish_bytes(out / CONFIG, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
    shutil.rmtree(stage, ignore_errors=True)


@torch.no_grad()
def _save_whole(stage: Path, spelling: str, tuned: Mapping[str, Tensor]) -> None:
    """Save the checkpoint that an encoder is part of, with its new weights in their places."""
    is_folder = is_local(spelling)
    config = read_encoder_config(spelling, is_folder=is_folder)
    whole = _load_whole(spelling, config, is_folder=is_folder)
    part = whole.base_model
    part = part.encoder if config.model_type == WHISPER else part
    state = part.state_dict()
    for name, weight in tuned.items():
        state[name].copy_(weight)
    whole.save_pretrained(stage, max_shard_size="1000GB")


def _load_whole(spelling: str, config: Any, *, is_folder: bool) -> Any:
    import transformers

    for name in config.architectures or ():
        kind = getattr(transformers, name, None)
        if getattr(kind, "config_class", None) is type(config):
            try:
                return load_model(spelling, config, is_folder=is_folder, kind=kind)
            except EncoderError:
                break  # its head is not all there; the encoder is, as it has been trained
    return load_model(spelling, config, is_folder=is_folder)


def _architectures(stage: Path) -> list[str]:
    found: list[str] = json.loads((stage / CONFIG).read_bytes())["architectures"]
    return found


def _texts_of(spelling: str) -> dict[str, bytes]:
    """Return the files of a checkpoint that are no weights, by name."""
    folder = Path(spelling) if is_local(spelling) else _cached(spelling)
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file()
        and path.suffix in TEXTS
        and not path.name.startswith(".")
        and not path.name.endswith(".index.json")
        and path.name != RECORD
        and path.stat().st_size <= LARGEST_TEXT
    }


def _cached(spelling: str) -> Path:
    from huggingface_hub import snapshot_download

    name, revision = hub_model(spelling, "finetune.encoder")
    patterns = [f"*{suffix}" for suffix in TEXTS if suffix]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"finetune.encoder: the files beside the weights of {spelling} cannot be had "
            f"({error}); run the same command again where the hub is reachable."
        ) from error
