"""Your Hugging Face Trainer as a workload: a tiny GPT on the State of the Union addresses.

Run it with: adabelief compare examples/hugging_face_workload.py:workload
"""

from functools import lru_cache
from tempfile import gettempdir
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from adabelief_lab.data import sotu
from adabelief_lab.declare.workload import Metric, Preset
from adabelief_lab.tasks.hugging_face import hugging_face_workload

LENGTH = 64


@lru_cache
def pieces(split: str, count: int) -> list[dict[str, Any]]:
    """The first pieces of LENGTH bytes of a split, as Trainer wants them."""
    text = " ".join(getattr(sotu.load(), split)).encode()[: count * LENGTH]
    rows = torch.frombuffer(bytearray(text), dtype=torch.uint8).long().view(-1, LENGTH)
    return [{"input_ids": row, "labels": row} for row in rows]


def trainer(preset: Preset, seed: int) -> Trainer:
    """What your script has before `trainer.train()`; optimizer and schedule are not used."""
    width = preset.options["width"]
    words: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "loss_type": "ForCausalLM"}
    sizes = {"vocab_size": 256, "n_positions": LENGTH, "n_embd": width, "n_layer": 2, "n_head": 2}
    config = GPT2Config(**sizes, **words)
    arguments = TrainingArguments(
        gettempdir(), seed=seed, per_device_train_batch_size=16, max_grad_norm=1.0,
        report_to="none", use_cpu=True, dataloader_pin_memory=False,
    )  # fmt: skip
    return Trainer(
        model_init=lambda: GPT2LMHeadModel(config),
        args=arguments,
        train_dataset=pieces("train", 4000),
        eval_dataset={"valid": pieces("valid", 200), "test": pieces("test", 200)},
    )


workload = hugging_face_workload(
    "addresses",
    trainer=trainer,
    metrics=(Metric(name="loss", direction="min", label="nats a byte"),),
    primary="loss",
    presets={
        "quick": Preset(steps=300, eval_every=50, trials=5, seeds=6, options={"width": 64}),
        "smoke": Preset(steps=30, eval_every=3, trials=2, seeds=2, options={"width": 8}),
    },
    source="State of the Union addresses, 1790-2021 (public domain), as bytes",
)
