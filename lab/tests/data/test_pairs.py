"""Sentences in two languages: the embedded set, IWSLT14's folder, and whatever is amiss."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.data import pairs
from adabelief_lab.data.subwords import Subwords


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    pairs.load.cache_clear()
    yield
    pairs.load.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in pairs.FILES:
        (tmp_path / name).write_text(f"one {name}\ntwo\u2028lines\n", encoding="utf-8")
    return tmp_path


def test_the_embedded_pairs_are_all_there_and_german_comes_first() -> None:
    found = pairs.load("help")
    assert {split: len(both.source) for split, both in found.items()} == {
        "train": 35_146, "valid": 854, "test": 398
    }  # fmt: skip
    assert found["train"].source[0] == "Was ist Access2Base?"
    assert found["train"].target[0] == "What is Access2Base?"


def test_other_embedded_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(LabError, match=r"lohelp_en_de.tsv.xz: sha256 must be 0{64}, got f263124"):
        pairs.load("help")


def test_a_folder_is_read_line_by_line(folder: Path) -> None:
    found = pairs.load(str(folder))
    # Not where str.splitlines would cut.
    assert found["valid"].source == ("one valid.de", "two\u2028lines")
    assert found["valid"].target[0] == "one valid.en"


def test_iwslt14_is_the_folder_of_its_variable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(pairs.VARIABLE, raising=False)
    with pytest.raises(MissingDataError, match=r"set ADABELIEF_IWSLT14 to the folder with train"):
        pairs.load("iwslt14")
    monkeypatch.setenv(pairs.VARIABLE, str(folder))
    with pytest.raises(LabError, match=r"train of IWSLT14 must have 160,239 pairs, got 2"):
        pairs.load("iwslt14")
    monkeypatch.setattr(pairs, "IWSLT14", {"train": 2, "valid": 2, "test": 2})
    assert pairs.load("iwslt14")["test"].source[0] == "one test.de"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("valid.en", None, "missing valid.en: a file for each split and language"),
        ("train.de", b"gut\n\xff\n", r"train.de must be UTF-8, got byte 0xff in line 2"),
        ("test.en", b" \n", r"test.en must have text, got 2 bytes without any"),
        ("train.en", b"a\nb\nc\n", r"train.de and .en must have equally many lines, got 2 and 3"),
        ("test.de", b"a\n \n", r"test.de and .en: line 2 must have text on both sides"),
    ],
)
def test_what_is_amiss_is_named(
    folder: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(LabError, match=message):
        pairs.load(str(folder))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"text must be help, iwslt14, or .* got '.*none'"):
        pairs.load(str(tmp_path / "none"))


def test_a_vocabulary_without_room_for_all_bytes_is_refused() -> None:
    with pytest.raises(LabError, match=r"vocabulary must be at least 259, all bytes .* got 258"):
        Subwords(["a"], 258)


def test_licence_is_in_the_package() -> None:
    text = resources.files("adabelief_lab.data").joinpath("LICENSE.lohelp").read_text()
    assert "help of LibreOffice 7.4" in text
    assert "Mozilla Public License Version 2.0" in text
