"""The task of a detector: pictures with boxes, and a torchvision model that returns its losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adabelief_lab.common.rng import generator
from adabelief_lab.data.voc import Picture
from adabelief_lab.declare.workload import Split
from adabelief_lab.tasks.average_precision import average_precision
from adabelief_lab.tasks.single_model import (
    Precision,
    SingleModelTask,
    check_integer,
    preserve_train_mode,
)

Target = dict[str, Tensor]

# Streams of random numbers that one data seed gives.
_ORDER, _MIRROR = 0, 1


class Detection(SingleModelTask):
    """A detector of torchvision's kind on pictures that are decoded when they are needed.

    Batch `index` is a pure function of `data_seed` and `index`: each epoch is a fresh permutation,
    what is left of it after the last whole batch is not used, and half of the pictures are
    mirrored. Difficult objects are not trained on. What the model itself draws comes from torch's
    global generator, which the lab keeps with its checkpoints. Of several processes each draws its
    own proposals, and its losses are means over those: the numbers are not those of one process.

    Args:
        model: in training `(images, targets) -> losses by name`, which are summed; in evaluation
            `images -> boxes, labels and scores`.
        train: to train on.
        valid: for the evaluations that tune.
        test: for final runs only.
        batch_size: pictures a step.
        data_seed: order of the pictures, and which are mirrored.
        precision: "bfloat16" computes outputs and losses under torch.autocast.
        clip_norm: largest norm of all gradients together (torch.nn.utils.clip_grad_norm_).

    Raises:
        ValueError: more pictures in a batch than there are.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        train: Sequence[Picture],
        valid: Sequence[Picture],
        test: Sequence[Picture],
        batch_size: int,
        data_seed: int,
        precision: Precision = "float32",
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(model, batch_size=batch_size, precision=precision, clip_norm=clip_norm)
        check_integer("batch_size", batch_size, low=1, high=len(train))
        self._train = train
        self._splits: dict[Split, Sequence[Picture]] = {"valid": valid, "test": test}
        self._data_seed = data_seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def batch(self, index: int) -> tuple[list[Tensor], list[Target]]:
        """Images and targets of training batch `index` (0, 1, ...).

        Of several processes, each gets its part.
        """
        epoch, place = divmod(index, len(self._train) // self._batch_size)
        if epoch != self._epoch:
            order = generator(self._data_seed, _ORDER, epoch)
            self._order = torch.randperm(len(self._train), generator=order)
            self._epoch = epoch
        chosen = self._order[place * self._batch_size : (place + 1) * self._batch_size]
        drawn = torch.rand(self._batch_size, generator=generator(self._data_seed, _MIRROR, index))
        mine = slice(self._group.rank, None, self._group.size)
        pairs = [
            self._pair(self._train[number], mirrored=mirror < 0.5)
            for number, mirror in zip(chosen[mine].tolist(), drawn[mine].tolist(), strict=True)
        ]
        return [image for image, _ in pairs], [target for _, target in pairs]

    def _pair(self, picture: Picture, *, mirrored: bool) -> tuple[Tensor, Target]:
        asked = ~picture.objects.difficult
        boxes = torch.from_numpy(picture.objects.boxes[asked])
        image = self._image(picture)
        if mirrored:
            image, boxes = mirror(image, boxes)
        labels = torch.from_numpy(picture.objects.labels[asked])
        return image, {"boxes": boxes.to(image), "labels": labels.to(image.device)}

    def _image(self, picture: Picture) -> Tensor:
        """Numbers from 0 to 1, where the model is and of its dtype."""
        weight = next(self.modules["model"].parameters())
        pixels = torch.from_numpy(picture.pixels())
        return pixels.to(weight.device).to(weight.dtype).div_(255)

    def _loss_of(self, index: int) -> Tensor:
        """The sum of the model's losses."""
        images, targets = self.batch(index)
        with self._precision(images[0]):
            losses: dict[str, Tensor] = self._called(images, targets)
        return torch.stack(list(losses.values())).sum()

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Metrics of the model in evaluation mode on the whole of `split`.

        One picture at a time: in a batch they would be padded to the largest.
        """
        if split not in self._splits:
            msg = f"split must be one of {sorted(self._splits)}, got {split!r}"
            raise ValueError(msg)
        model, pictures = self.modules["model"], self._splits[split]
        found: list[Any] = []
        with preserve_train_mode(model), torch.inference_mode():
            model.eval()
            for picture in pictures:
                image = self._image(picture)
                with self._precision(image):
                    found += model([image])
        return average_precision([picture.objects for picture in pictures], found)


def mirror(image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Left becomes right in an image (c, h, w) and its boxes (n, 4) of left, top, right, bottom."""
    left, top, right, bottom = boxes.unbind(dim=1)
    width = image.shape[-1]
    return image.flip(-1), torch.stack([width - right, top, width - left, bottom], dim=1)
