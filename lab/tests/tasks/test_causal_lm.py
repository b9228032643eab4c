"""The small GPT and the task of predicting the next byte."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from adabelief_lab.conduct.check_workload import check
from adabelief_lab.models.gpt import GPT
from adabelief_lab.tasks.causal_lm import CausalLM, windows
from adabelief_lab.workloads import WORKLOADS

WORKLOAD = WORKLOADS["sotu-gpt"]
STREAMS = {
    split: torch.randint(0, 50, (size,), generator=torch.Generator().manual_seed(size))
    for split, size in (("train", 200), ("valid", 83), ("test", 90))
}


def task(precision: Any = "float32") -> CausalLM:
    torch.manual_seed(0)
    model = GPT(50, 8, 16, 2, 2)
    return CausalLM(model, STREAMS, 8, batch_size=4, data_seed=0, precision=precision)


def test_the_full_size_has_its_parameters() -> None:
    made = sum(parameter.numel() for parameter in GPT(256, 256, 256, 8, 6).parameters())
    # Embeddings of bytes and places, logits; of each of 6 blocks 12 w² weights, 13 w biases and
    # gains; the last normalisation: w = 256.
    assert made == 3 * 256 * 256 + 6 * (12 * 256**2 + 13 * 256) + 2 * 256


def test_a_later_byte_changes_nothing_before_it() -> None:
    model = GPT(50, 8, 16, 2, 2)
    tokens = torch.randint(0, 50, (3, 8))
    other = tokens.clone()
    other[:, 5] = (other[:, 5] + 1) % 50
    with torch.no_grad():
        one, two = model(tokens), model(other)
    assert torch.equal(one[:, :5], two[:, :5])
    assert not torch.equal(one[:, 5], two[:, 5])
    assert not torch.equal(one[:, 7], two[:, 7])


def test_loss_and_bits_are_means_over_all_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adabelief_lab.tasks.causal_lm._EVALUATION_BATCH", 4)  # 10 windows: 4, 4, 2
    made = task()
    inputs, targets = windows(STREAMS["valid"], 8)
    assert len(inputs) == 10
    with torch.no_grad():
        logits = made.modules["model"](inputs).double()
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    found = made.evaluate("valid")
    assert found["loss"] == pytest.approx(loss.item(), rel=80 * 2**-24)
    assert 2 ** found["bits"] == pytest.approx(torch.tensor(found["loss"]).exp().item(), rel=1e-6)


def test_bfloat16_is_near_float32() -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        made = task(precision)
        sgd = torch.optim.SGD(made.modules["model"].parameters(), lr=0.1)
        losses.append([made.step(index, {"model": sgd})["loss"].item() for index in range(3)])
    # Losses of order 4 with eight bits of mantissa.
    assert losses[1] == pytest.approx(losses[0], abs=2**-6)
    assert losses[1] != losses[0]


def test_the_workload_keeps_its_promises() -> None:
    broken = [each for each in check(WORKLOAD, WORKLOAD.presets["smoke"]) if each.state == "failed"]
    assert not broken


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of the 3 heads, got 16"):
        GPT(50, 8, 16, 3, 1)
    with pytest.raises(ValueError, match="more tokens than a window's 200, got 200"):
        windows(STREAMS["train"], 200)
