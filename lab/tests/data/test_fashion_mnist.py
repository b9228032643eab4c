"""The idx parser and Fashion-MNIST: the embedded subset, and full folders the test writes."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from adabelief_lab.common.errors import LabError
from adabelief_lab.data import fashion_mnist, idx

Arrays = dict[str, NDArray[np.uint8]]


def encode(array: NDArray[np.uint8]) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


@pytest.fixture
def arrays() -> Arrays:
    """Four arrays of different sizes and contents, under Zalando's file names."""
    random = np.random.default_rng(0)
    sizes = {"train": 30, "t10k": 20}
    contents: Arrays = {}
    for name in fashion_mnist.OFFICIAL_SHA256:
        n = sizes[name.split("-")[0]]
        shape = (n, 28, 28) if "idx3" in name else (n,)
        contents[name] = random.integers(0, 10, shape, dtype=np.uint8)
    return contents


def digests(arrays: Arrays) -> dict[str, str]:
    return {name: hashlib.sha256(encode(array)).hexdigest() for name, array in arrays.items()}


def write(folder: Path, arrays: Arrays, *, zipped: bool = True) -> None:
    for name, array in arrays.items():
        content = encode(array)
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("shape", [(0,), (7,), (3, 2, 4)])
def test_parse_reads_what_was_encoded(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = idx.parse(encode(array), len(shape), "a")
    assert np.array_equal(found, array)
    assert found.shape == shape
    assert found.flags.writeable


GOOD = encode(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.idx: truncated: 0 bytes, its header alone has 16"),
        (GOOD[:15], "a.idx: truncated: 15 bytes"),
        (GOOD[:-1], r"a.idx: truncated: shape \(1, 2, 3\) needs 6 bytes, got 5"),
        (GOOD + b"\0", r"a.idx: too long: shape \(1, 2, 3\) needs 6 bytes, got 7"),
        (b"\x89PNG" + GOOD, "a.idx: not an idx file of unsigned bytes: it starts with 0x89504e47"),
        (b"\0\0\x0d" + GOOD[3:], "not an idx file of unsigned bytes: it starts with 0x00000d03"),
        (b"\0\0\x08\x01" + GOOD[4:], "a.idx: has 1 dimensions, expected 3"),
    ],
)
def test_parse_says_what_is_wrong(content: bytes, message: str) -> None:
    with pytest.raises(LabError, match=message):
        idx.parse(content, 3, "a.idx")


def test_content_goes_by_the_bytes_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "plain.gz").write_bytes(GOOD)
    (tmp_path / "zipped").write_bytes(gzip.compress(GOOD))
    assert idx.content(tmp_path / "plain.gz") == GOOD
    assert idx.content(tmp_path / "zipped") == GOOD


@pytest.mark.parametrize("cut", [5, 20, -4])
def test_truncated_gzip_names_the_file(tmp_path: Path, cut: int) -> None:
    (tmp_path / "half.gz").write_bytes(gzip.compress(GOOD)[:cut])
    with pytest.raises(LabError, match=r"half\.gz: damaged gzip file"):
        idx.content(tmp_path / "half.gz")


@pytest.mark.parametrize("zipped", [True, False])
def test_official_reads_the_folder(tmp_path: Path, arrays: Arrays, zipped: bool) -> None:
    write(tmp_path, arrays, zipped=zipped)
    data = fashion_mnist.official(tmp_path, digests(arrays))
    assert np.array_equal(data.train_images, arrays["train-images-idx3-ubyte"])
    assert np.array_equal(data.train_labels, arrays["train-labels-idx1-ubyte"])
    assert np.array_equal(data.test_images, arrays["t10k-images-idx3-ubyte"])
    assert np.array_equal(data.test_labels, arrays["t10k-labels-idx1-ubyte"])


def test_missing_files_are_all_named(tmp_path: Path, arrays: Arrays) -> None:
    write(tmp_path, arrays)
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"):
        (tmp_path / f"{name}.gz").unlink()
    missing = r"missing train-labels-idx1-ubyte\[\.gz\], t10k-images-idx3-ubyte\[\.gz\]$"
    with pytest.raises(LabError, match=missing):
        fashion_mnist.official(tmp_path, digests(arrays))


def test_other_data_are_refused(tmp_path: Path, arrays: Arrays) -> None:
    write(tmp_path, arrays)
    with pytest.raises(LabError, match=r"train-images-idx3-ubyte.gz: sha256 .* must be c59f468a"):
        fashion_mnist.official(tmp_path)


def test_images_and_labels_that_do_not_match(tmp_path: Path, arrays: Arrays) -> None:
    name = "t10k-labels-idx1-ubyte"
    arrays[name] = arrays[name][:-1]
    write(tmp_path, arrays)
    with pytest.raises(LabError, match=r"test: images .* got \(20, 28, 28\) and \(19,\)"):
        fashion_mnist.official(tmp_path, digests(arrays))


def test_label_out_of_range(tmp_path: Path, arrays: Arrays) -> None:
    arrays["train-labels-idx1-ubyte"][3] = 10
    write(tmp_path, arrays)
    with pytest.raises(LabError, match=r"train: labels must be in \[0, 10\), got 10"):
        fashion_mnist.official(tmp_path, digests(arrays))


def test_full_data_come_from_the_variable(
    tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(fashion_mnist.VARIABLE, raising=False)
    with pytest.raises(LabError, match="set ADABELIEF_FASHION_MNIST to the folder with train-im"):
        fashion_mnist.load("full")
    write(tmp_path, arrays)
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    monkeypatch.setenv(fashion_mnist.VARIABLE, str(tmp_path))
    with pytest.raises(LabError, match=f"Fashion-MNIST in {tmp_path}: missing train-images"):
        fashion_mnist.load("full")


def test_unknown_source_is_named() -> None:
    with pytest.raises(LabError, match='must be "embedded" or "full", got \'half\''):
        fashion_mnist.load("half")  # type: ignore[arg-type]


def test_embedded_subset_is_what_its_licence_file_says() -> None:
    data = fashion_mnist.load("embedded")
    assert data.train_images.shape == (10_000, 28, 28)
    assert data.test_images.shape == (2_000, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [1000] * 10
    assert np.bincount(data.test_labels).tolist() == [200] * 10
    # The official train split begins so: ankle boot, T-shirt, T-shirt, dress, T-shirt, ...
    assert data.train_labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert data.train_images.dtype == data.train_labels.dtype == np.uint8


def test_altered_subset_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(LabError, match=r"fashion_mnist_10k\.npz: sha256 .* must be 000"):
        fashion_mnist.embedded()


def test_licence_is_in_the_package() -> None:
    text = resources.files("adabelief_lab.data").joinpath("LICENSE.fashion-mnist").read_text()
    assert "Copyright (c) 2017 Zalando SE" in text
    assert "first 1,000 images of the official train split and the first 200" in text
    assert "WITHOUT WARRANTY OF ANY KIND" in text


@pytest.mark.skipif(
    fashion_mnist.VARIABLE not in os.environ,
    reason="set ADABELIEF_FASHION_MNIST to compare the subset with the official files",
)
def test_embedded_subset_is_the_beginning_of_the_official_classes() -> None:
    full, subset = fashion_mnist.load("full"), fashion_mnist.load("embedded")
    for split, per_class in (("train", 1000), ("test", 200)):
        images, labels = getattr(full, f"{split}_images"), getattr(full, f"{split}_labels")
        first = [np.flatnonzero(labels == label)[:per_class] for label in range(10)]
        chosen = np.sort(np.concatenate(first))
        assert np.array_equal(images[chosen], getattr(subset, f"{split}_images"))
        assert np.array_equal(labels[chosen], getattr(subset, f"{split}_labels"))
