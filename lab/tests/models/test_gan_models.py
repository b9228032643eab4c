"""Networks of the GANs: shapes, sizes by hand, what norms and projections do."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from adabelief_lab.models import dcgan, sngan


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def noise(n: int, latent: int = 6) -> Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [8, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_generators_images_are_a_critics(size: int, channels: int) -> None:
    images = dcgan.Generator(6, 2, channels, size)(noise(5))
    assert images.shape == (5, channels, size, size)
    assert images.abs().max() <= 1
    assert dcgan.Critic(2, channels, size)(images).shape == (5,)


def test_at_the_papers_size_they_have_the_parameters_of_radford_et_al() -> None:
    """Transposed convolutions of 4 × 4 from 100 over 512, 256, 128, 64 to 3; no bias; norms."""
    widths = (100, 512, 256, 128, 64, 3)
    convolutions = [16 * a * b for a, b in pairwise(widths)]
    norms = 2 * sum(widths[1:-1])
    assert count(dcgan.Generator(100, 64, 3, 64)) == sum(convolutions) + norms
    down = (3, 64, 128, 256, 512, 1)
    convolutions = [16 * a * b for a, b in pairwise(down)]
    # No norm after the first convolution and none after the last: Radford et al. 2016, section 3.
    assert count(dcgan.Critic(64, 3, 64)) == sum(convolutions) + 2 * sum(down[2:-1])


@pytest.mark.parametrize("size", [0, -8, 4, 24, 33])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"power of two of at least 8, got {size}"):
        dcgan.Generator(6, 2, 1, size)
    with pytest.raises(ValueError, match=f"power of two of at least 8, got {size}"):
        dcgan.Critic(2, 1, size)


def test_weights_begin_as_radford_et_al_want_them() -> None:
    torch.manual_seed(0)
    for module in dcgan.Generator(100, 64, 3, 64).modules():
        if isinstance(module, nn.ConvTranspose2d):
            deviation = 0.02 / (2 * module.weight.numel()) ** 0.5
            assert module.weight.std().item() == pytest.approx(0.02, abs=5 * deviation)
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert not module.bias.any()


def test_only_the_authors_critic_ends_in_a_sigmoid() -> None:
    images = 50 * dcgan.Generator(6, 2, 1, 8)(noise(40))
    torch.manual_seed(0)
    free = dcgan.Critic(2, 1, 8, norm="none")
    torch.manual_seed(0)
    bounded = dcgan.Critic(2, 1, 8, norm="none", sigmoid=True)
    torch.testing.assert_close(bounded(images), torch.sigmoid(free(images)))


@pytest.mark.parametrize(("norm", "mixes"), [("batch", True), ("layer", False), ("none", False)])
def test_only_batch_normalisation_mixes_images(norm: dcgan.Norm, mixes: bool) -> None:
    torch.manual_seed(0)
    critic = dcgan.Critic(4, 1, 16, norm=norm)
    images = torch.randn(6, 1, 16, 16)
    alone = torch.stack([critic(image.expand(2, 1, 16, 16))[0] for image in images])
    together = critic(images)
    assert torch.allclose(alone, together, atol=1e-6) != mixes


def conditional() -> tuple[sngan.Generator, sngan.Critic]:
    torch.manual_seed(0)
    return sngan.Generator(6, 8, 3, 10), sngan.Critic(8, 3, 10)


def test_the_conditional_pair_has_its_shapes() -> None:
    generator, critic = conditional()
    labels = torch.arange(5)
    images = generator(noise(5), labels)
    assert images.shape == (5, 3, 32, 32)
    assert images.abs().max() <= 1
    assert critic(images, labels).shape == (5,)


def test_at_the_papers_size_they_have_the_parameters_of_miyato_et_al() -> None:
    """Table 4: three blocks up of width 256; four down of 128; both told of ten classes."""
    up = 2 * (9 * 256 * 256 + 256) + (256 * 256 + 256) + 2 * 2 * 10 * 256
    ends = (128 * 256 * 16 + 256 * 16) + 2 * 256 + (9 * 256 * 3 + 3)
    assert count(sngan.Generator(128, 256, 3, 10)) == 3 * up + ends
    first = (9 * 3 * 128 + 128) + (9 * 128 * 128 + 128) + (3 * 128 + 128)
    inner = 2 * (9 * 128 * 128 + 128)
    shortcut = 128 * 128 + 128  # of the second, which halves; the last two have none
    assert count(sngan.Critic(128, 3, 10)) == first + 3 * inner + shortcut + 129 + 10 * 128


def test_every_weight_of_the_critic_is_divided_by_its_largest_singular_value() -> None:
    _, critic = conditional()
    layers = [m for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 12
    for layer in layers:
        assert parametrize.is_parametrized(layer, "weight")
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        assert largest.item() == pytest.approx(1, abs=1e-3)


def test_weights_begin_orthogonal() -> None:
    generator, _ = conditional()
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.flatten(1)
            product = weight @ weight.T if len(weight) <= weight.shape[1] else weight.T @ weight
            torch.testing.assert_close(product, torch.eye(len(product)), atol=1e-5, rtol=0)
            assert module.bias is None or not module.bias.any()


def test_the_class_matters_by_the_projection_alone() -> None:
    """Two classes' scores differ by the difference of their vectors times the features."""
    _, critic = conditional()
    critic.eval()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    found = torch.relu(critic.blocks(images)).sum(dim=(2, 3))
    weight = critic.classes.weight
    difference = critic(images, torch.full((4,), 3)) - critic(images, torch.full((4,), 7))
    torch.testing.assert_close(difference, found @ (weight[3] - weight[7]), rtol=1e-4, atol=1e-5)


def test_the_generators_norms_have_a_gain_and_a_bias_for_each_class() -> None:
    generator, _ = conditional()
    generator.eval()
    labels = torch.tensor([0, 1])
    same = noise(1).expand(2, -1)
    before = generator(same, labels)
    torch.testing.assert_close(before[0], before[1])  # classes begin alike
    with torch.no_grad():
        generator.blocks[0].norms[0].gain[1] += 1  # type: ignore[union-attr,index]
    after = generator(same, labels)
    torch.testing.assert_close(after[0], before[0])
    assert not torch.allclose(after[1], before[1], atol=1e-3)


def test_images_are_painted_as_table_4_says() -> None:
    """Norm, ReLU, doubling, convolution, norm, ReLU, convolution, and a shortcut; three times."""
    generator, _ = conditional()
    generator.eval()
    source = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=source))
        for name, buffer in generator.named_buffers():
            # Means about nought: else no ReLU lets anything through, and nothing is compared.
            if "running_mean" in name:
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=source))
            elif "running_var" in name:
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=source))
    state, labels = generator.state_dict(), torch.tensor([0, 4, 9])

    def normed(x: Tensor, name: str, gain: Tensor, bias: Tensor) -> Tensor:
        mean, var = (state[f"{name}.running_{each}"][:, None, None] for each in ("mean", "var"))
        scaled = (x - mean) / (var + 1e-5).sqrt()
        return scaled * gain[..., None, None] + bias[..., None, None]

    def convolved(x: Tensor, name: str) -> Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return nn.functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def doubled(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    x = (noise(3) @ state["first.weight"].T + state["first.bias"]).view(3, 8, 4, 4)
    for block in range(3):
        y = x
        for place in range(2):
            at = f"blocks.{block}.norms.{place}"
            gain, bias = state[f"{at}.gain"][labels], state[f"{at}.bias"][labels]
            y = normed(y, f"{at}.norm", gain, bias).relu()
            y = convolved(y if place else doubled(y), f"blocks.{block}.convolutions.{place}")
        x = y + convolved(doubled(x), f"blocks.{block}.shortcut")
    x = normed(x, "norm", state["norm.weight"], state["norm.bias"]).relu()
    expected = convolved(x, "last").tanh()
    torch.testing.assert_close(generator(noise(3), labels), expected, rtol=1e-4, atol=1e-5)


def test_images_are_scored_as_table_4_says() -> None:
    """ReLU, convolution, ReLU, convolution, and a shortcut; the first begins with the image."""
    _, critic = conditional()
    critic.eval()
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    labels = torch.tensor([0, 4, 9])
    pooled = nn.functional.avg_pool2d
    x = images
    for number, block in enumerate(critic.blocks):
        first, second = block.convolutions  # type: ignore[misc]
        y = second(first(x if number == 0 else x.relu()).relu())
        shortcut = block.shortcut(x)  # type: ignore[operator]
        x = pooled(y, 2) + pooled(shortcut, 2) if number < 2 else y + shortcut
    found = x.relu().sum(dim=(2, 3))
    expected = critic.score(found)[:, 0] + (critic.classes.weight[labels] * found).sum(dim=1)
    torch.testing.assert_close(critic(images, labels), expected, rtol=1e-4, atol=1e-4)


def test_halving_before_the_shortcut_is_halving_after_it() -> None:
    torch.manual_seed(0)
    convolution, x = nn.Conv2d(3, 5, 1), torch.randn(2, 3, 8, 8)
    pooled = nn.functional.avg_pool2d
    torch.testing.assert_close(convolution(pooled(x, 2)), pooled(convolution(x), 2))
