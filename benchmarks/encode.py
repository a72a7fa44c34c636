"""How fast an encoder runs over clips of several lengths, beside the loops that others have.

    python benchmarks/encode.py --encoder models/hubert-large-seeded

Baselines: one clip at a time in float32 (EmoBox, s3prl) and in bfloat16, and batches of 8 in the
order of the clips, padded, through transformers' own model in bfloat16: all keep the mean of each
layer. On a CPU without instructions for bfloat16 all of it is in float32. Ceiling: as many
operations as the model takes for these clips alone, as products of matrices of the size of its
feed-forward layers. Memory is that of a process that does nothing else: its own, and with the
pages of the checkpoint's file.
"""

import subprocess
import sys
from collections.abc import Sequence
from functools import partial

import click
import numpy as np
import torch
from bench.memory import OwnPeak, peak_mb
from bench.precision import DTYPE, FASTEST, PRECISIONS
from bench.rounds import Work, in_turns, show
from torch.nn.utils.parametrize import remove_parametrizations
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel

from pipeline.audio.decoding import Clip
from pipeline.encoders.base import Encoder
from pipeline.encoders.catalogue import open_encoder
from pipeline.extraction.encoding import encode_all
from stages.allocation import keep_freed_memory

RATE, BATCH, BATCH_SECONDS = 16000, 8, 32.0
ROWS, INNER, OUTER = 1600, 1024, 4096
OURS, PLAIN = f"ours, {FASTEST}", f"plain batches of {BATCH}, {FASTEST}"

Waveforms = Sequence[np.ndarray]


def made_clips(number: int, shortest: float, longest: float) -> Waveforms:
    """Return noise of lengths evenly spread between two numbers of seconds, in random order."""
    generator = np.random.default_rng(0)
    lengths = generator.permutation(np.linspace(shortest, longest, number)) * RATE
    return [generator.normal(size=round(n)).astype(np.float32) for n in lengths]


def ours(encoder: Encoder, waveforms: Waveforms) -> None:
    """Encode as `genser extract` does once clips are decoded."""
    clips = [
        Clip(
            audio_digest="",
            num_samples=len(one),
            sample_rate=RATE,
            mean=0.0,
            variance=1.0,
            num_resampled=len(one),
            waveform=one,
        )
        for one in waveforms
    ]
    for _ in encode_all(
        [], clips, encoder, max_duration_s=60.0, batch_seconds=BATCH_SECONDS, frames_of=()
    ):
        pass


def alone(encoder: Encoder, waveforms: Waveforms) -> None:
    """Encode one clip after the other."""
    for waveform in waveforms:
        encoder.encode([waveform])


@torch.inference_mode()
def plain(model: torch.nn.Module, waveforms: Waveforms) -> None:
    """Encode padded batches, and take each layer's mean over each clip's frames."""
    for start in range(0, len(waveforms), BATCH):
        part = waveforms[start : start + BATCH]
        values = torch.zeros(len(part), max(map(len, part)))
        mask = torch.zeros(values.shape, dtype=torch.long)
        for row, (waveform, own) in enumerate(zip(part, mask, strict=True)):
            values[row, : len(waveform)] = torch.from_numpy(waveform)
            own[: len(waveform)] = 1
        found = model(values.to(model.dtype), attention_mask=mask, output_hidden_states=True)
        for i, waveform in enumerate(part):
            frames = (len(waveform) - 400) // 320 + 1
            torch.stack([layer[i, :frames].float().mean(0) for layer in found.hidden_states])


def plain_model(folder: str) -> torch.nn.Module:
    """Return transformers' own model at the same precision."""
    return AutoModel.from_pretrained(folder, dtype=DTYPE).eval()


def operations(folder: str, waveforms: Waveforms) -> int:
    """Return how many operations on numbers the model takes for clips without padding."""
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.from_pretrained(folder)).eval()
    remove_parametrizations(model.encoder.pos_conv_embed.conv, "weight")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for waveform in waveforms:
            model(torch.empty(1, len(waveform), device="meta"))
    return counter.get_total_flops()


def products(count: int) -> Work:
    """Return products of a feed-forward layer's size, so many operations altogether."""
    a = torch.randn(ROWS, INNER, dtype=DTYPE)
    b = torch.randn(INNER, OUTER, dtype=DTYPE)
    times = max(round(count / (2 * ROWS * INNER * OUTER)), 1)
    return lambda: [torch.mm(a, b) for _ in range(times)]


def print_peak(way: str, folder: str, waveforms: Waveforms) -> None:
    """Print the most memory before the first clip and to the last one."""
    with OwnPeak() as whole:
        with OwnPeak() as loaded:
            if way == OURS:
                encoder = open_encoder(folder, compute_dtype=FASTEST, device="cpu")
            else:
                model = plain_model(folder)
        if way == OURS:
            ours(encoder, waveforms)
        else:
            plain(model, waveforms)
    print(
        f"{way}: peak {loaded.mb:.0f} MB of its own before the first clip, {whole.mb:.0f} MB at "
        f"the end; with the checkpoint's file as it is mapped {peak_mb():.0f} MB"
    )


@click.command()
@click.option("--encoder", "folder", required=True, help="Folder of an encoder of HuBERT's kind.")
@click.option("--clips", default=16, show_default=True)
@click.option("--shortest", default=2.0, show_default=True, help="Seconds.")
@click.option("--longest", default=5.0, show_default=True, help="Seconds.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--peak", type=click.Choice([OURS, PLAIN]), hidden=True)
def main(
    folder: str, clips: int, shortest: float, longest: float, repeats: int, peak: str | None
) -> None:
    """Print seconds, ratios and memory."""
    waveforms = made_clips(clips, shortest, longest)
    if peak is not None:
        keep_freed_memory()
        print_peak(peak, folder, waveforms)
        return
    keep_freed_memory()  # as genser does
    encoders = {name: open_encoder(folder, compute_dtype=name, device="cpu") for name in PRECISIONS}
    model = plain_model(folder)
    floor = products(operations(folder, waveforms))
    times = in_turns(
        {
            **{
                f"a clip at a time, {name}": partial(alone, encoder, waveforms)
                for name, encoder in encoders.items()
            },
            PLAIN: lambda: plain(model, waveforms),
            OURS: lambda: ours(encoders[FASTEST], waveforms),
            "products alone": floor,
        },
        repeats,
    )
    seconds = sum(map(len, waveforms)) / RATE
    title = f"{clips} clips of {shortest:g} to {longest:g} s, {seconds:g} s together"
    show(title, times, ceiling="products alone", goals={OURS: "3.2 times, .78 of the ceiling"})
    both = {name: times[name] for name in (PLAIN, OURS)}
    show(title, both, goals={OURS: "1.4 times"})
    for way in (OURS, PLAIN):
        words = ["--encoder", folder, "--clips", str(clips), "--longest", str(longest)]
        subprocess.run(
            [sys.executable, __file__, *words, "--peak", way],
            check=True,
            stderr=subprocess.DEVNULL,  # a bar of progress
        )
    print("goal: 1300 MB")


if __name__ == "__main__":
    main()
