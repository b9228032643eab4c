"""Detection: VOC's files, average precision by hand, batches, the network, the workload."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.conduct.check_workload import check
from adabelief_lab.conduct.compare import declare, published
from adabelief_lab.data import voc
from adabelief_lab.data.voc_annotation import Annotation, parse
from adabelief_lab.declare.study import Run, plan
from adabelief_lab.declare.workload import Preset, Task
from adabelief_lab.models import detection as networks
from adabelief_lab.run.train import execute
from adabelief_lab.run.validate import build
from adabelief_lab.store.run_folder import RunFolder
from adabelief_lab.tasks.average_precision import average_precision
from adabelief_lab.tasks.detection import Detection, mirror
from adabelief_lab.workloads import WORKLOADS
from adabelief_lab.workloads.datasets import DATA, state_of
from adabelief_lab.workloads.detection import divided, load_splits
from adabelief_lab.workloads.load import load_workload
from lab_ranks import detectors
from ranks.launch import run as run_ranks

WORKLOAD = WORKLOADS["detection-fasterrcnn"]
SMOKE = WORKLOAD.presets["smoke"]
LAYOUT = voc.Layout(
    voc.CLASSES,
    (voc.ImageSet("VOC2007", "trainval", 2, "a.tar"), voc.ImageSet("VOC2012", "trainval", 3)),
    (voc.ImageSet("VOC2007", "test", 1),),
)


def xml(boxes: str = "", width: int = 8, height: int = 6) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation>{size}{boxes}</annotation>"


def dog(*sides: float, more: str = "") -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    corners = "".join(f"<{n}>{s:g}</{n}>" for n, s in zip(names, sides, strict=True))
    return f"<object><name>dog</name>{more}<bndbox>{corners}</bndbox></object>"


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    """A VOCdevkit of six images, 8 × 6 pixels, a dog on each."""
    root = tmp_path / voc.DEVKIT
    for place, each in enumerate((*LAYOUT.train, *LAYOUT.test)):
        year = root / each.year
        for folder in ("ImageSets/Main", "Annotations", "JPEGImages"):
            (year / folder).mkdir(parents=True, exist_ok=True)
        names = [f"{place}_{number}" for number in range(each.images)]
        (year / "ImageSets" / "Main" / f"{each.name}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            (year / "Annotations" / f"{name}.xml").write_text(xml(dog(2, 1, 8, 5)))
            picture = np.full((6, 8, 3), 40 * place, np.uint8)
            Image.fromarray(picture).save(year / "JPEGImages" / f"{name}.jpg")
    return root


def test_the_embedded_photographs_are_what_their_notice_says() -> None:
    data = voc.load("trees")
    counts = [(len(part), sum(len(each.objects.labels) for each in part)) for part in
              (data.train, data.test)]  # fmt: skip
    assert counts == [(117, 659), (30, 265)]
    every = [*data.train, *data.test]
    assert all(each.objects.size == (200, 200) for each in every)
    assert {int(label) for each in every for label in each.objects.labels} == {1}
    assert every[0].pixels().shape == (3, 200, 200)
    notice = resources.files("adabelief_lab.data").joinpath("LICENSE.trees-voc").read_text()
    assert "deepforest 2.1.0" in notice
    assert "Copyright (c) 2019 Ben Weinstein" in notice


def test_the_catalogue_knows_both_sets(devkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {each.name: each for each in DATA}
    assert state_of(states["trees-voc"]) == ("ready", "in the package")
    monkeypatch.delenv(voc.VARIABLE, raising=False)
    assert state_of(states["voc"]).state == "missing"
    monkeypatch.setenv(voc.VARIABLE, str(devkit))
    state, detail = state_of(states["voc"])
    assert state == "damaged"
    assert "trainval.txt: must list 5011 different images, got 2" in detail


@pytest.mark.parametrize("package", ["torchvision", "pycocotools"])
def test_without_the_extra_the_message_says_how_to_get_it(package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from adabelief_lab.workloads.detection import workload\n"
        "try: workload.build(workload.presets['smoke'], 0, 0)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("LabError ")
    assert f'{package}: pip install "adabelief-lab[vision]"' in ended.stdout


def test_another_embedded_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voc, "EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(LabError, match=r"trees_voc\.zip: sha256 must be 000.*, got ee32b172"):
        voc.load("trees")


def test_both_years_are_read_from_the_folder_or_within_it(
    devkit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voc, "LAYOUTS", {"voc0712": LAYOUT})
    for folder in (devkit, devkit.parent, devkit / "VOC2012"):
        monkeypatch.setenv(voc.VARIABLE, str(folder))
        data = voc.load("voc0712")
        assert [each.file.name for each in data.train] == [
            "0_0.jpg", "0_1.jpg", "1_0.jpg", "1_1.jpg", "1_2.jpg",
        ]  # fmt: skip
        assert [each.file.name for each in data.test] == ["2_0.jpg"]
        found = data.test[0]
        assert found.objects.boxes.tolist() == [[1, 0, 8, 5]]
        assert found.objects.labels.tolist() == [1 + voc.CLASSES.index("dog")]
        assert abs(found.pixels().astype(int) - 80).max() < 3  # JPEG


def test_without_a_folder_its_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(voc.VARIABLE, raising=False)
    with pytest.raises(MissingDataError, match=r"set ADABELIEF_VOC .* VOC2007 and VOC2012 from"):
        WORKLOAD.build(WORKLOAD.presets["authors"], 0, 0)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("ImageSets/Main/trainval.txt", "missing VOC2007/ImageSets/Main/trainval.txt. They are in"),
        ("Annotations/0_1.xml", "missing VOC2007/Annotations/0_1.xml. They are in a.tar, host"),
        ("JPEGImages/0_0.jpg", "missing VOC2007/JPEGImages/0_0.jpg. They are in a.tar, host"),
    ],
)
def test_a_partial_folder_is_refused_with_what_is_missing(
    devkit: Path, file: str, message: str
) -> None:
    (devkit / "VOC2007" / file).unlink()
    with pytest.raises(MissingDataError, match=message):
        voc.read(devkit, LAYOUT)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"missing VOC2007/ImageSets/Main/trainval\.txt"):
        voc.read(tmp_path, LAYOUT)


@pytest.mark.parametrize("names", ["1_0\n1_1\n", "1_0\n1_1\n1_1\n"])
def test_a_list_of_another_length_is_refused(devkit: Path, names: str) -> None:
    (devkit / "VOC2012" / "ImageSets" / "Main" / "trainval.txt").write_text(names)
    with pytest.raises(LabError, match=r"trainval\.txt: must list 3 different images, got 2"):
        voc.read(devkit, LAYOUT)


def test_an_image_to_train_and_to_test_on_is_refused(devkit: Path) -> None:
    (devkit / "VOC2007" / "ImageSets" / "Main" / "test.txt").write_text("0_1\n")
    with pytest.raises(LabError, match="VOC2007/0_1 would train and test"):
        voc.read(devkit, LAYOUT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xml()[:-5], "unclosed token|mismatched tag|no element"),
        ("<annotation></annotation>", "annotation must have a number at size/width, got None"),
        (xml(width=0), "size/width must be a whole number of 1 or more, got 0"),
        (xml(dog(1, 1, 9, 6)), "within the 8 × 6 pixels .* = 1, 1, 9, 6"),
        (xml(dog(-1, 1, 8, 6)), "within the 8 × 6 pixels"),
        (xml(dog(1, 1, 8, 7)), "within the 8 × 6 pixels"),
        (xml(dog(5, 1, 4, 6)), "not empty, got .* = 5, 1, 4, 6"),
        (xml(dog(0, 1, 0, 6)), "not empty"),
        (xml(dog(float("nan"), 1, 4, 6)), "not empty"),
        (xml("<object><name>dog</name></object>"), "number at bndbox/xmin, got None"),
        (xml(dog(1, 1, 2, 2).replace("dog", "wolf")), "one of aeroplane, .*, got 'wolf'"),
    ],
)
def test_a_broken_annotation_is_refused_by_its_file(
    devkit: Path, content: str, message: str
) -> None:
    (devkit / "VOC2012" / "Annotations" / "1_1.xml").write_text(content)
    with pytest.raises(LabError, match=rf"1_1\.xml: .*({message})"):
        voc.read(devkit, LAYOUT)


def test_boxes_hold_their_last_pixel_and_parts_are_no_objects() -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    difficult = "<difficult>1</difficult>"
    content = xml(
        dog(1, 1, 8, 6, more=part) + dog(3.5, 2, 3.5, 2, more=difficult) + dog(0, 0, 1, 1)
    )
    found = parse(content.encode(), voc.CLASSES, "here")
    assert found.boxes.tolist() == [[0, 0, 8, 6], [2.5, 1, 3.5, 2], [0, 0, 1, 1]]
    assert found.difficult.tolist() == [False, True, False]


@pytest.mark.parametrize("damage", ["noise", "truncated", "other size"])
def test_an_image_that_cannot_be_used_is_refused_by_its_file(devkit: Path, damage: str) -> None:
    file = devkit / "VOC2007" / "JPEGImages" / "2_0.jpg"
    if damage == "noise":
        file.write_bytes(b"no JPEG")
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-40])
    else:
        Image.new("RGB", (6, 8)).save(file)
    message = "must have the 8 × 6 .* got 6 × 8" if damage == "other size" else "cannot be read"
    with pytest.raises(LabError, match=rf"2_0\.jpg: {message}"):
        voc.read(devkit, LAYOUT).test[0].pixels()


def truth(
    *boxes: tuple[float, ...], labels: tuple[int, ...] = (), difficult: Any = ()
) -> Annotation:
    return Annotation(
        (100, 100),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels or [1] * len(boxes), np.int64),
        np.array(difficult or [False] * len(boxes), np.bool_),
    )


def boxes(*found: tuple[tuple[float, ...], float], label: int = 1) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor([list(box) for box, _ in found]).reshape(-1, 4),
        "labels": torch.full((len(found),), label),
        "scores": torch.tensor([score for _, score in found]),
    }


A, B, FAR = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 70.0, 60.0), (80.0, 80.0, 90.0, 90.0)


def test_average_precision_is_that_worked_out_by_hand() -> None:
    """Right, wrong, right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.

    Of the recalls 0, 0.01, ... 1, 51 are at most 1/2 and have precision 1, 50 have 2/3.
    """
    found = boxes((A, 0.9), (FAR, 0.8), (B, 0.7))
    expected = (51 + 50 * 2 / 3) / 101
    assert average_precision([truth(A, B)], [found]) == pytest.approx(
        {"map50": expected, "recall": 1.0}
    )
    # The same over two images: boxes belong to their image.
    two = [boxes((A, 0.9), (FAR, 0.8)), boxes((B, 0.7))]
    assert average_precision([truth(A), truth(B)], two)["map50"] == pytest.approx(expected)
    swapped = average_precision([truth(A), truth(B)], two[::-1])
    assert swapped == {"map50": 0.0, "recall": 0.0}
    # A second class without detections halves the mean; one without truths does not count.
    with_cat = [truth(A, B, FAR, labels=(1, 1, 2))]
    assert average_precision(with_cat, [found]) == pytest.approx(
        {"map50": expected / 2, "recall": 0.5}
    )


def test_a_box_found_twice_is_wrong_once() -> None:
    found = boxes((A, 0.9), (A, 0.8), (B, 0.7))
    expected = (51 + 50 * 2 / 3) / 101
    assert average_precision([truth(A, B)], [found])["map50"] == pytest.approx(expected)


@pytest.mark.parametrize(("width", "expected"), [(4.0, 0.0), (6.0, 1.0)])
def test_a_box_is_found_by_half(width: float, expected: float) -> None:
    found = boxes(((0.0, 0.0, width, 10.0), 0.9))
    assert average_precision([truth(A)], [found])["map50"] == pytest.approx(expected)


@pytest.mark.parametrize("found", [boxes(), boxes((FAR, 0.9)), boxes((A, 0.9), label=2)])
def test_nothing_found_is_nought(
    found: dict[str, Tensor], capfd: pytest.CaptureFixture[str]
) -> None:
    assert average_precision([truth(A)], [found]) == {"map50": 0.0, "recall": 0.0}
    assert capfd.readouterr().out == ""


def test_difficult_boxes_are_neither_asked_for_nor_mistakes() -> None:
    image = truth(A, B, difficult=(False, True))
    perfect = {"map50": 1.0, "recall": 1.0}
    for found in (boxes((A, 0.5)), boxes((B, 0.9), (A, 0.5))):
        assert average_precision([image], [found]) == pytest.approx(perfect)


def test_no_truth_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 true box that is not difficult, got none"):
        average_precision([truth(A, difficult=(True,))], [boxes()])
    with pytest.raises(ValueError, match="of the same images, got 1 and 0"):
        average_precision([truth(A)], [])


def test_a_mirrored_box_is_around_the_mirrored_pixels() -> None:
    image = torch.zeros(3, 6, 8)
    image[:, 1:4, 2:7] = 1
    turned, (box,) = mirror(image, torch.tensor([[2.0, 1.0, 7.0, 4.0]]))
    left, top, right, bottom = box.int().tolist()
    assert turned[:, top:bottom, left:right].all()
    assert turned.sum() == image.sum() == 3 * (right - left) * (bottom - top)
    assert torch.equal(mirror(turned, box[None])[0], image)


def smoke(init_seed: int = 0, data_seed: int = 1, **options: object) -> Detection:
    preset = SMOKE.model_copy(update={"options": {**SMOKE.options, **options}})
    return cast("Detection", WORKLOAD.build(preset, init_seed, data_seed))


def test_a_batch_depends_on_its_number_and_the_seed_only() -> None:
    one, other = smoke(), smoke(init_seed=5)
    one.batch(60)
    for index in (7, 53, 0):
        for left, right in zip(*(task.batch(index) for task in (one, other)), strict=True):
            for a, b in zip(left, right, strict=True):
                assert torch.equal(*(x["boxes"] if isinstance(x, dict) else x for x in (a, b)))
    assert not torch.equal(smoke(data_seed=2).batch(0)[0][0], one.batch(0)[0][0])


def test_an_epoch_has_every_picture_once_and_half_of_them_mirrored() -> None:
    task, pictures = smoke(), load_splits("trees", hold_out=True)[0]["train"]
    known = {each.pixels().tobytes(): number for number, each in enumerate(pictures)}
    seen, mirrored = [], 0
    for index in range(len(pictures) // 2):
        for image, target in zip(*task.batch(index), strict=True):
            pixels: NDArray[np.uint8] = image.mul(255).round().byte().numpy()
            number = known.get(pixels.tobytes(), -1)
            if number < 0:
                number, mirrored = known[pixels[..., ::-1].tobytes()], mirrored + 1
            seen.append(number)
            assert len(target["boxes"]) == len(pictures[number].objects.boxes)
    assert sorted(seen) == list(range(106))
    assert 53 - 20 < mirrored < 53 + 20  # four standard deviations of 106 coins


def test_difficult_boxes_are_not_trained_on(devkit: Path) -> None:
    more = "<difficult>1</difficult>"
    content = xml(dog(1, 1, 2, 2, more=more) + dog(2, 1, 8, 5))
    (devkit / "VOC2007" / "Annotations" / "0_0.xml").write_text(content)
    picture = voc.read(devkit, LAYOUT).train[0]
    alone = (picture,)
    task = Detection(
        nn.Linear(1, 1), train=alone, valid=alone, test=alone, batch_size=1, data_seed=0
    )
    (target,) = task.batch(0)[1]
    assert target["boxes"].tolist() in ([[1, 0, 8, 5]], [[0, 0, 7, 5]])


def test_every_tenth_picture_tunes_and_at_least_one() -> None:
    splits, classes = load_splits("trees", hold_out=True)
    assert classes == 1
    assert [len(splits[name]) for name in ("train", "valid", "test")] == [106, 11, 30]
    names = [each.file.name for part in splits.values() for each in part]
    assert len(set(names)) == 147
    whole, _ = load_splits("trees", hold_out=False)
    assert len(whole["train"]) == 117
    assert whole["valid"] == whole["test"]
    train, valid = divided(whole["train"][:3])
    assert (*train, *valid) == whole["train"][:3]
    assert len(valid) == 1


def test_the_full_network_is_torchvisions() -> None:
    ours = networks.faster_rcnn(20)
    theirs = models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=21
    )
    assert [(name, each.shape) for name, each in ours.state_dict().items()] == [
        (name, each.shape) for name, each in theirs.state_dict().items()
    ]
    assert all(each.requires_grad for each in ours.parameters())
    resize: Any = ours.transform
    assert (resize.min_size, resize.max_size) == ((600,), 1000)


def test_backbone_weights_are_taken_whole_and_their_beginning_stays(tmp_path: Path) -> None:
    file = tmp_path / "resnet50.pth"
    state = models.resnet50(weights=None).state_dict()
    torch.save(state, file)
    network = networks.faster_rcnn(20, file)
    body: nn.Module = network.backbone.body  # type: ignore[assignment, union-attr]
    for name, value in body.state_dict().items():
        assert torch.equal(value, state[name]), name
    trained = {name.split(".")[0] for name, each in body.named_parameters() if each.requires_grad}
    assert trained == {"layer2", "layer3", "layer4"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: .*No such file"),
        (b"no weights", "cannot be read"),
        ([1, 2], "must be a state dict, got list"),
        ({}, "not of torchvision's resnet50: .*Missing key"),
        ("resnet18", "not of torchvision's resnet50: .*(Missing|Unexpected) key"),
    ],
)
def test_weights_of_another_model_are_refused(
    tmp_path: Path, content: object, message: str
) -> None:
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(models.resnet18().state_dict() if content == "resnet18" else content, file)
    with pytest.raises(LabError, match=f"backbone_weights .*weights.pth: {message}") as caught:
        networks.faster_rcnn(20, file)
    assert len(str(caught.value)) < 600


def test_a_small_network_takes_no_backbone_weights() -> None:
    with pytest.raises(LabError, match="reduced must be false, got true"):
        smoke(backbone_weights="x.pth")


@pytest.mark.slow  # for processors without instructions for it
def test_bfloat16_computes_and_float32_stays() -> None:
    task = smoke(precision="bfloat16")
    model = task.modules["model"]
    loss = task.step(0, {"model": torch.optim.SGD(model.parameters(), lr=0.0)})["loss"]
    exact = smoke().modules["model"]
    assert torch.isfinite(loss)
    assert {each.dtype for each in model.parameters()} == {torch.float32}
    assert all(each.grad is None or each.grad.dtype == torch.float32 for each in model.parameters())
    for one, other in zip(model.parameters(), exact.parameters(), strict=True):
        assert torch.equal(one, other)  # lr=0


def test_gradients_are_clipped_together() -> None:
    task = smoke(clip_norm=0.01)
    model = task.modules["model"]
    task.step(0, {"model": torch.optim.SGD(model.parameters(), lr=0.0)})
    norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert norm.item() == pytest.approx(0.01, rel=1e-4)


def declared(preset: Preset, **changes: object) -> Run:
    return Run.model_validate(
        {
            "workload": WORKLOAD.name, "workload_hash": "", "preset": "smoke",
            "steps": preset.steps, "eval_every": preset.eval_every, "schedule": preset.schedule,
            "options": preset.options, "optimizer": "adam", "implementation": "adam",
            "hyperparameters": {"lr": 1e-3}, "init_seed": 3, "data_seed": 4, "phase": "tune",
            **changes,
        }
    )  # fmt: skip


class Killed(BaseException):
    """Nothing in the lab catches it, as nothing catches SIGKILL."""


def test_a_run_that_was_killed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Faster-RCNN samples proposals with torch's global generator."""
    run = declared(SMOKE, steps=4)
    execute(RunFolder(tmp_path / "whole"), run, WORKLOAD)

    def dies(preset: Preset, init_seed: int, data_seed: int) -> Task:
        task = cast("Detection", WORKLOAD.build(preset, init_seed, data_seed))
        steps = task.step

        def step(index: int, optimizers: Any) -> Any:
            if index == 3:
                raise Killed
            return steps(index, optimizers)

        task.step = step  # type: ignore[method-assign]
        return task

    cut = RunFolder(tmp_path / "cut")
    with pytest.raises(Killed):
        execute(cut, run, replace(WORKLOAD, build=dies))
    torch.manual_seed(99)
    execute(cut, run, WORKLOAD)
    whole, again = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "cut"))
    assert again == whole
    result = cut.result()
    assert result is not None
    assert (result.status, result.resumed) == ("ok", 1)
    rows = [json.loads(line) for line in whole.splitlines()]
    assert [row["step"] for row in rows if row["split"] == "valid"] == [2, 4]


def test_a_run_that_explodes_has_diverged_not_failed(tmp_path: Path) -> None:
    run = declared(SMOKE, implementation="sgd", hyperparameters={"lr": 1e12})
    folder = RunFolder(tmp_path)
    execute(folder, run, WORKLOAD)
    result = folder.result()
    assert result is not None
    assert result.status == "diverged", result.reason


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_workload_keeps_its_promises() -> None:
    findings = list(check(WORKLOAD, SMOKE))
    assert len(findings) == 14
    assert [each for each in findings if each.state == "failed"] == []
    unclear = {each.check for each in findings if each.state == "inconclusive"}
    # Six steps are too few to see it.
    assert unclear <= {"the primary metric improves in its direction"}


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_take_the_mean_of_their_parts(parallel: str) -> None:
    run_ranks(detectors.mean_of_the_parts, ranks=2, seconds=250, parallel=parallel)


def test_parts_that_are_not_equal_are_refused() -> None:
    task = smoke()
    assert task.refuses(2, "ddp") == task.refuses(2, "fsdp") == ""
    assert "multiple of the 3 processes" in task.refuses(3, "ddp")


def test_the_authors_preset_is_twelve_epochs_with_one_decay() -> None:
    preset = WORKLOAD.presets["authors"]
    per_epoch = (5011 + 11540) // 2
    assert preset.steps == 12 * per_epoch
    assert preset.schedule.factor(9 * per_epoch - 1, preset.steps) == 1.0
    assert preset.schedule.factor(9 * per_epoch, preset.steps) == pytest.approx(0.1)
    loaded = load_workload(WORKLOAD.name)
    study = declare(loaded, "quick", published(loaded.workload))
    runs = plan(study, {})
    assert len(runs) == 3 * len(study.optimizers) == 18
    assert {run.hyperparameters["lr"] for run in runs if run.optimizer == "adabelief"} == {1e-4}
    assert build(WORKLOAD, runs[0]).modules["model"] is not None
