"""A LightningModule as a workload: trained as `Trainer.fit` trains it, measured as it measures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adabelief import AdaBelief
from adabelief_lab.conduct.check_workload import check
from adabelief_lab.data.fashion_mnist import embedded
from adabelief_lab.declare.workload import Metric, Preset, Workload
from adabelief_lab.tasks.lightning import LightningTask, Loaders, lightning_workload
from replay import assert_equal, example

lightning = pytest.importorskip("lightning")
torchmetrics = pytest.importorskip("torchmetrics")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning"),
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
]

PRESET = Preset(steps=9, eval_every=3, trials=2, seeds=2)
METRICS = (Metric(name="accuracy", direction="max"), Metric(name="loss", direction="min"))
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
HOOKS = (
    "on_fit_start", "on_train_start", "on_train_epoch_start", "on_before_batch_transfer",
    "on_after_batch_transfer", "on_train_batch_start", "on_before_zero_grad",
    "on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_train_batch_end",
    "on_train_epoch_end",
)  # fmt: skip


class Noted(lightning.LightningModule):  # type: ignore[name-defined]
    """Notes every hook with where training is; logs what users log."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 8), nn.Dropout(0.1), nn.Linear(8, 10))
        self.net[1].eval()  # frozen: must stay so
        self.train_accuracy = torchmetrics.Accuracy("multiclass", num_classes=10)
        self.val_accuracy = torchmetrics.Accuracy("multiclass", num_classes=10)
        self.notes: list[tuple[Any, ...]] = []
        self.seen = 0
        for hook in HOOKS:
            setattr(self, hook, partial(self.note, hook, getattr(self, hook)))

    def note(self, hook: str, wrapped: Callable[..., Any], *args: Any) -> Any:
        outputs = sorted(args[0]) if hook == "on_train_batch_end" else None
        self.notes.append((hook, self.current_epoch, self.global_step, outputs))
        return wrapped(*args)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Any:
        images, labels = batch
        self.notes.append(("training_step", batch_idx, self.trainer.max_steps, len(images)))
        outputs = self.net(images)
        self.train_accuracy(outputs, labels)
        self.log("train_accuracy", self.train_accuracy, on_epoch=True)
        self.log_dict({"lr": 1.0, "epoch": float(self.current_epoch)})
        self.seen += len(images)
        loss = nn.functional.cross_entropy(outputs, labels)
        return {"loss": loss, "n": torch.tensor(len(images))} if batch_idx % 2 else loss

    def validation_step(self, batch: list[Tensor]) -> None:
        images, labels = batch
        outputs = self.net(images)
        self.val_accuracy(outputs, labels)
        self.log("val/accuracy", self.val_accuracy)
        self.log("val_loss", nn.functional.cross_entropy(outputs, labels))

    def configure_optimizers(self) -> Any:
        return AdaBelief(self.parameters(), lr=1e-3)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seen"] = self.seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seen = checkpoint["seen"]


def loaders() -> Loaders:
    """Four batches an epoch, in file order; the last of the validation data is small."""
    data = embedded()
    x = torch.tensor(data.train_images[:400], dtype=torch.float32).flatten(1) / 255
    y = torch.tensor(data.train_labels[:400], dtype=torch.int64)
    train, valid, test = (TensorDataset(x[part], y[part]) for part in (
        slice(0, 130), slice(130, 270), slice(270, 400),
    ))  # fmt: skip
    return Loaders(
        *(DataLoader(each, size) for each, size in ((train, 40), (valid, 99), (test, 99)))
    )


def workload(module: Callable[[], Any] = Noted, **changes: Any) -> Workload:
    settings: dict[str, Any] = {"data": lambda _: loaders(), **changes}
    return lightning_workload(
        "noted", module=lambda _: module(), metrics=METRICS, primary="loss",
        presets={"smoke": PRESET}, **settings,
    )  # fmt: skip


def fitted(clip: float | None) -> Any:
    torch.manual_seed(5)
    module = Noted()
    trainer = lightning.Trainer(max_steps=9, gradient_clip_val=clip, **QUIET)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "The number of training|You defined a `val|Found 1 module"
        )
        trainer.fit(module, loaders().train)
    return trainer, module


@pytest.mark.parametrize("clip", [None, 0.5])
def test_it_is_trained_as_fit_trains_it_with_the_same_hooks_at_the_same_places(
    clip: float | None,
) -> None:
    trainer, truth = fitted(clip)
    task = workload(gradient_clip_val=clip).build(PRESET, 5, 6)
    module: Any = task.modules["model"]
    optimizer = AdaBelief(module.parameters(), lr=1e-3)
    for index in range(9):
        task.step(index, {"model": optimizer})
        if index == 4:
            noted = list(module.notes)
            task.evaluate("valid")  # must not be felt
            module.notes[:] = noted
    assert_equal(module.parameters(), optimizer, truth.parameters(), trainer.optimizers[0])
    assert {hook for hook, *_ in module.notes} >= set(HOOKS)
    assert [note for note in module.notes if note[0] != "on_train_epoch_end"] == [
        note for note in truth.notes if note[0] != "on_train_epoch_end"
    ]
    ends = [note for note in module.notes if note[0] == "on_train_epoch_end"]
    # `fit` ends the third epoch when its steps end; here nobody says that it is over.
    assert ends == [note for note in truth.notes if note[0] == "on_train_epoch_end"][:2]
    assert not module.net[1].training


def test_it_is_measured_over_all_examples() -> None:
    task = workload().build(PRESET, 5, 6)
    module: Any = task.modules["model"]
    images, labels = loaders().valid.dataset.tensors
    with torch.no_grad():
        outputs = module.net(images)
    accuracy = (outputs.argmax(1) == labels).float().mean().item()
    loss = nn.functional.cross_entropy(outputs, labels).item()
    assert task.evaluate("valid") == pytest.approx({"accuracy": accuracy, "loss": loss})
    assert task.evaluate("test") != task.evaluate("valid")
    assert module.trainer is not None


def test_what_it_saves_survives() -> None:
    task = workload().build(PRESET, 5, 6)
    task.step(0, {"model": AdaBelief(task.modules["model"].parameters())})
    assert task.state_dict() == {"seen": 40}
    other = workload().build(PRESET, 5, 6)
    other.load_state_dict({"seen": 40})
    assert other.state_dict() == {"seen": 40}


class Manual(Noted):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False


class Stepper(Noted):
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None: ...


class Iterated(Noted):
    def training_step(self, dataloader_iter: Any) -> None:  # type: ignore[override]
        ...


class Unmeasured(lightning.LightningModule):  # type: ignore[name-defined]
    def training_step(self, batch: Any) -> None: ...


class Moving(lightning.LightningDataModule):  # type: ignore[name-defined]
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any: ...


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"module": Manual}, "automatic_optimization = False: .* write a Task instead"),
        ({"module": Stepper}, "Stepper.optimizer_step cannot be honoured: the laboratory steps"),
        ({"module": Iterated}, "dataloader_iter: batches must be asked for by number"),
        ({"module": Unmeasured}, "Unmeasured must have validation_step"),
        ({"module": lambda: nn.Linear(1, 1)}, "must return a LightningModule, got Linear"),
        ({"data": lambda _: Moving()}, "Moving.on_after_batch_transfer cannot be honoured"),
        ({"data": lambda _: [1]}, "must return a LightningDataModule or Loaders, got list"),
    ],
)
def test_what_cannot_be_honoured_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        workload(**changes).build(PRESET, 0, 0)


class Skips(Noted):
    def training_step(self, batch: Any, batch_idx: int) -> None: ...


class Cuts(Noted):
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int:
        return -1


class Reaches(Noted):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.trainer.datamodule.loss


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (Skips, TypeError, "for every batch; got NoneType"),
        (Cuts, ValueError, "on_train_batch_start returned -1"),
        (Reaches, AttributeError, "'NoneType' object has no attribute 'loss'"),
    ],
)
def test_a_step_that_is_none_says_so(
    module: type[Noted], error: type[Exception], message: str
) -> None:
    task = workload(module).build(PRESET, 0, 0)
    with pytest.raises(error, match=message):
        task.step(0, {"model": AdaBelief(task.modules["model"].parameters())})


def test_a_clip_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gradient_clip_val must be in \(0, inf\), got -1"):
        workload(gradient_clip_val=-1)


def test_the_example_keeps_every_promise() -> None:
    found = example("lightning_workload").workload
    assert isinstance(found.build(found.presets["smoke"], 1, 2), LightningTask)
    findings = list(check(found, found.presets["smoke"]))
    assert [each for each in findings if each.state != "passed"] == []


class Thawed(Noted):
    def __init__(self) -> None:
        super().__init__()
        self.net[1].train()


def test_dropout_and_state_of_its_own_go_on_after_a_kill() -> None:
    found = list(check(workload(Thawed, data=lambda _: shuffled()), PRESET))
    assert [each for each in found if each.state == "failed"] == []


def shuffled() -> Any:
    sets = [loader.dataset for loader in loaders()]
    return lightning.LightningDataModule.from_datasets(*sets, batch_size=40)
