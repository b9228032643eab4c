"""VGG, ResNet and DenseNet for images of 32 × 32, as the authors trained them on CIFAR.

torchvision's blocks; only the stems and heads differ from its networks for ImageNet. Weights begin
as torch's layers make them, except VGG's convolutions: so did the authors' networks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from torch import nn

from adabelief_lab.common.errors import needs_extra

with needs_extra("a network for CIFAR", "torchvision", "vision"):
    from torchvision.models import DenseNet
    from torchvision.models.resnet import BasicBlock
    from torchvision.models.vgg import make_layers

STAGES = 4


def vgg(classes: int, width: int = 64) -> nn.Sequential:
    """VGG11 without batch normalisation; 9.75 M parameters at its own width, 10 classes.

    Configuration A of Simonyan & Zisserman 2015, then three linear layers of 8 · width with
    dropout. Images (n, 3, 32, 32) -> logits (n, classes).
    """
    w, last = width, 8 * width
    convolutions: list[str | int] = [w, "M", 2 * w, "M", 4 * w, 4 * w, "M", last, last, "M", last]
    features = make_layers([*convolutions, last, "M"])
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return nn.Sequential(
        features,
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(last, last),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(last, last),
        nn.ReLU(),
        nn.Linear(last, classes),
    )


def resnet(classes: int, blocks: Sequence[int] = (3, 4, 6, 3), width: int = 64) -> nn.Sequential:
    """ResNet34 with a stem of one 3 × 3 convolution; 21.28 M parameters with 10 classes.

    He et al. 2016 with four stages of basic blocks of width, 2, 4 and 8 · width.
    Images (n, 3, 32, 32) -> logits (n, classes).
    """
    _four(blocks)
    layers: list[nn.Module] = [
        nn.Conv2d(3, width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    wide = width
    for stage, count in enumerate(blocks):
        for place in range(count):
            planes, stride = width << stage, 2 if stage and not place else 1
            layers.append(BasicBlock(wide, planes, stride, _shortcut(wide, planes, stride)))
            wide = planes
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(wide, classes))


def _shortcut(wide: int, planes: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and wide == planes:
        return None
    convolution = nn.Conv2d(wide, planes, kernel_size=1, stride=stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(planes))


def densenet(classes: int, blocks: Sequence[int] = (6, 12, 24, 16), growth: int = 32) -> nn.Module:
    """DenseNet121 with a stem of one 3 × 3 convolution; 6.96 M parameters with 10 classes.

    Huang et al. 2017, growth 32, transitions that halve. Images (n, 3, 32, 32) -> (n, classes).
    """
    first, second, third, fourth = _four(blocks)
    network = DenseNet(growth, (first, second, third, fourth), 2 * growth, num_classes=classes)
    stem = nn.Conv2d(3, 2 * growth, kernel_size=3, padding=1, bias=False)
    stems = ("conv0", "norm0", "relu0", "pool0")
    rest = [(name, part) for name, part in network.features.named_children() if name not in stems]
    network.features = nn.Sequential(OrderedDict([("conv0", stem), *rest]))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()  # torchvision's own start is another
    return network


def _four(blocks: Sequence[int]) -> Sequence[int]:
    if len(blocks) != STAGES or min(blocks) < 1:
        msg = f"blocks must be {STAGES} numbers of 1 or more, got {list(blocks)}"
        raise ValueError(msg)
    return blocks


# The paper's size, and one of the same family that trains in minutes on a processor.
Network = Callable[[int], nn.Module]
FULL: Mapping[str, Network] = {"vgg11": vgg, "resnet34": resnet, "densenet121": densenet}
REDUCED: Mapping[str, Network] = {
    "vgg11": lambda classes: vgg(classes, width=8),
    "resnet34": lambda classes: resnet(classes, blocks=(1, 1, 1, 1), width=8),
    "densenet121": lambda classes: densenet(classes, blocks=(1, 1, 1, 1), growth=8),
}
