"""Faster-RCNN with a feature pyramid (Ren et al. 2015, Lin et al. 2017), by torchvision."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from textwrap import shorten

import torch
from torch import nn

from adabelief_lab.common.errors import LabError, needs_extra

with needs_extra("Faster-RCNN", "torchvision", "vision"):
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.resnet import BasicBlock, ResNet
    from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

# mmdetection's for VOC: the shorter side of an image, unless the longer one would be more.
_SHORTER, _LONGER = 600, 1000

# Of the small network: channels of the pyramid, pixels of a pooled region, units of the head.
_WIDTH, _POOLED, _HIDDEN = 32, 7, 256


def faster_rcnn(classes: int, backbone_weights: Path | None = None) -> nn.Module:
    """The fasterrcnn_resnet50_fpn of torchvision, for images of some 600 × 1000.

    As there, all of a backbone without weights is trained; of one with weights, batch
    normalisation, stem and first stage stay as they are.

    Args:
        classes: without the background.
        backbone_weights: file of a state dict of torchvision's resnet50; its last layer is not
            used.

    Raises:
        LabError: no such file, or of another model.
    """
    pretrained = backbone_weights is not None
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        norm_layer=FrozenBatchNorm2d if pretrained else nn.BatchNorm2d,
        trainable_layers=3 if pretrained else 5,
    )
    if backbone_weights is not None:
        _fill(backbone.body, backbone_weights)
    return FasterRCNN(backbone, classes + 1, min_size=_SHORTER, max_size=_LONGER)


def small_faster_rcnn(classes: int, size: int = 200) -> nn.Module:
    """The same with three stages of one block each, for images of `size` × `size` pixels.

    Group normalisation: two small images are too few for the statistics of a batch.
    """
    network = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=partial(nn.GroupNorm, 8))
    stages = {"layer1": "0", "layer2": "1", "layer3": "2"}
    backbone = BackboneWithFPN(network, stages, [64, 128, 256], out_channels=_WIDTH)
    # Of each of the pyramid's four maps; trees are some 35 pixels wide.
    anchors = AnchorGenerator(((16,), (32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 4)
    pool = MultiScaleRoIAlign(list(stages.values()), output_size=_POOLED, sampling_ratio=2)
    return FasterRCNN(
        backbone,
        min_size=size,
        max_size=size,
        rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_train=500,
        rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_train=500,
        rpn_post_nms_top_n_test=200,
        box_roi_pool=pool,
        box_head=TwoMLPHead(_WIDTH * _POOLED**2, _HIDDEN),
        box_predictor=FastRCNNPredictor(_HIDDEN, classes + 1),
        box_batch_size_per_image=64,
    )


def _fill(body: nn.Module, file: Path) -> None:
    """Load a backbone, all of it or nothing."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        msg = f"backbone_weights {file}: cannot be read: {shorten(str(error), 300)}"
        raise LabError(msg) from error
    if not isinstance(state, dict):
        msg = f"backbone_weights {file}: must be a state dict, got {type(state).__name__}"
        raise LabError(msg)
    weights = {name: value for name, value in state.items() if not str(name).startswith("fc.")}
    try:
        body.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        msg = f"backbone_weights {file}: not of torchvision's resnet50: {shorten(str(error), 300)}"
        raise LabError(msg) from error
