"""Hugging Face Trainer: both ways to give it AdaBelief, clipping, accumulation, bf16, resuming."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from adabelief import AdaBelief
from replay import assert_equal, example, replay

transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning"),
]

Batch = dict[str, Any]
CASES: dict[str, dict[str, Any]] = {
    "clipped": {"max_grad_norm": 0.5},
    "accumulated": {"gradient_accumulation_steps": 2, "max_grad_norm": 0.0},
    "bf16": {"bf16": True, "max_grad_norm": 1.0},
}


@pytest.fixture(scope="module")
def trainer_example() -> Any:
    return example("huggingface_trainer")


def recorded(model: nn.Module) -> list[Batch]:
    """What the model is called with, from now on."""
    batches: list[Batch] = []

    def record(_: nn.Module, args: Any, kwargs: Batch) -> None:
        assert not args
        batches.append(copy.deepcopy(kwargs))

    model.register_forward_pre_hook(record, with_kwargs=True)
    return batches


def loss(model: nn.Module, batch: Batch) -> Tensor:
    return model(**batch).loss


def check(trainer: Any, batches: list[Batch], start: nn.Module, settings: dict[str, Any]) -> None:
    """The same batches from the same start, with the groups that Trainer had."""
    model = trainer.model
    names = {param: name for name, param in model.named_parameters()}
    twins = dict(start.named_parameters())
    used = trainer.optimizer.optimizer.param_groups
    groups = [
        {**options, "params": [twins[names[param]] for param in options["params"]]}
        for options in used
    ]
    for group in groups:
        group["lr"] = group.pop("initial_lr")
    optimizer = AdaBelief(groups)
    losses: list[Callable[[], Tensor]] = [partial(loss, start, batch) for batch in batches]
    accumulate = settings.get("gradient_accumulation_steps", 1)
    assert len(losses) == 20 * accumulate
    schedule = transformers.get_scheduler("linear", optimizer, 0, 20)
    clip = settings["max_grad_norm"] or None
    replay(
        start, optimizer, losses, accumulate=accumulate, clip=clip,
        autocast=settings.get("bf16", False), schedule=schedule,
    )  # fmt: skip
    assert_equal(model.parameters(), trainer.optimizer.optimizer, start.parameters(), optimizer)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_trainer_with_an_optimizer_is_the_plain_loop(
    trainer_example: Any, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = trainer_example.network()
    start = copy.deepcopy(model)
    start.train()
    batches = recorded(model)
    optimizer = AdaBelief(model.parameters(), **trainer_example.OPTIONS)
    trainer = transformers.Trainer(
        model,
        trainer_example.arguments(tmp_path, **settings),
        train_dataset=trainer_example.images(500),
        optimizers=(optimizer, None),
    )
    trainer.train()
    assert trainer.optimizer.optimizer is optimizer
    check(trainer, batches, start, settings)


def test_trainer_with_class_and_arguments_is_the_plain_loop(
    trainer_example: Any, tmp_path: Path
) -> None:
    model = trainer_example.network()
    start = copy.deepcopy(model)
    start.train()
    batches = recorded(model)
    settings = {"max_grad_norm": 1.0, "weight_decay": 0.02}
    trainer = transformers.Trainer(
        model,
        trainer_example.arguments(tmp_path, **settings),
        train_dataset=trainer_example.images(500),
        optimizer_cls_and_kwargs=(AdaBelief, trainer_example.OPTIONS),
    )
    trainer.train()
    groups = trainer.optimizer.optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.02, 0.0]
    assert all(param.ndim == 1 for param in groups[1]["params"])
    check(trainer, batches, start, settings)


def test_trainer_resumes_as_if_it_had_not_stopped(trainer_example: Any, tmp_path: Path) -> None:
    settings = {"save_strategy": "steps", "save_steps": 10, "max_grad_norm": 1.0}

    def trained(folder: Path, checkpoint: Path | None) -> Any:
        recipe = (AdaBelief, {**trainer_example.OPTIONS, "amsgrad": True})
        trainer = transformers.Trainer(
            trainer_example.network(),
            trainer_example.arguments(folder, **settings),
            train_dataset=trainer_example.images(500),
            optimizer_cls_and_kwargs=recipe,
        )
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        return trainer

    truth = trained(tmp_path / "whole", None)
    resumed = trained(tmp_path / "resumed", tmp_path / "whole" / "checkpoint-10")
    assert resumed.state.global_step == 20
    optimizers = [trainer.optimizer.optimizer for trainer in (resumed, truth)]
    assert_equal(resumed.model.parameters(), optimizers[0], truth.model.parameters(), optimizers[1])


def test_the_example_runs(trainer_example: Any) -> None:
    trainer_example.main()
