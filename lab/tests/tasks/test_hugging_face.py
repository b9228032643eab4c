"""A Trainer as a workload: trained as `Trainer.train` trains it, measured as it measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from adabelief import AdaBelief
from adabelief_lab.conduct.check_workload import check
from adabelief_lab.data.fashion_mnist import embedded
from adabelief_lab.declare.workload import Metric, Preset, Workload
from adabelief_lab.tasks.hugging_face import HuggingFaceTask, hugging_face_workload
from replay import assert_equal, example

transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.slow]

PRESET = Preset(steps=8, eval_every=4, trials=2, seeds=2)
METRICS = (Metric(name="accuracy", direction="max"), Metric(name="loss", direction="min"))


class Weighted(transformers.Trainer):  # type: ignore[name-defined]
    """A user's subclass with a loss of its own, which knows where training is."""

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, **_: Any
    ) -> Any:
        outputs = model(**inputs)
        loss = outputs.loss * (1 + 0.1 * self.state.global_step) if model.training else outputs.loss
        return (loss, outputs) if return_outputs else loss


def network(dropout: float = 0.0) -> Any:
    images: dict[str, Any] = {"num_channels": 1, "image_size": 28, "num_labels": 10}
    sizes: dict[str, Any] = {"hidden_sizes": [4, 8], "depths": [1, 1], "num_stages": 2}
    config = transformers.ConvNextConfig(**sizes, **images, drop_path_rate=dropout)
    return transformers.ConvNextForImageClassification(config)


def tiny() -> Any:
    """Without arguments: a Trainer gives its trial to a function that takes one."""
    return network()


def images(start: int, stop: int) -> list[dict[str, Any]]:
    data = embedded()
    pixels = torch.tensor(data.train_images[start:stop], dtype=torch.float32).unsqueeze(1) / 255
    labels = data.train_labels[start:stop].tolist()
    return [{"pixel_values": x, "labels": y} for x, y in zip(pixels, labels, strict=True)]


def accuracy(found: Any) -> dict[str, float]:
    return {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())}


def trainer(
    folder: Path,
    seed: int,
    trainer_class: Callable[..., Any] = transformers.Trainer,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> Any:
    arguments: dict[str, Any] = {
        "seed": seed, "per_device_train_batch_size": 20, "per_device_eval_batch_size": 32,
        "use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }  # fmt: skip
    whole: dict[str, Any] = {
        "model_init": tiny,
        "train_dataset": images(0, 160),
        "eval_dataset": {"valid": images(160, 260), "test": images(260, 360)},
        "compute_metrics": accuracy,
    }
    made = transformers.TrainingArguments(str(folder), **{**arguments, **settings})
    return trainer_class(args=made, **{**whole, **(options or {})})


def workload(folder: Path, **changes: Any) -> Workload:
    return hugging_face_workload(
        "images",
        trainer=lambda _, seed: trainer(folder, **{"seed": seed, **changes}),
        metrics=METRICS,
        primary="loss",
        presets={"smoke": PRESET},
    )


CASES: dict[str, dict[str, Any]] = {
    "clipped": {"max_grad_norm": 0.1},
    "accumulated": {"gradient_accumulation_steps": 2, "max_grad_norm": 0.0},
    "smoothed": {"label_smoothing_factor": 0.1},
    "bf16": {"bf16": True},
    "own loss": {"trainer_class": Weighted},
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
def test_it_is_trained_as_train_trains_it(changes: dict[str, Any], tmp_path: Path) -> None:
    changes = {"train_sampling_strategy": "sequential", **changes}
    task = workload(tmp_path, **changes).build(PRESET, 5, 6)
    model = task.modules["model"]
    optimizer = AdaBelief(model.parameters(), lr=1e-2)
    losses = []
    for index in range(4):
        losses.append(float(task.step(index, {"model": optimizer})["loss"]))
        if index == 1:
            task.evaluate("valid")  # must not be felt
    truth = trainer(tmp_path, 5, max_steps=4, logging_steps=1, **changes)
    # Its own groups would have two learning rates' worth of decay; one group, as the lab's.
    truth.create_optimizer = lambda *_: setup(truth)
    truth.train()
    used = truth.optimizer.optimizer
    assert_equal(model.parameters(), optimizer, truth.model.parameters(), used)
    logged = [each["loss"] for each in truth.state.log_history if "loss" in each]
    assert losses == pytest.approx(logged, abs=1e-4)


def setup(truth: Any) -> Any:
    """The optimizer of `truth`'s model as `train` has it, with a constant learning rate."""
    truth.optimizer = AdaBelief(truth.model.parameters(), lr=1e-2)
    truth.lr_scheduler = torch.optim.lr_scheduler.ConstantLR(truth.optimizer, factor=1.0)
    return truth.optimizer


def test_it_is_measured_over_all_examples(tmp_path: Path) -> None:
    task = workload(tmp_path).build(PRESET, 5, 6)
    rows = images(160, 260)
    pixels = torch.stack([row["pixel_values"] for row in rows])
    labels = torch.tensor([row["labels"] for row in rows])
    model = task.modules["model"]
    model.eval()
    with torch.no_grad():
        logits: Tensor = model(pixel_values=pixels).logits
    found = task.evaluate("valid")
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    assert found["loss"] == pytest.approx(nn.functional.cross_entropy(logits, labels).item())
    assert not model.training, "modes are as they were"
    assert task.evaluate("test")["loss"] != found["loss"]


def test_data_and_weights_follow_their_seeds(tmp_path: Path) -> None:
    changes = {"options": {"model_init": lambda: network(dropout=0.2)}}
    found = list(check(workload(tmp_path, **changes), PRESET))
    assert [each for each in found if each.state == "failed"] == []


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield from images(0, 10)


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"seed": 42}, ValueError, "seed that trainer.. was called with, 5, got 42"),
    ({"options": {"eval_dataset": images(0, 9)}}, ValueError, '"valid" and "test", got list'),
    ({"options": {"eval_dataset": {"valid": images(0, 9)}}}, ValueError, "got a dict with valid"),
    (
        {"options": {"callbacks": [transformers.EarlyStoppingCallback()]}},
        TypeError,
        "callbacks are not called here, got EarlyStoppingCallback",
    ),
    ({"bf16_full_eval": True}, TypeError, "bf16_full_eval cannot be honoured: it would cast"),
    ({"neftune_noise_alpha": 5.0}, TypeError, "neftune_noise_alpha cannot be honoured"),
    ({"auto_find_batch_size": True}, TypeError, "auto_find_batch_size cannot be honoured"),
    ({"max_grad_norm": -1.0}, ValueError, r"max_grad_norm must be in \[0, inf\), got -1.0"),
    (
        {"options": {"train_dataset": Endless()}, "max_steps": 3},
        TypeError,
        "no IterableDataset",
    ),
    ({"trainer_class": lambda **_: nn.Linear(1, 1)}, TypeError, "transformers.Trainer, got Linear"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED, ids=[r[2][:20] for r in REFUSED])
def test_what_cannot_be_honoured_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        workload(tmp_path, **changes).build(PRESET, 5, 6)


def test_the_example_keeps_every_promise() -> None:
    found = example("hugging_face_workload").workload
    assert isinstance(found.build(found.presets["smoke"], 1, 2), HuggingFaceTask)
    findings = list(check(found, found.presets["smoke"]))
    assert [each for each in findings if each.state != "passed"] == []
