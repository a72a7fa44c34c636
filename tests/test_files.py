import errno
import json
import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import OutputError
from pipeline.files import (
    canonical_json,
    fingerprint,
    publish,
    publish_bytes,
    sealed_json,
    sha256_bytes,
    sha256_file,
    unseal_json,
    writing,
)

ABC_DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def test_sha256_of_bytes_and_of_a_file_is_the_standards(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == ABC_DIGEST


def test_canonical_json_is_sorted_and_dense() -> None:
    assert canonical_json({"b": [1, 2.5], "a": {"ü": None}}) == '{"a":{"ü":null},"b":[1,2.5]}'


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_a_fingerprint_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.0})


@given(st.dictionaries(st.text(max_size=3).filter(lambda key: key != "sha256"), VALUES))
def test_a_sealed_value_unseals_to_itself(value: dict[str, object]) -> None:
    assert unseal_json(sealed_json(value)) == value


def test_every_changed_byte_breaks_the_seal() -> None:
    data = sealed_json({"name": "é", "files": {"a": "0f" * 32, "b": [1, -2, None]}})
    for place in range(len(data)):
        for flip in (1, 4, 32, 128, 255):
            changed = bytearray(data)
            changed[place] ^= flip
            assert unseal_json(bytes(changed)) is None, (place, flip)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"{",
        b'{"a": NaN, "sha256": ""}',
        b'{"a": "\\ud800", "sha256": ""}',
        b"[" * 100_000,
        sealed_json({"a": 1})[:-1],
        sealed_json({"a": 1}) + b" ",
        sealed_json({"a": 1}).replace(b'"a"', b'"a": 1, "a"'),
        json.dumps(json.loads(sealed_json({"a": 1}))).encode(),
    ],
)
def test_what_was_not_sealed_does_not_unseal(data: bytes) -> None:
    assert unseal_json(data) is None


def test_published_bytes_stand_alone_in_their_folder(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "new" / "file", b"1")
    publish_bytes(tmp_path / "new" / "file", b"22")
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "new").iterdir()] == [("file", b"22")]


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_an_interrupted_publication_leaves_what_stood_there(
    tmp_path: Path, error: BaseException
) -> None:
    def interrupted() -> None:
        with publish(tmp_path / "file") as temporary:
            temporary.write_bytes(b"half")
            raise error

    publish_bytes(tmp_path / "file", b"old")
    with pytest.raises(type(error)):
        interrupted()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


def test_a_file_in_the_way_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "way").write_bytes(b"")
    with pytest.raises(OutputError, match=r"way/file: cannot be written \(File exists\); free"):
        publish_bytes(tmp_path / "way" / "file", b"1")
    with pytest.raises(OutputError, match=r"cannot be written \(Not a directory\)"):
        publish_bytes(tmp_path / "way" / "deeper" / "file", b"1")


def test_a_folder_in_the_way_of_the_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OutputError, match=r"file: cannot be written \(Is a directory\)"):
        publish_bytes(tmp_path / "file", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["replace", "write_bytes", "open", "mkdir"])
def test_a_full_disk_at_any_step_leaves_what_stood_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, name, full)
        with pytest.raises(OutputError, match=r"file: cannot be written \(No space left on device"):
            publish_bytes(tmp_path / "file", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


def test_a_file_beyond_the_limit_leaves_what_stood_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            publish_bytes(tmp_path / "file", bytes(5000))
        except OutputError as error:
            status = 42 if "File too large" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


def test_writing_lets_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(KeyError), writing(tmp_path):
        raise KeyError
    mine = OutputError("mine")
    with pytest.raises(OutputError) as caught, writing(tmp_path):
        raise mine
    assert caught.value is mine
