"""The LSTM language model: its layers, its pieces of text, its training, its memory."""

from __future__ import annotations

import copy
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.common import rng
from adabelief_lab.conduct.check_workload import check
from adabelief_lab.data.words import Corpus
from adabelief_lab.models.awd_lstm import AWDLSTM, DropLSTM, Dropouts
from adabelief_lab.paper import single_thread
from adabelief_lab.tasks.bptt_batches import IGNORED, BPTTBatches, columns, padded_pairs
from adabelief_lab.tasks.lstm_lm import LSTMLanguageModel
from adabelief_lab.workloads import WORKLOADS

# Two threads wait for each other at every one of so small products, where others compute too.
pytestmark = pytest.mark.usefixtures("one_thread")

NONE = Dropouts(0, 0, 0, 0, 0)
WORDS = 11


@pytest.fixture
def one_thread() -> Iterator[None]:
    with single_thread.one_thread():
        yield


def corpus(tokens: int = 400) -> Corpus:
    drawn = torch.Generator().manual_seed(5)
    sizes = (tokens, 57, 41)
    parts = [torch.randint(0, WORDS, (size,), generator=drawn) for size in sizes]
    return Corpus(tuple(map(str, range(WORDS))), *parts)


def network(dropouts: Dropouts = NONE, layers: int = 2, *, frozen: bool = False) -> AWDLSTM:
    torch.manual_seed(0)
    return AWDLSTM(WORDS, layers, 6, 8, dropouts, frozen=frozen)


def task(model: AWDLSTM, **options: Any) -> LSTMLanguageModel:
    given: dict[str, Any] = {"batch_size": 4, "length": 6, "data_seed": 3, **options}
    return LSTMLanguageModel(model, corpus(), **given)


@pytest.mark.parametrize(
    ("layers", "parameters", "recurrent"),
    # Merity et al. 2017 (arXiv:1708.02182), section 5: 10,000 words, embeddings of 400, hidden
    # states of 1,150. The authors' weight_drop.py never trains the recurrent matrices.
    [(1, 5_293_200, 640_000), (2, 13_632_400, 5_930_000), (3, 24_221_600, 11_220_000)],
)
def test_the_authors_sizes_have_their_parameters(
    layers: int, parameters: int, recurrent: int
) -> None:
    with torch.device("meta"):
        model = AWDLSTM(10_000, layers)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(sizes.values()) == parameters
    matrices = sum(size for name, size in sizes.items() if name.endswith("weight_hh"))
    assert matrices == recurrent


@pytest.mark.parametrize("training", [False, True])
def test_a_layer_without_dropout_is_torchs_lstm(training: bool) -> None:
    ours, theirs = DropLSTM(6, 8, 0.0), nn.LSTM(6, 8)
    theirs.load_state_dict({f"{name}_l0": value for name, value in ours.state_dict().items()})
    ours.train(training)
    values, memory = torch.randn(5, 3, 6), (torch.randn(1, 3, 8), torch.randn(1, 3, 8))
    mine, after = ours(values, memory)
    expected, (hidden, cell) = theirs(values, memory)
    for one, other in ((mine, expected), (after[0], hidden), (after[1], cell)):
        assert torch.equal(one, other)
    mine.sum().backward()
    expected.sum().backward()
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, getattr(theirs, f"{name}_l0").grad)


def test_dropped_recurrent_weights_are_zero_and_the_others_scaled() -> None:
    layer = DropLSTM(6, 8, 0.5)
    values, memory = torch.randn(1, 3, 6), (torch.randn(1, 3, 8), torch.randn(1, 3, 8))
    torch.manual_seed(1)
    output, _ = layer(values, memory)
    output.sum().backward()
    torch.manual_seed(1)
    kept = functional.dropout(torch.ones(32, 8), 0.5)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert layer.weight_hh.grad is not None
    assert torch.equal(layer.weight_hh.grad == 0, kept == 0)


def test_the_same_elements_are_dropped_at_every_place_and_words_as_a_whole() -> None:
    model = network(Dropouts(words=0.0, inputs=0.0, hidden=0.0, output=0.5, recurrent=0.0))
    made = model(torch.randint(0, WORDS, (9, 3)), model.empty(3))
    dropped = made.dropped == 0
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert 0 < dropped[0].sum() < dropped[0].numel()
    assert torch.equal(made.dropped[~dropped], made.raw[~dropped] * 2)

    model = network(Dropouts(words=0.5, inputs=0.0, hidden=0.0, output=0.0, recurrent=0.0))
    seen: list[Tensor] = []
    model.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(torch.arange(WORDS).view(-1, 1), model.empty(1))
    whole = (seen[0] == 0).all(dim=2) | (seen[0] == 2 * model.embedding.weight.unsqueeze(1)).all(2)
    assert whole.all()
    assert 0 < (seen[0] == 0).all(dim=2).sum() < WORDS


def test_columns_are_consecutive_and_padded_pairs_lose_no_word() -> None:
    tokens = torch.arange(11)
    assert columns(tokens, 3).t().tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    inputs, targets = padded_pairs(tokens, 3)
    counted = targets != IGNORED
    assert sorted(targets[counted].tolist()) == list(range(1, 11))
    assert torch.equal(targets[counted], inputs[counted] + 1)


@pytest.mark.parametrize("varied", [False, True])
def test_pieces_cover_every_epoch_without_a_gap(varied: bool) -> None:
    pieces = BPTTBatches(500, 70, data_seed=1, varied=varied)
    found = [pieces[index] for index in range(40)]
    again = BPTTBatches(500, 70, data_seed=1, varied=varied)
    assert [again[index] for index in reversed(range(40))][::-1] == found
    ends = {0}
    for before, after in itertools.pairwise(found):
        end = before.begin + before.length
        assert after.begin == (0 if end == 499 else end)
        ends.add(end)
    assert 499 in ends
    if not varied:
        assert {piece.length for piece in found} == {70, 499 % 70}
    else:
        other = BPTTBatches(500, 70, data_seed=2, varied=True)
        assert [other[index] for index in range(40)] != found


def test_lengths_have_the_mean_of_their_recipe() -> None:
    pieces = BPTTBatches(10**6, 70, data_seed=0, varied=True)
    lengths = torch.tensor([pieces[index].length for index in range(10_000)], dtype=torch.float64)
    # A normal one is 70 ± 5, one in twenty 35 ± 5, rounding down takes a half.
    mean = 0.95 * 70 + 0.05 * 35 - 0.5
    deviation = math.sqrt(5**2 + 0.95 * 0.05 * 35**2 + 1 / 12)
    assert abs(lengths.mean().item() - mean) < 4 * deviation / math.sqrt(len(lengths))
    assert lengths.std().item() == pytest.approx(deviation, rel=0.05)


def by_hand(model: AWDLSTM, steps: int, activation: float, slowness: float) -> list[Tensor]:
    """SGD on the same pieces, written out."""
    data = corpus()
    rows = len(data.train) // 4
    text = data.train[: rows * 4].view(4, rows).t()
    pieces, lr = BPTTBatches(rows, 6, 3, varied=True), 0.7
    memory, losses = model.empty(4), []
    for index in range(steps):
        begin, length = pieces[index]
        if begin == 0:
            memory = model.empty(4)
        made = model(text[begin : begin + length], memory)
        memory = tuple((hidden.detach(), cell.detach()) for hidden, cell in made.memory)
        after = text[begin + 1 : begin + length + 1]
        loss = functional.cross_entropy(made.logits.reshape(-1, WORDS), after.reshape(-1))
        whole = loss + activation * made.dropped.pow(2).mean()
        if length > 1:
            whole = whole + slowness * (made.raw[1:] - made.raw[:-1]).pow(2).mean()
        model.zero_grad()
        whole.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.add_(parameter.grad, alpha=-lr * (length / 6))
        losses.append(loss.detach())
    return losses


@pytest.mark.parametrize("frozen", [False, True])
def test_training_is_the_loop_written_out_over_several_epochs(frozen: bool) -> None:
    steps = 45
    ours = network(Dropouts(), frozen=frozen)
    theirs = copy.deepcopy(ours)
    given = task(ours, activation=2.0, slowness=1.0, clip_norm=0.25)
    sgd = torch.optim.SGD(ours.parameters(), lr=0.7, foreach=False)
    torch.manual_seed(9)
    logged = [given.step(index, {"model": sgd})["loss"] for index in range(steps)]
    torch.manual_seed(9)
    assert logged == by_hand(theirs, steps, 2.0, 1.0)
    assert sgd.param_groups[0]["lr"] == 0.7
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("frozen", [False, True])
def test_recurrent_matrices_are_trained_unless_frozen_as_the_authors_did(frozen: bool) -> None:
    model = network(Dropouts(), frozen=frozen)
    before = {name: value.clone() for name, value in model.named_parameters()}
    given = task(model)
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    for index in range(3):
        given.step(index, {"model": sgd})
    still = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    assert still == ({"layers.0.weight_hh", "layers.1.weight_hh"} if frozen else set())
    assert all((value.grad is None) == (name in still) for name, value in model.named_parameters())


@pytest.mark.parametrize("split", ["valid", "test"])
def test_one_column_is_evaluated_as_the_whole_text_at_once(split: Any) -> None:
    model = network(Dropouts(), layers=3)
    given = task(model, evaluated_columns=1)
    model.eval()
    tokens = getattr(corpus(), split)
    with torch.no_grad():
        made = model(tokens[:-1].view(-1, 1), model.empty(1))
        loss = functional.cross_entropy(made.logits[:, 0].double(), tokens[1:]).item()
    model.train()
    found = given.evaluate(split)
    # Sums of single-precision losses: a rounding for each of the words, at most.
    assert found["loss"] == pytest.approx(loss, rel=len(tokens) * 2**-24)
    assert found["perplexity"] == math.exp(found["loss"])
    assert model.training


def test_columns_of_an_evaluation_lose_no_word_and_leave_the_training_memory() -> None:
    model = network()
    given = task(model, evaluated_columns=7, length=6)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    given.step(0, {"model": sgd})
    before = [tensor.clone() for tensor in given.state_dict()["memory"]]
    found = given.evaluate("valid")
    assert all(map(torch.equal, before, given.state_dict()["memory"]))
    inputs, targets = padded_pairs(corpus().valid, 7)
    model.eval()
    with torch.no_grad():
        logits = model(inputs, model.empty(7)).logits.double()
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).item()
    assert found["loss"] == pytest.approx(loss, rel=56 * 2**-24)


def test_a_run_goes_on_in_the_middle_of_an_epoch() -> None:
    def fresh() -> tuple[LSTMLanguageModel, torch.optim.Optimizer]:
        model = network(Dropouts())
        return task(model), torch.optim.Adam(model.parameters(), lr=0.01)

    whole, optimizer = fresh()
    torch.manual_seed(4)
    for index in range(5):
        whole.step(index, {"model": optimizer})
    assert whole._pieces[5].begin > 0
    kept = copy.deepcopy(
        (whole.modules["model"].state_dict(), optimizer.state_dict(), whole.state_dict())
    )
    random = rng.capture()
    expected = [whole.step(index, {"model": optimizer})["loss"] for index in range(5, 9)]

    again, other = fresh()
    again.modules["model"].load_state_dict(kept[0])
    other.load_state_dict(kept[1])
    again.load_state_dict(kept[2])
    rng.restore(random)
    assert [again.step(index, {"model": other})["loss"] for index in range(5, 9)] == expected


@pytest.mark.parametrize("name", ["ptb-lstm1", "ptb-lstm3", "sotu-lstm2"])
def test_the_workloads_keep_their_promises(name: str) -> None:
    workload = WORKLOADS[name]
    broken = [each for each in check(workload, workload.presets["smoke"]) if each.state == "failed"]
    assert not broken


def test_bfloat16_is_near_float32() -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        model = network()
        given = task(model, precision=precision)
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        losses.append([given.step(index, {"model": sgd})["loss"].item() for index in range(3)])
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    # Logits of order 1 with eight bits of mantissa.
    assert losses[1] == pytest.approx(losses[0], abs=2**-7)
    assert losses[1] != losses[0]


@pytest.mark.parametrize("isa", ["SSE41", "AVX2", "AVX512_CORE"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_runs_on_every_processor(isa: str, dtype: str) -> None:
    """In a process of its own: oneDNN reads the processor's instructions once."""
    code = f"""
import torch
from adabelief_lab.models.awd_lstm import DropLSTM
torch.manual_seed(0)
layer, memory = DropLSTM(8, 4, 0.0), (torch.zeros(1, 3, 4), torch.zeros(1, 3, 4))
inputs = torch.randn(5, 3, 8)
expected, _ = layer(inputs, memory)
with torch.autocast("cpu", torch.{dtype}):
    output, _ = layer(inputs, memory)
output.float().sum().backward()
assert torch.backends.mkldnn.enabled
assert 0 < (output - expected).abs().max() <= 2**-7  # outputs below 1, eight bits of mantissa
assert all(parameter.grad is not None for parameter in layer.parameters())
"""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True)


def test_several_processes_are_refused_with_the_reason() -> None:
    assert "carries a memory" in task(network()).refuses(2, "ddp")
    assert not task(network()).refuses(1, "ddp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"batch_size": 400}, "each column must have at least 2 tokens, got 1"),
        ({"activation": -1.0}, r"activation must be in \[0, inf\), got -1.0"),
        ({"evaluated_columns": 0}, "evaluated_columns must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(network(), **options)
