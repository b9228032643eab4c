"""A LightningModule as a workload: its steps and hooks, in the laboratory's loop.

The laboratory owns optimizers, learning rates, the loop and the clock; a real `Trainer` evaluates.

called     setup("fit"), configure_model, on_fit_start, on_train_start; for every batch, in
           Lightning's order, the batch transfer hooks, on_train_batch_start, training_step,
           on_before_zero_grad, on_before_backward, backward, on_after_backward,
           on_before_optimizer_step, on_train_batch_end; on_train_epoch_start and _end;
           on_save_checkpoint and on_load_checkpoint; in an evaluation whatever
           `Trainer.validate` and `Trainer.test` call
no effect  configure_optimizers with its groups and schedules; `self.log` outside evaluations;
           on_train_end and on_fit_end, which come when all numbers are made
refused    what would change training and cannot be kept: see `check_module`
"""

from __future__ import annotations

import inspect
import logging
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief_lab.common.rng import apart, seed
from adabelief_lab.declare.workload import Metric, Preset, Split, Task, Workload
from adabelief_lab.tasks.dataloader import Batches

# Hooks of a LightningModule that cannot be honoured, and why.
REFUSED: Mapping[str, str] = {
    "optimizer_step": "the laboratory steps its own optimizers",
    "optimizer_zero_grad": "the laboratory steps its own optimizers",
    "configure_gradient_clipping": "give gradient_clip_val= to lightning_workload",
    "lr_scheduler_step": "schedules belong to the preset",
    "configure_callbacks": "callbacks may stop or change training; use the module's own hooks",
    "configure_sharded_model": "use configure_model",
}
# The same of a LightningDataModule.
REFUSED_OF_DATA: Mapping[str, str] = dict.fromkeys(
    ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer"),
    "put it into the LightningModule",
)


def package_of(module: Any) -> Any:
    """The package `lightning.pytorch` or `pytorch_lightning`: whichever the module is made with.

    Neither is imported here: a module's own file has done so.
    """
    for name in ("lightning.pytorch", "pytorch_lightning"):
        package = sys.modules.get(name)
        if package is not None and isinstance(module, package.LightningModule):
            return package
    msg = f"module must return a LightningModule, got {type(module).__name__}"
    raise TypeError(msg)


def check_module(module: Any, package: Any) -> None:
    """Refuse a module that the laboratory cannot train as its own trainer would.

    Raises:
        TypeError: with what it lacks, or has, and what to do.
    """
    name = type(module).__name__
    if not module.automatic_optimization:
        msg = (
            f"{name} has automatic_optimization = False: the laboratory steps its own optimizers; "
            "write a Task instead (adabelief_lab.declare.workload), one module for each optimizer"
        )
        raise TypeError(msg)
    for needed in ("training_step", "validation_step"):
        if not overrides(module, needed, package.LightningModule):
            msg = f"{name} must have {needed}"
            raise TypeError(msg)
    if "dataloader_iter" in inspect.signature(module.training_step).parameters:
        msg = f"{name}.training_step takes dataloader_iter: batches must be asked for by number"
        raise TypeError(msg)
    refuse(module, REFUSED, package.LightningModule)


def refuse(owner: Any, reasons: Mapping[str, str], base: type) -> None:
    """Refuse the first of the hooks that `owner` has of its own, with the reason."""
    for hook, reason in reasons.items():
        if overrides(owner, hook, base):
            msg = f"{type(owner).__name__}.{hook} cannot be honoured: {reason}"
            raise TypeError(msg)


def overrides(owner: Any, hook: str, base: type) -> bool:
    """Whether the class of `owner` has a method of its own where `base` has one."""
    return getattr(type(owner), hook, None) is not getattr(base, hook, None)


def takes_index(module: Any) -> bool:
    """Whether training_step wants the number of the batch: some do without."""
    parameters = inspect.signature(module.training_step).parameters.values()
    return len(parameters) > 1 or any(each.kind is each.VAR_POSITIONAL for each in parameters)


# What a logged name may begin with: "val_loss" and "test/loss" are both the metric "loss".
PREFIXES = ("val", "valid", "validation", "test")

_QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}


class Loaders(NamedTuple):
    """DataLoaders: one to train on; for evaluations whatever `Trainer.validate` takes."""

    train: Any
    valid: Any
    test: Any


def lightning_workload(
    name: str,
    *,
    module: Callable[[Preset], Any],
    data: Callable[[Preset], Any],
    metrics: tuple[Metric, ...],
    primary: str,
    presets: Mapping[str, Preset],
    gradient_clip_val: float | None = None,
    accelerator: str = "cpu",
    title: str = "",
    source: str = "",
) -> Workload:
    """The workload of a LightningModule.

    Args:
        name: short name, used in folders and tables.
        module: `(preset) -> LightningModule`, called with the global generators seeded by the
            run's init seed.
        data: `(preset) -> LightningDataModule` or `Loaders`; called with generators that are the
            same in every run, so that every run has the same split. The training loader's sampler
            is kept; what it draws comes from the run's data seed (tasks/dataloader.py).
        metrics: numbers that validation_step and test_step log, without a leading "val_",
            "valid_", "validation_" or "test_" (or the same with "/").
        primary: the metric that tunes and ranks.
        presets: sizes by name.
        gradient_clip_val: largest norm of all gradients together.
        accelerator: Lightning's name of the kind of device; one device is used.
        title: one line for the report.
        source: what the data are, where from, licence.
    """
    if gradient_clip_val is not None and not 0 < gradient_clip_val < math.inf:
        msg = f"gradient_clip_val must be in (0, inf), got {gradient_clip_val}"
        raise ValueError(msg)

    def build(preset: Preset, init_seed: int, data_seed: int) -> LightningTask:
        with apart(0):
            found = data(preset)
        seed(init_seed)
        return LightningTask(
            module(preset),
            found,
            data_seed=data_seed,
            max_steps=preset.steps,
            gradient_clip_val=gradient_clip_val,
            accelerator=accelerator,
        )

    return Workload(name, build, metrics, primary, presets, title, source)


class LightningTask(Task):
    """One run of a LightningModule; see the top of this file for what is called.

    Raises:
        TypeError: no LightningModule, no data, or a hook that is refused.
        ValueError: nothing to train on.
    """

    def __init__(
        self,
        module: Any,
        data: Any,
        *,
        data_seed: int,
        max_steps: int,
        gradient_clip_val: float | None,
        accelerator: str,
    ) -> None:
        package = package_of(module)
        check_module(module, package)
        with apart(0), _quiet(package):
            loaders = _loaders(data, package)
        self._package = package
        self._module = module
        self._clip = gradient_clip_val
        self._batches = Batches(loaders.train, data_seed)
        with _quiet(package):
            settings = {"accelerator": accelerator, "devices": 1, "max_steps": max_steps}
            # Barebones: `self.log` while training goes nowhere, and costs nothing.
            self._trainer = package.Trainer(
                **settings, barebones=True, gradient_clip_val=gradient_clip_val
            )
            self._evaluator = package.Trainer(**settings, **_QUIET, enable_model_summary=False)
        # Once for the process: only a barebones trainer says it, at each `self.log`.
        warnings.filterwarnings("ignore", r"You are trying to `self\.log\(\)`")
        has_test = overrides(module, "test_step", package.LightningModule)
        self._evaluations: dict[Split, tuple[Callable[..., Any], Any]] = {
            "valid": (self._evaluator.validate, loaders.valid),
            "test": (self._evaluator.test if has_test else self._evaluator.validate, loaders.test),
        }
        module.trainer = self._trainer
        for hook, arguments in (("setup", ("fit",)), ("configure_model", ())):
            getattr(module, hook)(*arguments)
        self._device = self._trainer.strategy.root_device
        module.to(self._device)
        self.modules = {"model": module}
        module.on_fit_start()
        module.on_train_start()

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        """Train on batch `index` with Lightning's hooks in Lightning's order."""
        module, optimizer = self._module, optimizers["model"]
        epoch, place = divmod(index, self._batches.per_epoch)
        self._locate(epoch, index, optimizer)
        if place == 0:
            module.on_train_epoch_start()
        batch = module.on_before_batch_transfer(self._batches[index], 0)
        batch = module.transfer_batch_to_device(batch, self._device, 0)
        batch = module.on_after_batch_transfer(batch, 0)
        if module.on_train_batch_start(batch, place) == -1:
            msg = "on_train_batch_start returned -1: every optimizer must train on every batch"
            raise ValueError(msg)
        arguments = (batch, place) if takes_index(module) else (batch,)
        outputs = module.training_step(*arguments)
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not isinstance(loss, Tensor):
            msg = (
                'training_step must return the loss, or a mapping with "loss", for every batch; '
                f"got {type(outputs).__name__}"
            )
            raise TypeError(msg)
        module.on_before_zero_grad(optimizer)
        optimizer.zero_grad(set_to_none=True)
        module.on_before_backward(loss)
        module.backward(loss)
        module.on_after_backward()
        module.on_before_optimizer_step(optimizer)
        if self._clip is not None:
            nn.utils.clip_grad_norm_(module.parameters(), self._clip)
        optimizer.step()
        self._locate(epoch, index + 1, optimizer)
        told = {**(outputs if isinstance(outputs, Mapping) else {}), "loss": loss.detach()}
        module.on_train_batch_end(told, batch, place)
        if place == self._batches.per_epoch - 1:
            module.on_train_epoch_end()
        return {"loss": loss.detach()}

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """What validation_step or test_step log on the split, without "val_" and the like.

        A module without test_step is tested by its validation_step.
        """
        run, loader = self._evaluations[split]
        try:
            with apart(0), _quiet(self._package):
                found = run(self._module, loader, verbose=False)
        finally:
            self._module.trainer = self._trainer
            self._module.to(self._device)  # a Trainer leaves it on the CPU
        return {_bare(name): value for each in found for name, value in each.items()}

    def state_dict(self) -> dict[str, Any]:
        """What the module's on_save_checkpoint puts into an empty checkpoint."""
        checkpoint: dict[str, Any] = {}
        self._module.on_save_checkpoint(checkpoint)
        return checkpoint

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give the module what it saved."""
        self._module.on_load_checkpoint(state)

    def _locate(self, epoch: int, steps: int, optimizer: Optimizer) -> None:
        """Let `self.current_epoch`, `self.global_step` and `self.optimizers()` say the truth."""
        for trainer in (self._trainer, self._evaluator):
            trainer.fit_loop.epoch_progress.current.completed = epoch
            loop = trainer.fit_loop.epoch_loop.automatic_optimization
            loop.optim_progress.optimizer.step.total.completed = steps
        if self._trainer.optimizers != [optimizer]:
            self._trainer.optimizers = [optimizer]


def _loaders(data: Any, package: Any) -> Loaders:
    if isinstance(data, Loaders):
        return data
    if not isinstance(data, package.LightningDataModule):
        msg = f"data must return a LightningDataModule or Loaders, got {type(data).__name__}"
        raise TypeError(msg)
    refuse(data, REFUSED_OF_DATA, package.LightningDataModule)
    data.prepare_data()
    for stage in ("fit", "test"):
        data.setup(stage)
    return Loaders(data.train_dataloader(), data.val_dataloader(), data.test_dataloader())


def _bare(name: str) -> str:
    """The logged name without "val_", "test/" and the like."""
    for prefix in PREFIXES:
        if name.startswith((f"{prefix}_", f"{prefix}/")):
            return name[len(prefix) + 1 :]
    return name


@contextmanager
def _quiet(package: Any) -> Iterator[None]:
    """Without what a Trainer says to whoever runs it by hand: devices, workers of loaders."""
    logger = logging.getLogger(package.__name__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            possible = package.utilities.warnings.PossibleUserWarning
            warnings.filterwarnings("ignore", category=possible)
            # Of torch, about Lightning's own code.
            warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.` is deprecated")
            yield
    finally:
        logger.setLevel(level)
