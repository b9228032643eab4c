"""A Hugging Face Trainer as a workload: its losses, batches and evaluations, in our loop.

The laboratory owns optimizers, learning rates, the loop and the clock; the `Trainer`, of the
user's own subclass if there is one, does the rest.

called     get_train_dataloader with its sampler and collator, training_step (and so compute_loss,
           compute_loss_func, label smoothing), gradient_accumulation_steps, max_grad_norm, bf16,
           evaluate with compute_metrics
no effect  of TrainingArguments: the optimizer, its learning rate, decay, groups and schedule, the
           number of steps and epochs, what is said about logging and saving;
           dataloader_num_workers while training (see `adabelief_lab.tasks.dataloader`)
refused    callbacks and report_to; fp16, fp16_full_eval, bf16_full_eval; auto_find_batch_size;
           NEFTune; several devices
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from adabelief_lab.common.rng import apart, seed
from adabelief_lab.declare.workload import Metric, Preset, Split, Task, Workload
from adabelief_lab.tasks.dataloader import Batches
from adabelief_lab.tasks.single_model import preserve_train_mode

_PREFIX = "eval"
# The Trainer's own; the first decides about logging and saving, the others print.
_OWN = {"DefaultFlowCallback", "PrinterCallback", "ProgressCallback", "NotebookProgressCallback"}


def hugging_face_workload(
    name: str,
    *,
    trainer: Callable[[Preset, int], Any],
    metrics: tuple[Metric, ...],
    primary: str,
    presets: Mapping[str, Preset],
    title: str = "",
    source: str = "",
) -> Workload:
    """The workload of a `transformers.Trainer`.

    Args:
        name: short name, used in folders and tables.
        trainer: `(preset, seed) -> Trainer` with `TrainingArguments(seed=seed)`, a training
            dataset whose examples have numbers, and `eval_dataset={"valid": ..., "test": ...}`.
            Its model is made by `model_init`, or in this function: the global generators are
            seeded by the run's init seed, which is `seed`. Whatever splits the data must draw
            from generators of its own.
        metrics: numbers that `Trainer.evaluate` returns, without their "eval_".
        primary: the metric that tunes and ranks.
        presets: sizes by name.
        title: one line for the report.
        source: what the data are, where from, licence.
    """

    def build(preset: Preset, init_seed: int, data_seed: int) -> HuggingFaceTask:
        seed(init_seed)
        return HuggingFaceTask(trainer(preset, init_seed), init_seed=init_seed, data_seed=data_seed)

    return Workload(name, build, metrics, primary, presets, title, source)


class HuggingFaceTask(Task):
    """One run of a Trainer; see the top of this file for what is called.

    Raises:
        TypeError: no Trainer, or something of it that is refused.
        ValueError: its seed or its datasets are not as they must be.
    """

    def __init__(self, trainer: Any, *, init_seed: int, data_seed: int) -> None:
        _check(trainer, init_seed)
        for callback in list(trainer.callback_handler.callbacks):
            trainer.remove_callback(callback)
        # Accelerate's own sampler would follow TrainingArguments.data_seed, not ours.
        trainer.accelerator.dataloader_config.use_seedable_sampler = False
        self._trainer = trainer
        self._batches = Batches(trainer.get_train_dataloader(), data_seed)
        self._accumulate = int(trainer.args.gradient_accumulation_steps)
        with apart(0):
            self._model = trainer.accelerator.prepare_model(trainer.model)
        self.modules = {"model": trainer.model}

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        """Train on the next batch, or the next few; return their mean loss as the Trainer has it.

        An optimizer step takes `gradient_accumulation_steps` batches, across epochs if need be.
        """
        trainer, optimizer = self._trainer, optimizers["model"]
        first = index * self._accumulate
        trainer.state.global_step = index
        trainer.state.epoch = first / self._batches.per_epoch
        made = (self._batches[first + part] for part in range(self._accumulate))
        batches, items = trainer.get_batch_samples(made, self._accumulate, trainer.args.device)
        trainer.current_gradient_accumulation_steps = len(batches)
        optimizer.zero_grad(set_to_none=True)
        losses = [trainer.training_step(self._model, batch, items) for batch in batches]
        if trainer.args.max_grad_norm:
            parameters = self._model.parameters()
            trainer.accelerator.clip_grad_norm_(parameters, trainer.args.max_grad_norm)
        optimizer.step()
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        return {"loss": total}

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """What `Trainer.evaluate` returns for the split, without "eval_"."""
        with apart(0), preserve_train_mode(self._trainer.model):
            found = self._trainer.evaluate(split, metric_key_prefix=_PREFIX)
        return {name.removeprefix(f"{_PREFIX}_"): value for name, value in found.items()}


def _check(trainer: Any, init_seed: int) -> None:
    transformers = sys.modules.get("transformers")
    if transformers is None or not isinstance(trainer, transformers.Trainer):
        msg = f"trainer must return a transformers.Trainer, got {type(trainer).__name__}"
        raise TypeError(msg)
    arguments = trainer.args
    if arguments.seed != init_seed:
        msg = (
            f"TrainingArguments(seed=...) must be the seed that trainer() was called with, "
            f"{init_seed}, got {arguments.seed}"
        )
        raise ValueError(msg)
    sets = trainer.eval_dataset
    if not isinstance(sets, dict) or not {"valid", "test"} <= set(sets):
        got = f"a dict with {', '.join(sets)}" if isinstance(sets, dict) else type(sets).__name__
        msg = f'eval_dataset must be a dict with "valid" and "test", got {got}'
        raise ValueError(msg)
    others = [type(each).__name__ for each in trainer.callback_handler.callbacks]
    others = [name for name in others if name not in _OWN]
    if others:
        listed = ", ".join(others)
        msg = f'callbacks are not called here, got {listed}: leave them out; report_to="none"'
        raise TypeError(msg)
    refused = {
        "fp16": (arguments.fp16, "its scale would not survive a kill; use bf16"),
        "several devices": (
            arguments.world_size > 1 or arguments.n_gpu > 1,
            "a run has one; show it one by CUDA_VISIBLE_DEVICES",
        ),
        "fp16_full_eval": (arguments.fp16_full_eval, "it would cast the weights for good"),
        "bf16_full_eval": (arguments.bf16_full_eval, "it would cast the weights for good"),
        "auto_find_batch_size": (arguments.auto_find_batch_size, "all runs have the same batches"),
        "neftune_noise_alpha": (arguments.neftune_noise_alpha, "train() alone switches it on"),
    }
    for name, (used, reason) in refused.items():
        if used:
            msg = f"{name} cannot be honoured: {reason}"
            raise TypeError(msg)
    if not 0 <= arguments.max_grad_norm < math.inf:
        msg = f"max_grad_norm must be in [0, inf), got {arguments.max_grad_norm}"
        raise ValueError(msg)
