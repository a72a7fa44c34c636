"""What a decoder says on standard error belongs to the clip, and nothing else is swallowed."""

import ctypes
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from helpers.commands import genser
from helpers.recordings import RATE, noise, read
from pipeline.audio.complaints import SHOWN, Complaints
from pipeline.corpora.folders import read_headers
from pipeline.errors import AudioError
from pipeline.store.reader import FeatureStore

LIBRARY = ctypes.CDLL(None)
pytestmark = pytest.mark.skipif(
    not hasattr(LIBRARY, "gnu_get_libc_version"), reason="only glibc lets C's stderr be heard"
)

Damage = Callable[[bytearray, random.Random], None]


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(2000, len(data) - 100) :]


def garbled(data: bytearray, rng: random.Random) -> None:
    for place in rng.sample(range(2000, len(data)), 40):
        data[place] ^= 1 << rng.randrange(8)


def torn(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(2000, len(data) - 2000)
    del data[place : place + rng.randrange(1, 900)]


def stuffed(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(2000, len(data))
    data[place:place] = rng.randbytes(3000)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Forty damaged MP3s, and one that is whole."""
    folder = tmp_path_factory.mktemp("mp3")
    soundfile.write(folder / "whole.mp3", noise(2 * RATE), RATE)
    whole = (folder / "whole.mp3").read_bytes()
    for i in range(40):
        data = bytearray(whole)
        (cut, garbled, torn, stuffed)[i % 4](data, random.Random(i))
        (folder / f"{i:02d}.mp3").write_bytes(data)
    return sorted(folder.iterdir())


def told(path: Path) -> str:
    """What becomes of a recording, in words."""
    try:
        clip = read(path)
    except AudioError as error:
        return f"{error.outcome}: {error}"
    return f"ok, {clip.num_samples} samples: {clip.complaints}"


def c_says(text: bytes) -> None:
    """Write to C's stderr, as a library does."""
    stream = ctypes.c_void_p.in_dll(LIBRARY, "stderr")
    LIBRARY.fputs(text, stream)
    LIBRARY.fflush(stream)


def test_a_damaged_mp3_is_not_heard_and_its_outcome_says_what_its_decoder_said(
    damaged: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    every = {path.stem: told(path) for path in damaged}
    read_headers(damaged)
    assert capfd.readouterr() == ("", "")
    assert every["whole"] == f"ok, {2 * RATE} samples: "
    assert every["00"].startswith("truncated: ")
    assert "replace the file. The decoder said: Warning: Xing stream size off" in every["00"]
    complaining = [text for text in every.values() if "The decoder said: " in text]
    assert len(complaining) > 25
    assert any(text.startswith("ok") for text in complaining)
    assert not any("\n" in text or "libmpg123/" in text for text in complaining)


def test_each_thread_hears_its_own_decoder_only(damaged: list[Path]) -> None:
    alone = [told(path) for path in damaged]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(told, damaged * 4)) == alone * 4


def test_what_other_code_says_meanwhile_is_not_swallowed(
    damaged: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        decoding = [pool.submit(told, path) for path in damaged * 2]
        for i in range(200):
            c_says(b"%d by C\n" % i)
        for future in decoding:
            future.result()
    assert capfd.readouterr().err == "".join(f"{i} by C\n" for i in range(200))


def test_many_threads_of_c_mix_no_words() -> None:
    def speak(number: int) -> bool:
        said = Complaints()
        with said.heard():
            for i in range(200):
                LIBRARY.fprintf(
                    ctypes.c_void_p.in_dll(LIBRARY, "stderr"), b"%d says %d\n", number, i
                )
        lines = [f"{number} says {i}" for i in range(SHOWN)]
        return str(said) == f"The decoder said: {'; '.join(lines)}; and {200 - SHOWN} more lines."

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(speak, range(64)))


def test_a_long_complaint_is_kept_short() -> None:
    said = Complaints()
    said.add(b"[src/libmpg123/parse.c:wetwork():1349] error: not nice...\n" * 9)
    said.add(b"\x1b[31mred\xff\n")
    assert str(said) == "The decoder said: error: not nice; [31mred\N{REPLACEMENT CHARACTER}."
    said.add(b"x" * 10**6)
    assert len(str(said)) < 2**15
    assert str(Complaints()) == ""


def test_commands_tell_complaints_and_no_decoder_is_heard(
    here: Path, damaged: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    known = {path.stem: told(path) for path in damaged}
    ok = next(name for name, text in known.items() if text.startswith("ok") and "said" in text)
    rows = [("cut", "00.mp3"), ("ok", f"{ok}.mp3"), ("whole", "whole.mp3")]
    table = pd.DataFrame(rows, columns=["utterance_id", "path"])
    table.assign(speaker="a", emotion="sad").to_csv(tmp_path / "m.csv", index=False)
    words = [tmp_path / "m.csv", "--audio-root", damaged[0].parent]
    checked = genser("validate", *words, "--audio")
    assert checked.exit_code == 1
    assert "'ok': ok: The decoder said: " in checked.stderr
    assert "'cut': truncated: " in checked.stderr
    assert "1 of 3 clips are bad" in checked.stderr
    genser("extract", *words, "--store", tmp_path / "store", "--max-failed", "1")
    view = FeatureStore.open(tmp_path / "store").view("layers")
    messages = view.records.set_index("utterance_id")["message"]
    assert messages["ok"].startswith("The decoder said: ")
    assert "The decoder said: " in messages["cut"]
    assert messages["whole"] == ""
    shown = genser("inspect", tmp_path / "store").stdout
    assert "complaint    layers, 'ok': ok: The decoder said: " in shown
    assert "failed       layers, 'cut': truncated: " in shown
    assert capfd.readouterr().err == ""
