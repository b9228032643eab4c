"""ImageNet: its folder, what is done to an image, its workload, alone and by two processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as transforms

from adabelief_lab.common import num_workers
from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.conduct.check_workload import check
from adabelief_lab.data import imagenet
from adabelief_lab.declare.workload import Preset
from adabelief_lab.run.validate import dry_run
from adabelief_lab.tasks.augment import standardized
from adabelief_lab.tasks.streaming import StreamingClassifier
from adabelief_lab.workloads import WORKLOADS
from adabelief_lab.workloads.datasets import DATA, state_of
from adabelief_lab.workloads.imagenet import Options, splits
from adabelief_lab.workloads.imagenet import transforms as ours
from lab_ranks import streams
from pictures import CLASSES, write
from ranks.launch import run as launch

WORKLOAD = WORKLOADS["imagenet-resnet18"]
PRESETS = WORKLOAD.presets
SMOKE = PRESETS["smoke"]

# Python 3.12 warns of forking where there are threads; the DataLoader's readers run none of them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tiny folder that the variable names."""
    imagenet.read_folder.cache_clear()
    monkeypatch.setenv(imagenet.VARIABLE, str(tmp_path / "images"))
    monkeypatch.setenv(num_workers.VARIABLE, "1")
    yield write(tmp_path / "images")
    imagenet.read_folder.cache_clear()


def with_options(**options: Any) -> Preset:
    return SMOKE.model_copy(update={"options": {**SMOKE.options, **options}})


def task(preset: Preset = SMOKE, init_seed: int = 0, data_seed: int = 0) -> StreamingClassifier:
    made = WORKLOAD.build(preset, init_seed, data_seed)
    assert isinstance(made, StreamingClassifier)
    return made


def test_without_a_folder_its_variable_and_layout_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(imagenet.VARIABLE, raising=False)
    with pytest.raises(
        MissingDataError, match=r"set ADABELIEF_IMAGENET to the folder with.*train/"
    ):
        imagenet.load(whole=False)


@pytest.mark.parametrize("split", imagenet.SPLITS)
def test_a_missing_split_is_named_with_where_it_is_obtained(folder: Path, split: str) -> None:
    shutil.rmtree(folder / split)
    with pytest.raises(MissingDataError, match=rf"images: missing {split}, .*at image-net\.org"):
        imagenet.load(whole=False)


def test_images_outside_of_classes_are_told_where_they_belong(folder: Path) -> None:
    for name in CLASSES:
        (folder / "val" / name / f"{name}_0.JPEG").rename(folder / "val" / f"{name}.JPEG")
        shutil.rmtree(folder / "val" / name)
    with pytest.raises(LabError, match="val must hold a folder for each class, got none"):
        imagenet.load(whole=False)


def test_a_class_without_images_is_named(folder: Path) -> None:
    for image in (folder / "train" / "n02").iterdir():
        image.rename(image.with_suffix(".txt"))
    with pytest.raises(LabError, match=r"train: every class needs images\. .*classes n02\."):
        imagenet.load(whole=False)


@pytest.mark.parametrize(("split", "other"), [("train", "val"), ("val", "train")])
def test_splits_of_other_classes_are_refused(folder: Path, split: str, other: str) -> None:
    (folder / split / "n03").rename(folder / split / "n04")
    lacking = {"train": "n03", "val": "n04"} if split == "train" else {"train": "n04"}
    first = next(iter(lacking))
    with pytest.raises(LabError, match=f"the same classes, {first} lacks {lacking[first]}"):
        imagenet.load(whole=False)
    assert other != split


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_an_image_that_cannot_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, count: int, damage: str
) -> None:
    monkeypatch.setenv(num_workers.VARIABLE, str(count))
    path = folder / "val" / "n02" / "n02_0.JPEG"
    content = {"text": b"<html>", "empty": b"", "truncated": path.read_bytes()[:900]}
    path.write_bytes(content[damage])
    with pytest.raises(LabError, match=r"^\S*val/n02/n02_0\.JPEG: cannot be read as an image: "):
        task().evaluate("test")


def test_the_full_sizes_are_for_imagenet_only(folder: Path) -> None:
    for name in ("authors", "paper", "full"):
        with pytest.raises(LabError, match=r"50,000 images, got 3 classes, 36 \+ 15; presets qui"):
            dry_run(WORKLOAD, PRESETS[name])


def test_the_catalogue_looks_at_the_structure_and_a_few_images(folder: Path) -> None:
    entry = next(each for each in DATA if each.name == "imagenet")
    assert state_of(entry) == ("ready", str(folder))
    (folder / "train" / "n01" / "n01_0.JPEG").write_bytes(b"")
    assert state_of(entry).state == "damaged"
    imagenet.read_folder.cache_clear()
    shutil.rmtree(folder / "val")
    assert state_of(entry).state == "missing"


def test_the_last_tenth_of_each_class_of_train_tunes_and_is_not_trained_on(folder: Path) -> None:
    write(folder / "more", train=23)
    data = imagenet.read_folder(folder / "more")
    train, valid, test = splits(data, Options(image_size=32))
    assert (len(train), len(valid), len(test)) == (63, 6, 15)
    labels = [valid[index][1] for index in range(6)]
    assert labels == [0, 0, 1, 1, 2, 2]
    last = [path for path, _ in data.train.samples if path.endswith(("_8.JPEG", "_9.JPEG"))]
    looked_at = ours(32)[1]
    for index, path in enumerate(last):
        assert torch.equal(valid[index][0], looked_at(Image.open(path).convert("RGB")))
    whole, also_test, again = splits(data, Options(image_size=32, hold_out=False))
    assert len(whole) == 69
    assert also_test is again


def test_a_class_of_one_image_has_none_to_tune_on(folder: Path) -> None:
    write(folder / "one", train=1)
    with pytest.raises(LabError, match=r"train: every class needs 2 images.*n01 has 1"):
        imagenet.held_out(imagenet.read_folder(folder / "one").train, 10)


def test_evaluation_sees_the_middle_of_the_resized_image() -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8))
    resized = image.resize((341, 256), Image.Resampling.BILINEAR)  # 256 · 400 / 300
    expected = transforms.pil_to_tensor(resized)[:, 16:240, 58:282]
    assert torch.equal(ours(224)[1](image), expected)


def test_training_sees_crops_of_all_sizes_and_both_sides() -> None:
    """Each pixel says its column in red and its row in green."""
    columns, lines = np.meshgrid(np.arange(200), np.arange(200))
    image = Image.fromarray(np.stack([columns, lines, 0 * lines], axis=2).astype(np.uint8))
    changed = ours(32)[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        crops = [changed(image).double() for _ in range(400)]
    widths = torch.stack([crop[0].mean(0)[-1] - crop[0].mean(0)[0] for crop in crops])
    heights = torch.stack([crop[1].mean(1)[-1] - crop[1].mean(1)[0] for crop in crops])
    assert 150 < (widths > 0).sum() < 250, "half of them are mirrored: 200 ± 5 deviations of 10"
    assert (heights > 0).all()
    shares = (widths.abs() * heights) / 200**2 * (32 / 31) ** 2  # from centre to centre of pixels
    ratios = widths.abs() / heights
    assert 0.07 < shares.min() < 0.12
    assert shares.max() > 0.9
    # Uniform on [0.08, 1], but for what does not fit: the mean is below 0.54.
    assert shares.mean() == pytest.approx(0.5, abs=0.06)
    assert ratios.min() > 0.7
    assert ratios.max() < 1.4


def test_bytes_become_what_torchvisions_transforms_make() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    expected = transforms.normalize(images.float().div(255), mean, std)
    assert torch.equal(standardized(images, mean, std, torch.device("cpu")), expected)


def test_the_authors_preset_is_90_epochs_with_decays_at_70_and_80() -> None:
    preset = PRESETS["authors"]
    per_epoch = 1_281_167 // 256
    assert preset.eval_every == per_epoch == 5_004
    assert preset.steps == 90 * per_epoch
    factors = [
        preset.schedule.factor(epoch * per_epoch + before, preset.steps)
        for epoch, before in ((70, -1), (70, 0), (80, -1), (80, 0))
    ]
    assert factors == pytest.approx([1, 0.1, 0.1, 0.01])
    assert PRESETS["full"].eval_every == PRESETS["paper"].eval_every == 4_504


def test_the_network_is_the_papers(folder: Path) -> None:
    # He et al. 2016: 11.69 M with 1,000 classes, of which the last layer has 513,000.
    counts = sum(each.numel() for each in task().modules["model"].parameters())
    assert counts == 11_689_512 - 513_000 + 3 * 513


def test_every_promise_of_a_workload_is_kept(folder: Path) -> None:
    findings = list(check(WORKLOAD, SMOKE))
    assert [each for each in findings if each.state == "failed"] == []
    kept = {each.check for each in findings if each.state == "passed"}
    assert "a run that was killed goes on as if it had not been" in kept
    assert "evaluation draws no random numbers" in kept


@pytest.mark.parametrize("count", [0, 2])
def test_numbers_do_not_depend_on_the_readers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    expected = task()
    seen = [expected.batch(index) for index in range(4)]
    monkeypatch.setenv(num_workers.VARIABLE, str(count))
    other = task(init_seed=5)
    for index, (images, labels) in enumerate(seen):
        found = other.batch(index)
        assert torch.equal(found[0], images)
        assert torch.equal(found[1], labels)
    assert expected.evaluate("valid") == task().evaluate("valid")


def test_evaluation_is_of_every_image_once(folder: Path) -> None:
    one = task()
    model = one.modules["model"].eval()
    _, _, test = splits(imagenet.load(whole=False), Options(whole=False, image_size=32))
    images, labels = zip(*(test[index] for index in range(15)), strict=True)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    with torch.no_grad():
        outputs = model(standardized(torch.stack(images), mean, std, torch.device("cpu")))
    expected = {
        "accuracy": (outputs.argmax(1) == torch.tensor(labels)).float().mean().item(),
        "loss": torch.nn.functional.cross_entropy(outputs, torch.tensor(labels)).item(),
    }
    assert dict(one.evaluate("test")) == pytest.approx(expected, rel=1e-5)


def test_bfloat16_computes_in_it_and_keeps_float32_weights(folder: Path) -> None:
    one, whole = task(with_options(precision="bfloat16")), task()
    seen = []
    model = one.modules["model"]
    model.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    losses = []
    for each in (one, whole):
        still = torch.optim.SGD(each.modules["model"].parameters(), lr=0.0)
        losses.append(float(each.step(0, {"model": still})["loss"]))
        losses.append(each.evaluate("valid")["loss"])
    # Numbers of 8 bits: some parts in a thousand for each of 18 layers.
    assert losses[:2] == pytest.approx(losses[2:], rel=0.1)
    assert losses[0] != losses[2]
    assert seen == [torch.bfloat16] * 2
    assert {each.dtype for each in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("processes", "message"),
    [(3, "batch_size must be a multiple of the 3 processes"), (4, "valid must have an example")],
)
def test_what_cannot_be_shared_is_refused(folder: Path, processes: int, message: str) -> None:
    with pytest.raises(LabError, match=message):
        dry_run(WORKLOAD, SMOKE.model_copy(update={"processes": processes}))


def test_two_processes_see_what_one_sees(folder: Path) -> None:
    # Not in the environment alone: the ranks come from a server that may be older.
    launch(streams.as_one, ranks=2, folder=str(folder))


def test_evaluation_by_two_processes_is_of_the_first_ones_statistics(folder: Path) -> None:
    launch(streams.the_first_ones_statistics, ranks=2, folder=str(folder))
