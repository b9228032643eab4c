"""Two networks against each other: equal to a loop written out, whatever it is interrupted by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from adabelief import AdaBelief
from adabelief.feasible import Box
from adabelief_lab.cli import app
from adabelief_lab.common.rng import generator
from adabelief_lab.conduct.compare import declare
from adabelief_lab.models import dcgan, sngan
from adabelief_lab.optimizers import resolve
from adabelief_lab.run.checkpoint import capture_state, restore_state
from adabelief_lab.tasks.gan import HINGE, WASSERSTEIN, GANTask, Objective
from adabelief_lab.tasks.gan_metrics import GENERATION
from adabelief_lab.workloads.load import load_workload
from paths import EXAMPLES

LATENT, SIZE, BATCH = 4, 8, 6
SETTINGS: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-12}


def images(count: int = 20, size: int = SIZE) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(5)
    pixels = torch.randint(256, (count, 1, size, size), generator=source, dtype=torch.uint8)
    return pixels, torch.randint(3, (count,), generator=source)


def networks(*, norm: dcgan.Norm = "batch") -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return dcgan.Generator(LATENT, 3, 1, SIZE), dcgan.Critic(3, 1, SIZE, norm=norm)


class Seen:
    """A judge that only remembers what it was shown."""

    def __init__(self) -> None:
        self.images = torch.empty(0)

    def __call__(self, images: Tensor) -> Mapping[str, float]:
        self.images = images
        return {metric.name: 1.0 for metric in GENERATION}


def task(
    pair: tuple[nn.Module, nn.Module] | None = None,
    objective: Objective = WASSERSTEIN,
    image_quality: Any = None,
    **changes: Any,
) -> GANTask:
    settings = {"latent": LATENT, "size": SIZE, "batch_size": BATCH, "data_seed": 9, "samples": 10}
    return GANTask(
        pair or networks(),
        images(),
        lambda split: image_quality,
        objective,
        **{**settings, **changes},
    )


def optimizers(task: GANTask, **critic: Any) -> dict[str, AdaBelief]:
    return {
        name: AdaBelief(module.parameters(), **SETTINGS, **(critic if name == "critic" else {}))
        for name, module in task.modules.items()
    }


def trained(task: GANTask, steps: int, first: int = 0, **critic: Any) -> dict[str, AdaBelief]:
    made = optimizers(task, **critic)
    for index in range(first, first + steps):
        task.step(index, made)
    return made


def weights(task: GANTask) -> list[Tensor]:
    return [value for module in task.modules.values() for value in module.state_dict().values()]


def batches() -> Callable[[int], Tensor]:
    """Real batches as the docstring says: whole batches of a permutation an epoch."""
    pixels, _ = images()

    def batch(index: int) -> Tensor:
        epoch, place = divmod(index, len(pixels) // BATCH)
        order = torch.randperm(len(pixels), generator=generator(9, 0, epoch))
        return pixels[order[place * BATCH : (place + 1) * BATCH]].float() / 127.5 - 1

    return batch


def noise(stream: int, index: int) -> Tensor:
    return torch.randn(BATCH, LATENT, generator=generator(9, stream, index))


@pytest.mark.parametrize("turn", ["first", "last"])
def test_a_wgan_is_trained_as_by_a_loop_written_out(turn: Any) -> None:
    """Three steps of the critic, each clipped; the generator's turn after the first or the last."""
    ours = task(n_critic=3, turn=turn, clip=0.01)
    losses = []
    made = optimizers(ours)
    for index in range(3):
        losses.append(float(ours.step(index, made)["loss"]))

    paint, score = networks()
    of_paint, of_score = (AdaBelief(each.parameters(), **SETTINGS) for each in (paint, score))
    batch = batches()
    for index in range(3):
        scores = []
        for turn_number in range(3):
            number = 3 * index + turn_number
            with torch.no_grad():
                fake = paint(noise(1, number))
            of_score.zero_grad()
            real_score = score(batch(number))  # first: batch normalisation keeps what it has seen
            loss = score(fake).mean() - real_score.mean()
            loss.backward()
            of_score.step()
            scores.append(loss.item())
            with torch.no_grad():
                for parameter in score.parameters():
                    parameter.copy_(parameter.clamp(-0.01, 0.01))
            if turn_number == (0 if turn == "first" else 2):
                z = noise(1, number) if turn == "first" else noise(2, index)
                of_paint.zero_grad()
                (-score(paint(z)).mean()).backward()
                of_paint.step()
        assert losses[index] == pytest.approx(sum(scores) / 3, rel=1e-5, abs=1e-7)
    expected = [value for each in (paint, score) for value in each.state_dict().values()]
    for found, wanted in zip(weights(ours), expected, strict=True):
        assert torch.equal(found, wanted)


def test_the_penalty_is_that_of_gulrajani_et_al() -> None:
    """One step of the critic: the gradient of λ E(‖∇ critic‖ - 1)² is added to the loss's."""
    pair = networks(norm="layer")
    ours = task(pair, n_critic=1, penalty=10.0)
    made = {name: torch.optim.SGD(m.parameters(), lr=1.0) for name, m in ours.modules.items()}
    before = [parameter.detach().clone() for parameter in pair[1].parameters()]
    logged = ours.step(0, made)["loss"]

    paint, score = networks(norm="layer")
    real = batches()(0)
    fake = paint(noise(1, 0)).detach()
    share = torch.rand(BATCH, generator=generator(9, 3, 0))[:, None, None, None]
    between = (share * real + (1 - share) * fake).requires_grad_()
    # Image by image: the norm is of each one's gradient.
    slopes = []
    for place in range(BATCH):
        (slope,) = torch.autograd.grad(
            score(between[place : place + 1]).sum(), between, create_graph=True
        )
        slopes.append(slope[place].square().sum().sqrt())
    penalty = 10 * (torch.stack(slopes) - 1).square().mean()
    loss = score(fake).mean() - score(real).mean() + penalty
    assert float(logged) == pytest.approx(loss.item(), rel=1e-5)
    gradients = torch.autograd.grad(loss, list(score.parameters()))
    for parameter, old, gradient in zip(pair[1].parameters(), before, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), old - gradient, rtol=1e-4, atol=1e-6)


def test_the_hinge_is_that_of_miyato_et_al() -> None:
    real, fake = torch.tensor([0.5, 2.0, -1.0]), torch.tensor([-2.0, 0.0, 3.0])
    # Means of max(0, 1 - real) = 0.5, 0, 2 and of max(0, 1 + fake) = 0, 1, 4.
    assert float(HINGE.critic(real, fake)) == pytest.approx(2.5 / 3 + 5 / 3)
    assert float(HINGE.generator(fake)) == pytest.approx(-1 / 3)


@pytest.mark.parametrize("foreach", [True, False])
def test_clipping_after_the_step_is_the_critics_feasible_set(foreach: bool) -> None:
    """Algorithm 2 with the box [-0.01, 0.01]: parameters and state, bit for bit."""
    box = Box(-0.01, 0.01)
    ours, theirs = task(clip=0.01), task()
    first = trained(ours, 4, foreach=foreach)
    second = trained(theirs, 4, foreach=foreach, feasible_set=box)
    for found, wanted in zip(weights(theirs), weights(ours), strict=True):
        assert torch.equal(found, wanted)
    bounds = [p.abs().max().item() for p in theirs.modules["critic"].parameters()]
    assert max(bounds) == pytest.approx(0.01)
    for p, q in zip(
        ours.modules["critic"].parameters(), theirs.modules["critic"].parameters(), strict=True
    ):
        was, now = first["critic"].state[p], second["critic"].state[q]
        assert all(torch.equal(was[name], now[name]) for name in ("exp_avg", "exp_avg_var"))


@pytest.mark.parametrize("kind", ["wgan", "wgan-gp", "sn-gan"])
def test_interrupted_it_goes_on_as_if_it_had_not_been(kind: str) -> None:
    def made() -> GANTask:
        if kind == "sn-gan":
            torch.manual_seed(0)
            pair = sngan.Generator(LATENT, 4, 1, 3), sngan.Critic(4, 1, 3)
            return task(pair, HINGE, size=32, classes=3, n_critic=2)
        changes: dict[str, Any] = {"clip": 0.01} if kind == "wgan" else {"penalty": 10.0}
        return task(n_critic=2, **changes)

    whole = made()
    trained(whole, 6)
    half = made()
    state = capture_state(half, trained(half, 3))
    torch.rand(7)  # whoever draws in between
    again = made()
    restored = optimizers(again)
    restore_state(state, again, restored)
    for index in range(3, 6):
        again.step(index, restored)
    for found, wanted in zip(weights(again), weights(whole), strict=True):
        assert torch.equal(found, wanted)


def test_looking_changes_nothing() -> None:
    image_quality = Seen()
    looked, not_looked = task(image_quality=image_quality), task()
    first, second = optimizers(looked), optimizers(not_looked)
    for index in range(3):
        looked.step(index, first)
        not_looked.step(index, second)
        random = torch.get_rng_state()
        looked.evaluate("valid")
        assert looked.pictures(4) is not None
        assert torch.equal(torch.get_rng_state(), random)
        assert all(module.training for module in looked.modules.values())
    for found, wanted in zip(weights(looked), weights(not_looked), strict=True):
        assert torch.equal(found, wanted)


def test_the_same_noise_is_judged_in_every_run_and_pictures_are_of_other_noise() -> None:
    image_quality = Seen()
    first = task(image_quality=image_quality)
    first.evaluate("valid")
    seen = image_quality.images
    assert (seen.dtype, seen.shape) == (torch.uint8, (10, 1, SIZE, SIZE))
    task(image_quality=image_quality, data_seed=10).evaluate("test")
    assert torch.equal(image_quality.images, seen)
    shown = first.pictures(10)
    assert shown is not None
    assert not torch.equal(shown, seen)


def test_bytes_are_what_the_generator_paints() -> None:
    class Levels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, noise: Tensor) -> Tensor:
            return noise[:, :1, None, None].expand(-1, 1, SIZE, SIZE) * self.scale

    image_quality = Seen()
    task((Levels(), networks()[1]), image_quality=image_quality).evaluate("valid")
    drawn = torch.randn(10, LATENT, generator=torch.Generator().manual_seed(20_201_015))[:, 0]
    expected = ((drawn.clamp(-1, 1) + 1) * 127.5).round()
    assert torch.equal(image_quality.images[:, 0, 0, 0].float(), expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_images_that_are_no_numbers_are_the_worst_there_are(bad: float) -> None:
    pair = networks()
    broken = task(pair)
    with torch.no_grad():
        next(pair[0].parameters()).fill_(bad)
    found = broken.evaluate("valid")
    assert found["frechet"] == math.inf
    assert set(found) == {metric.name for metric in GENERATION}
    assert broken.pictures(3) is None


def test_real_images_are_brought_to_the_generators_size() -> None:
    torch.manual_seed(0)
    pair = dcgan.Generator(LATENT, 2, 1, 16), dcgan.Critic(2, 1, 16)
    seen: list[Tensor] = []
    pair[1].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    larger = task(pair, size=16)
    larger.step(0, optimizers(larger))
    real, pixels = seen[0], images()[0]
    assert real.shape == (BATCH, 1, 16, 16)
    order = torch.randperm(20, generator=generator(9, 0, 0))[:BATCH]
    # Bilinear, with half-pixel centres: a corner is the corner's.
    torch.testing.assert_close(real[:, 0, 0, 0], pixels[order, 0, 0, 0].float() / 127.5 - 1)


def test_real_images_are_made_smaller_by_the_mean_of_what_falls_together() -> None:
    torch.manual_seed(0)
    pair = dcgan.Generator(LATENT, 2, 1, SIZE), dcgan.Critic(2, 1, SIZE)
    pixels, labels = images(size=32)
    # Stripes of a pixel: every fourth is white. What is not averaged sees some stripes only.
    pixels[:] = 0
    pixels[..., ::4] = 255
    seen: list[Tensor] = []
    pair[1].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    smaller = GANTask(
        pair, (pixels, labels), lambda split: Seen(), WASSERSTEIN,  # type: ignore[arg-type,return-value]
        latent=LATENT, size=SIZE, batch_size=BATCH, data_seed=9, samples=10,
    )  # fmt: skip
    smaller.step(0, optimizers(smaller))
    inside = seen[0][..., 2:-2]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.25 * 2 - 1))


def test_a_conditional_gan_is_trained_as_by_a_loop_written_out() -> None:
    """Hinge; labels of the real images for these, drawn ones for the generated."""

    def pair() -> tuple[nn.Module, nn.Module]:
        torch.manual_seed(0)
        return sngan.Generator(LATENT, 4, 1, 3), sngan.Critic(4, 1, 3)

    ours = task(pair(), HINGE, size=32, classes=3, n_critic=2)
    trained(ours, 2)

    def drawn(stream: int, index: int) -> tuple[Tensor, Tensor]:
        source = generator(9, stream, index)
        return torch.randn(BATCH, LATENT, generator=source), torch.randint(
            3, (BATCH,), generator=source
        )

    pixels, labels = images()
    paint, score = pair()
    of_paint, of_score = (AdaBelief(each.parameters(), **SETTINGS) for each in (paint, score))
    for index in range(2):
        for number in (2 * index, 2 * index + 1):
            epoch, place = divmod(number, len(pixels) // BATCH)
            order = torch.randperm(len(pixels), generator=generator(9, 0, epoch))
            chosen = order[place * BATCH : (place + 1) * BATCH]
            real = nn.functional.interpolate(
                pixels[chosen].float(), (32, 32), mode="bilinear", antialias=True
            )
            z, of_z = drawn(1, number)
            with torch.no_grad():
                fake = paint(z, of_z)
            of_score.zero_grad()
            good, bad = score(real / 127.5 - 1, labels[chosen]), score(fake, of_z)
            ((1 - good).relu().mean() + (1 + bad).relu().mean()).backward()
            of_score.step()
        z, of_z = drawn(2, index)
        of_paint.zero_grad()
        (-score(paint(z, of_z), of_z).mean()).backward()
        of_paint.step()
    expected = [value for each in (paint, score) for value in each.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(weights(ours), expected, strict=True))


def test_the_critic_of_images_with_classes_is_told_of_them() -> None:
    pair = sngan.Generator(LATENT, 4, 1, 3), sngan.Critic(4, 1, 3)
    told: list[Tensor] = []
    pair[1].register_forward_pre_hook(lambda module, given: told.append(given[1]))
    conditional = task(pair, HINGE, size=32, classes=3, n_critic=1)
    conditional.step(0, optimizers(conditional))
    order = torch.randperm(20, generator=generator(9, 0, 0))[:BATCH]
    assert torch.equal(told[0], images()[1][order])
    assert all(0 <= int(label) < 3 for labels in told for label in labels)
    assert len({int(label) for labels in told[1:] for label in labels}) > 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch_size": 1}, r"batch_size must be in \[2, 20\], got 1"),
        ({"batch_size": 21}, r"batch_size must be in \[2, 20\], got 21"),
        ({"n_critic": 0}, "n_critic must be at least 1, got 0"),
        ({"samples": 1}, "samples must be at least 2, got 1"),
        ({"clip": 0.0}, r"clip must be in \(0, inf\), got 0.0"),
        ({"clip": math.nan}, r"clip must be in \(0, inf\), got nan"),
        ({"penalty": -1.0}, r"penalty must be in \[0, inf\), got -1.0"),
        ({"size": 16}, r"must make images of shape \(1, 1, 16, 16\), got \(1, 1, 8, 8\)"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        task(**changes)


def test_the_example_keeps_what_a_comparison_relies_on() -> None:
    path = EXAMPLES / "gan.py"
    ended = CliRunner().invoke(app, ["check", f"{path}:workload"])
    assert ended.exit_code == 0, ended.output
    study = declare(load_workload(f"{path}:workload"), "smoke", resolve(["adabelief"]))
    assert study.primary_metric.label == "Fréchet distance (LeNet)"
    assert "Kernel distance (LeNet)" in [metric.label for metric in study.metrics]
