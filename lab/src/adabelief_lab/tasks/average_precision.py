"""Mean average precision of boxes, by pycocotools."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from torch import Tensor

from adabelief_lab.common.errors import needs_extra
from adabelief_lab.data.voc_annotation import Annotation

with needs_extra("average precision", "pycocotools", "vision"):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

IOU = 0.5


def average_precision(
    truths: Sequence[Annotation], found: Sequence[Mapping[str, Tensor]]
) -> dict[str, float]:
    """How well boxes were found that overlap the true ones by an IoU of at least 0.5.

    "map50" is the mean over classes of average precision: at each of COCO's 101 recalls 0, 0.01,
    ... 1 the best precision there or at a higher recall (VOC's own metric takes 11 recalls in
    2007, all in 2012). "recall" is the share of true boxes that are found, mean over classes.
    Classes without a true box do not count. Difficult objects are neither asked for nor mistakes:
    they are COCO's "crowd", so what is found there need lie in them by half only.

    Args:
        truths: of each image.
        found: of each image, as torchvision's detectors return it: "boxes" (n, 4), "labels" (n,),
            "scores" (n,).

    Returns:
        Fractions in [0, 1].

    Raises:
        ValueError: not as many images on both sides, or no true box at all.
    """
    if len(truths) != len(found):
        msg = f"truths and found must be of the same images, got {len(truths)} and {len(found)}"
        raise ValueError(msg)
    if all(each.difficult.all() for each in truths):
        msg = "average precision needs at least 1 true box that is not difficult, got none"
        raise ValueError(msg)
    true = [
        {**_box(number, label, box), "iscrowd": int(difficult)}
        for number, each in enumerate(truths)
        for label, box, difficult in zip(each.labels, each.boxes, each.difficult, strict=True)
    ]
    detected = [
        {**_box(number, label, box), "score": float(score)}
        for number, each in enumerate(found)
        for label, box, score in zip(
            *(each[key].cpu().numpy() for key in ("labels", "boxes", "scores")), strict=True
        )
    ]
    images = len(truths)
    classes = sorted({each["category_id"] for each in (*true, *detected)})
    with redirect_stdout(io.StringIO()):  # it tells its progress
        evaluation = COCOeval(
            _coco(true, images, classes), _coco(detected, images, classes), iouType="bbox"
        )
        evaluation.params.iouThrs = np.array([IOU])
        evaluation.params.maxDets = [100]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0.0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = (evaluation.eval[key] for key in ("precision", "recall"))
    # -1 stands for classes without a true box.
    return {
        "map50": float(precision[precision >= 0].mean()),
        "recall": float(recall[recall >= 0].mean()),
    }


def _box(image: int, label: Any, box: Any) -> dict[str, Any]:
    left, top, right, bottom = (float(side) for side in box)
    width, height = right - left, bottom - top
    return {
        "image_id": image,
        "category_id": int(label),
        "bbox": [left, top, width, height],
        "area": width * height,
        "iscrowd": 0,
    }


def _coco(boxes: Sequence[dict[str, Any]], images: int, classes: Sequence[int]) -> COCO:
    made = COCO()
    made.dataset = {
        "images": [{"id": number} for number in range(images)],
        "categories": [{"id": label} for label in classes],
        # From 1: COCOeval takes a match with box 0 for none.
        "annotations": [{**box, "id": number} for number, box in enumerate(boxes, start=1)],
    }
    made.createIndex()
    return made
