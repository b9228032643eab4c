"""A task of two networks against each other, each with an optimizer of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from adabelief_lab.common.rng import generator
from adabelief_lab.declare.workload import Split, Task
from adabelief_lab.tasks.gan_metrics import ImageQuality, unjudged
from adabelief_lab.tasks.single_model import check_integer, preserve_train_mode

Turn = Literal["first", "last"]

# Streams of random numbers that one data seed gives.
_ORDER, _NOISE, _FRESH, _MIX = 0, 1, 2, 3
# Seeds of the noise that is judged, and of the one that is looked at: the same in every run.
_JUDGED, _SHOWN = 20_201_015, 20_201_016
_EVALUATION_BATCH = 250


@dataclass(frozen=True)
class Objective:
    """What both networks minimise, from the critic's scores (n,).

    Args:
        critic: `(of real images, of generated ones) -> scalar`.
        generator: `(of generated ones) -> scalar`.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


# Arjovsky et al. 2017, Algorithm 1.
WASSERSTEIN = Objective(
    critic=lambda real, fake: fake.mean() - real.mean(), generator=lambda fake: -fake.mean()
)
# Miyato et al. 2018, equations 16 and 17.
HINGE = Objective(
    critic=lambda real, fake: functional.relu(1 - real).mean() + functional.relu(1 + fake).mean(),
    generator=lambda fake: -fake.mean(),
)


class GANTask(Task):
    """A generator and a critic: step `index` is one of the generator and `n_critic` of the critic.

    Images and noise of a step are functions of the data seed and its number only.

    Args:
        networks: generator and critic. The generator makes images (n, c, h, w) in [-1, 1] of
            noise (n, latent), the critic scores (n,) of images; with `classes` both are also
            given labels (n,).
        images: real images uint8 (n, c, h, w), brought to the generator's size, and labels (n,).
        image_quality: `split -> ImageQuality`, which compares generated images with real ones.
        objective: what both minimise.
        latent: numbers of a noise vector, standard normal.
        size: height and width of what the generator makes.
        batch_size: images a step of the critic, and of the generator.
        data_seed: of order and noise.
        samples: generated images that are judged.
        n_critic: steps of the critic in one of ours.
        turn: the generator's: "last", after the critic's, with fresh noise, as in Arjovsky et al.
            2017; "first", after the critic's first one and with the same noise, as in the authors'
            code, where it is every fifth batch that the generator has too.
        clip: bound of the critic's parameters, after each of its steps; none if None.
        penalty: λ of the gradient penalty (Gulrajani et al. 2017, equation 3); none if 0.
        classes: number of classes, where both networks are told of them; else 0.

    Raises:
        ValueError: a number out of range, or a generator whose images are of another size.
    """

    def __init__(
        self,
        networks: tuple[nn.Module, nn.Module],
        images: tuple[Tensor, Tensor],
        image_quality: Callable[[Split], ImageQuality],
        objective: Objective,
        *,
        latent: int,
        size: int,
        batch_size: int,
        data_seed: int,
        samples: int,
        n_critic: int = 5,
        turn: Turn = "last",
        clip: float | None = None,
        penalty: float = 0.0,
        classes: int = 0,
    ) -> None:
        check_integer("batch_size", batch_size, low=2, high=len(images[0]))
        check_integer("n_critic", n_critic, low=1)
        check_integer("samples", samples, low=2)
        if clip is not None and not 0 < clip < float("inf"):
            msg = f"clip must be in (0, inf), got {clip}"
            raise ValueError(msg)
        if not 0 <= penalty < float("inf"):
            msg = f"penalty must be in [0, inf), got {penalty}"
            raise ValueError(msg)
        self.modules = {"generator": networks[0], "critic": networks[1]}
        self._generator, self._critic = networks
        self._images, self._labels = images
        self._image_quality, self._objective = image_quality, objective
        self._latent, self._size, self._classes = latent, size, classes
        self._batch_size, self._data_seed, self._samples = batch_size, data_seed, samples
        self._n_critic, self._turn = n_critic, 0 if turn == "first" else n_critic - 1
        self._fresh = turn == "last"
        self._clip, self._penalty = clip, penalty
        self._device = next(networks[0].parameters()).device
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)
        self._check_size()

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        """Step `index` of the generator; "loss" is the mean of the critic's."""
        losses = []
        for turn in range(self._n_critic):
            batch = index * self._n_critic + turn
            losses.append(self._teach_critic(batch, optimizers["critic"]))
            if turn == self._turn:
                noise = self._noise(_FRESH, index) if self._fresh else self._noise(_NOISE, batch)
                self._teach_generator(noise, optimizers["generator"])
        return {"loss": torch.stack(losses).mean()}

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """The image quality of `samples` images of noise that is the same in every run."""
        made = self._made(_JUDGED, self._samples)
        return unjudged() if made is None else self._image_quality(split)(made)

    def pictures(self, count: int) -> Tensor | None:
        """Images uint8 of noise that is the same in every run; None where they are no numbers."""
        return self._made(_SHOWN, count)

    def _teach_critic(self, batch: int, optimizer: Optimizer) -> Tensor:
        real, labels = self._real(batch)
        noise = self._noise(_NOISE, batch)
        with torch.no_grad():
            fake = self._paint(noise)
        optimizer.zero_grad(set_to_none=True)
        loss = self._objective.critic(self._score(real, labels), self._score(fake, noise[1]))
        loss.backward()
        if self._penalty:
            drawn = torch.rand(len(real), generator=generator(self._data_seed, _MIX, batch))
            penalty = self._penalty * self._steepness(real, fake, labels, drawn.to(self._device))
            penalty.backward()
            loss = loss.detach() + penalty.detach()
        optimizer.step()
        if self._clip is not None:
            with torch.no_grad():
                for parameter in self._critic.parameters():
                    parameter.clamp_(-self._clip, self._clip)
        return loss.detach()

    def _steepness(self, real: Tensor, fake: Tensor, labels: Tensor, share: Tensor) -> Tensor:
        """Mean of (‖∇ critic‖ - 1)² between real and generated images."""
        share = share.view(-1, 1, 1, 1)
        between = (share * real + (1 - share) * fake).requires_grad_()
        scores = self._score(between, labels).sum()
        (gradient,) = torch.autograd.grad(scores, between, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def _teach_generator(self, noise: tuple[Tensor, Tensor], optimizer: Optimizer) -> None:
        self._critic.requires_grad_(requires_grad=False)  # its gradients are not needed
        optimizer.zero_grad(set_to_none=True)
        self._objective.generator(self._score(self._paint(noise), noise[1])).backward()
        optimizer.step()
        self._critic.requires_grad_(requires_grad=True)

    def _paint(self, noise: tuple[Tensor, Tensor]) -> Tensor:
        return self._generator(*noise) if self._classes else self._generator(noise[0])

    def _score(self, images: Tensor, labels: Tensor) -> Tensor:
        return self._critic(images, labels) if self._classes else self._critic(images)

    def _real(self, batch: int) -> tuple[Tensor, Tensor]:
        """Images float32 in [-1, 1] at the generator's size, and their labels."""
        per_epoch = len(self._images) // self._batch_size
        epoch, place = divmod(batch, per_epoch)
        if epoch != self._epoch:
            order = generator(self._data_seed, _ORDER, epoch)
            self._order = torch.randperm(len(self._images), generator=order)
            self._epoch = epoch
        chosen = self._order[place * self._batch_size : (place + 1) * self._batch_size]
        return self._scaled(self._images[chosen]), self._labels[chosen].to(self._device)

    def _scaled(self, images: Tensor) -> Tensor:
        scaled = images.to(self._device).float()
        if images.shape[-1] != self._size:
            wanted = (self._size, self._size)
            scaled = functional.interpolate(scaled, wanted, mode="bilinear", antialias=True)
        return scaled / 127.5 - 1

    def _noise(self, *path: int) -> tuple[Tensor, Tensor]:
        """Noise of a batch and the labels that go with it."""
        return self._drawn(generator(self._data_seed, *path), self._batch_size)

    def _drawn(self, source: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(count, self._latent, generator=source)
        labels = torch.randint(max(1, self._classes), (count,), generator=source)
        return noise.to(self._device), labels.to(self._device)

    def _made(self, seed: int, count: int) -> Tensor | None:
        """Bytes (count, c, h, w), by the generator in evaluation mode; None if any is no number."""
        noise, labels = self._drawn(torch.Generator().manual_seed(seed), count)
        parts = []
        with preserve_train_mode(self._generator), torch.inference_mode():
            self._generator.eval()
            for begin in range(0, count, _EVALUATION_BATCH):
                chosen = slice(begin, begin + _EVALUATION_BATCH)
                painted = self._paint((noise[chosen], labels[chosen]))
                if not painted.isfinite().all():
                    return None
                parts.append(((painted + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu())
        return torch.cat(parts)

    def _check_size(self) -> None:
        with preserve_train_mode(self._generator), torch.inference_mode():
            self._generator.eval()
            noise = torch.zeros(1, self._latent, device=self._device)
            label = torch.zeros(1, dtype=torch.int64, device=self._device)
            made = tuple(self._paint((noise, label)).shape)
        wanted = (1, self._images.shape[1], self._size, self._size)
        if made != wanted:
            msg = f"the generator must make images of shape {wanted}, got {made}"
            raise ValueError(msg)
