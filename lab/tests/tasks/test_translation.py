"""The task of translating: its subwords, its batches, its steps and its evaluation."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief import AdaBelief
from adabelief_lab.common.errors import LabError
from adabelief_lab.common.process_group import ProcessGroup
from adabelief_lab.conduct.check_workload import check
from adabelief_lab.data import pairs, subwords
from adabelief_lab.data.pairs import Pairs
from adabelief_lab.data.subwords import BEGIN, END, PAD, Subwords
from adabelief_lab.models.beam import translate
from adabelief_lab.models.translator import Translator
from adabelief_lab.tasks.max_token_batches import MaxTokenBatches
from adabelief_lab.tasks.translation import Translation, _bleu
from adabelief_lab.workloads import WORKLOADS
from translators import small

WORDS = ("ein", "haus", "der", "hund", "sieht", "baum", "und", "katze", "zwei", "rot")


def sentences(count: int, seed: int) -> Pairs:
    drawn = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        length = int(torch.randint(1, 7, (), generator=drawn))
        chosen = torch.randint(0, len(WORDS), (length,), generator=drawn).tolist()
        made.append(" ".join(WORDS[each] for each in chosen))
    return Pairs(tuple(made), tuple(each.upper() for each in made))


TEXT = {"train": sentences(40, 0), "valid": sentences(9, 1), "test": sentences(7, 2)}


@pytest.fixture(scope="module")
def learned() -> Subwords:
    return Subwords((*TEXT["train"].source, *TEXT["train"].target), 300)


def task(learned: Subwords, **settings: Any) -> Translation:
    given: dict[str, Any] = {
        "max_tokens": 60, "longest": 40, "data_seed": 3, "steps": 10, "beam": 2, **settings
    }  # fmt: skip
    return Translation(small(len(learned)), TEXT, learned, **given)


def test_batches_hold_every_pair_once_an_epoch_and_depend_on_number_and_seed_only() -> None:
    sizes = torch.randint(1, 30, (200,), generator=torch.Generator().manual_seed(0)).tolist()
    made = MaxTokenBatches(sizes, 64, 5)
    n = made.per_epoch
    epochs = [[made[epoch * n + place] for place in range(n)] for epoch in range(3)]
    for epoch in epochs:
        assert sorted(itertools.chain(*epoch)) == list(range(200))
        for batch in epoch:
            assert len(batch) * max(sizes[each] for each in batch) <= 64
    # As few as possible where they come by length: no pair of the next one had room.
    lengths = [sorted(sizes[each] for each in batch) for batch in epochs[0]]
    ranked = sorted(lengths, key=lambda each: (each[0], each[-1], -len(each)))
    for before, after in itertools.pairwise(ranked):
        assert (len(before) + 1) * after[0] > 64
    # Neither who is together nor which batch comes first is the same each time.
    together = [{frozenset(batch) for batch in epoch} for epoch in epochs]
    assert together[0] != together[1]
    orders = [[max(sizes[each] for each in batch) for batch in epoch] for epoch in epochs]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    assert MaxTokenBatches(sizes, 64, 5)[2 * n + 3] == epochs[2][3]
    assert MaxTokenBatches(sizes, 64, 6)[3] != epochs[0][3]


def test_subwords_give_the_text_again_and_are_the_same_each_time(learned: Subwords) -> None:
    again = Subwords((*TEXT["train"].source, *TEXT["train"].target), 300)
    said = ("Der Hund sieht zwei rote Häuser – „gut“.", "x")
    numbers = learned.numbers(said)
    assert numbers == again.numbers(said)
    assert [each[-1] for each in numbers] == [END, END]
    assert tuple(learned.text(each) for each in numbers) == said
    assert learned.text([*numbers[1], 9, 9]) == "x"
    assert len(learned) == 300


def test_a_step_is_that_of_a_loop_written_out(learned: Subwords) -> None:
    made, other = task(learned), task(learned)
    model, copied = made.modules["model"], other.modules["model"]
    optimizers = [AdaBelief(each.parameters(), lr=1e-2) for each in (model, copied)]
    for index in range(4):
        logged = made.step(index, {"model": optimizers[0]})
        source, target = other.batch(index)
        assert (target[:, 0] == BEGIN).all()
        logits = copied(source, target[:, :-1])
        loss = functional.cross_entropy(
            logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD, label_smoothing=0.1,
            reduction="sum",
        ) / (target[:, 1:] != PAD).sum()  # fmt: skip
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        assert torch.equal(logged["loss"], loss.detach())
    for ours, expected in zip(model.parameters(), copied.parameters(), strict=True):
        assert torch.equal(ours, expected)


def test_parts_of_a_batch_have_gradients_whose_mean_is_the_whole_ones(learned: Subwords) -> None:
    made = task(learned)
    model = made.modules["model"].double()
    index = next(n for n in range(made.batches_per_epoch) if len(made._batches[n]) == 5)
    gradients = []
    for group in (ProcessGroup(), ProcessGroup(0, 2), ProcessGroup(1, 2)):
        made._group = group
        model.zero_grad()
        made._loss_of(index).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])  # type: ignore[union-attr]
    # The loss is float32, of logits in float64; gradients of keys' biases are rounding alone.
    largest = max(whole.abs().max().item() for whole in gradients[0])
    for whole, one, other in zip(*gradients, strict=True):
        bound = 100 * torch.finfo(torch.float32).eps * largest
        torch.testing.assert_close((one + other) / 2, whole, rtol=0, atol=bound)


def test_the_last_weights_are_averaged_and_evaluated(learned: Subwords) -> None:
    made = task(learned, averaged=3, apart=2, steps=7)
    model = made.modules["model"]
    optimizer = AdaBelief(model.parameters(), lr=1e-2)
    seen = []
    for index in range(7):
        made.step(index, {"model": optimizer})
        seen.append([parameter.detach().clone() for parameter in model.parameters()])
        if index == 1:
            assert made._judged is model
    taken = [torch.stack(each) for each in zip(*(seen[index] for index in (2, 4, 6)), strict=True)]
    for ours, each in zip(made._judged.parameters(), taken, strict=True):
        # A running mean of three: two roundings more than their sum's.
        bound = 8 * torch.finfo(torch.float32).eps * each.abs().amax(0).max().item()
        torch.testing.assert_close(ours, each.mean(0), rtol=0, atol=bound)


def test_a_mean_of_weights_goes_on_where_it_was(learned: Subwords) -> None:
    def trained(made: Translation, optimizer: AdaBelief, steps: range) -> None:
        for index in steps:
            made.step(index, {"model": optimizer})

    whole, before, after = (task(learned, averaged=3, apart=2, steps=7) for _ in range(3))
    optimizers = [AdaBelief(each.modules["model"].parameters()) for each in (whole, before, after)]
    trained(whole, optimizers[0], range(7))
    trained(before, optimizers[1], range(5))
    after.modules["model"].load_state_dict(before.modules["model"].state_dict())
    optimizers[2].load_state_dict(optimizers[1].state_dict())
    after.load_state_dict(before.state_dict())
    trained(after, optimizers[2], range(5, 7))
    assert after.evaluate("test") == whole.evaluate("test")
    last = whole.modules["model"].state_dict()
    plain = task(learned)
    plain.modules["model"].load_state_dict(last)
    assert plain.evaluate("test")["loss"] != whole.evaluate("test")["loss"]


def test_evaluation_is_the_loss_of_references_and_the_bleu_of_translations(
    learned: Subwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    monkeypatch.setattr("adabelief_lab.tasks.translation._EVALUATED", 4)  # 9 sentences: 4, 4, 1
    made = task(learned)
    model = made.modules["model"]
    total, count, said = 0.0, 0, []
    for source, target in zip(*TEXT["valid"], strict=True):
        (ours,), (theirs,) = learned.numbers([source]), learned.numbers([target])
        row = torch.tensor([ours])
        with torch.no_grad():
            logits = model(row, torch.tensor([[BEGIN, *theirs[:-1]]]))[0].double()
        total += functional.cross_entropy(logits, torch.tensor(theirs), reduction="sum").item()
        count += len(theirs)
        (found,) = translate(small_eval(model), row, 2, 40)
        said.append(learned.text(found))
    found_ = made.evaluate("valid")
    assert found_["loss"] == pytest.approx(total / count, rel=1e-5)
    # What translations say, not how long they may become: the limit differs beside longer ones.
    score = sacrebleu.corpus_bleu(said, [list(TEXT["valid"].target)], force=True).score
    assert found_["bleu"] == pytest.approx(score, abs=1.0)


def small_eval(model: nn.Module) -> Translator:
    assert isinstance(model, Translator)
    return model.eval()


def test_a_search_is_limited_and_only_so_many_sentences_are_translated(
    learned: Subwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int, int]] = []

    def noted(model: Any, source: Tensor, beam: int, limit: int, penalty: float) -> list[list[int]]:
        seen.append((*source.shape, limit))
        return [[] for _ in source]

    monkeypatch.setattr("adabelief_lab.tasks.translation.translate", noted)
    task(learned, evaluated=3).evaluate("valid")
    task(learned, evaluated=3, longest=33).evaluate("test")
    (count, longest, limit), (other, _, least) = seen
    assert (count, limit) == (3, 2 * longest + 10)
    assert (other, least) == (3, 33)


def test_perfect_translations_have_a_bleu_of_100(
    learned: Subwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        tuple(source): target
        for source, target in zip(
            learned.numbers(TEXT["test"].source), learned.numbers(TEXT["test"].target), strict=True
        )
    }
    monkeypatch.setattr(
        "adabelief_lab.tasks.translation.translate",
        lambda model, source, *others: [
            answers[tuple(row[row != PAD].tolist())][:-1] for row in source
        ],
    )
    assert task(learned).evaluate("test")["bleu"] == pytest.approx(100.0)


def test_bleu_takes_text_as_it_is_told_to() -> None:
    said, meant = ["a dog , a cat and a house"], [["a dog, a cat and a house"]]
    assert _bleu("13a")(said, meant).score == pytest.approx(100.0)
    assert _bleu("none")(said, meant).score < 90


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"longest": 5}, LabError, r"train: a sentence of pair 2 has \d+ subwords, the option"),
        ({"max_tokens": 3}, ValueError, r"max_tokens must be at least \d+, .* got 3"),
        ({"smoothing": 1.0}, ValueError, r"smoothing must be in \[0, 1\), got 1.0"),
        (
            {"averaged": 5, "apart": 3, "steps": 12},
            ValueError,
            r"more than 12, over .* got 12",
        ),
        ({"beam": 0}, ValueError, "beam must be at least 1, got 0"),
    ],
)
def test_wrong_settings_are_named(
    learned: Subwords, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        task(learned, **settings)


def test_several_processes_are_refused_where_they_cannot_share(learned: Subwords) -> None:
    made = task(learned)
    assert "shards do not notice" in made.refuses(2, "fsdp")
    assert made.refuses(2, "ddp") == "" or made._batches.smallest == 1
    assert "a pair for each of the 99 processes" in made.refuses(99, "ddp")


def test_the_workload_keeps_what_it_promises() -> None:
    workload = WORKLOADS["help-transformer"]
    broken = [each for each in check(workload, workload.presets["smoke"]) if each.state == "failed"]
    assert not broken


def test_the_number_of_batches_of_the_embedded_pairs_is_the_one_that_presets_have() -> None:
    workload = WORKLOADS["help-transformer"]
    preset = workload.presets["authors"]
    text = pairs.load("help")["train"]
    full = subwords.learned("help", 10_000)
    sizes = [
        max(len(source), len(target))
        for source, target in zip(full.numbers(text.source), full.numbers(text.target), strict=True)
    ]
    assert preset.steps == 55 * MaxTokenBatches(sizes, 4096, 0).per_epoch
