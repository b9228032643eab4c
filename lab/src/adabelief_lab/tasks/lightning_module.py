"""What of a LightningModule and its data can be honoured, and what is refused with the reason."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

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
