"""Feasible sets as objects: what they accept, which dimensions they cut, how they are kept."""

from __future__ import annotations

import copy
import io
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import feasible
from adabelief.feasible import (
    Box,
    FeasibleSet,
    Halfspace,
    Hyperplane,
    L1Ball,
    L2Ball,
    NonNegative,
    Simplex,
)

NORMAL = torch.tensor([1.0, -0.5, 0.0, 2.0])
SETS: list[FeasibleSet] = [
    Box(-0.5, 0.75),
    Box(-NORMAL.abs(), NORMAL.abs() + 1),
    NonNegative(),
    L2Ball(0.6, dim=1),
    L2Ball(0.6, center=NORMAL),
    L1Ball(1.2, dim=(0, 1)),
    Simplex(2.0),
    Hyperplane(NORMAL, 0.4, dim=-1),
    Halfspace(NORMAL, 0.2),
]
every_set = pytest.mark.parametrize("one", SETS, ids=repr)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])


def numbers(
    *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    point = 3 * torch.randn(shape, generator=random, dtype=torch.float64)
    metric = 10 ** (4 * torch.rand(shape, generator=random, dtype=torch.float64) - 2)
    return point.to(dtype), metric.to(dtype)


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: L2Ball(0), ValueError, r"radius must be in \(0, inf\), got 0"),
    (lambda: L2Ball(-1.0), ValueError, r"radius must be in \(0, inf\), got -1.0"),
    (lambda: L2Ball(math.inf), ValueError, r"radius must be in \(0, inf\), got inf"),
    (lambda: L2Ball(math.nan), ValueError, r"radius must be in \(0, inf\), got nan"),
    (lambda: L1Ball(0.0), ValueError, r"radius must be in \(0, inf\), got 0.0"),
    (lambda: L1Ball("1"), TypeError, r"radius must be a number in \(0, inf\), got '1'"),  # type: ignore[arg-type]
    (lambda: L1Ball(True), TypeError, r"radius must be a number in \(0, inf\), got True"),
    (lambda: Simplex(-2), ValueError, r"total must be in \(0, inf\), got -2"),
    (lambda: L2Ball(1.0, math.inf), ValueError, "center must be finite, got inf"),
    (
        lambda: L2Ball(1.0, torch.tensor([math.inf])),
        ValueError,
        "center must be finite, got tensor",
    ),
    (lambda: L2Ball(1.0, None), TypeError, "center must be a number or a floating-point tensor"),  # type: ignore[arg-type]
    (lambda: Box(1.0, 0.5), ValueError, "low must be <= high.* got low=1.0 and high=0.5"),
    (lambda: Box(NORMAL, 0.0), ValueError, "low must be <= high"),
    (lambda: Box(math.nan, 1.0), ValueError, "low must be .*, got nan"),
    (lambda: Box(0.0, NORMAL * math.nan), ValueError, "high must not have NaN"),
    (lambda: Box(math.inf, math.inf), ValueError, "with real numbers between them"),
    (lambda: Box(-math.inf, -math.inf), ValueError, "with real numbers between them"),
    (lambda: Box(torch.zeros(3), torch.ones(2)), ValueError, r"one shape, got \(3,\) and \(2,\)"),
    (lambda: Box(False, 1.0), TypeError, "low must be a number or .* got False"),
    (lambda: Box(torch.zeros(2, dtype=torch.int64), 1.0), TypeError, "low must .*torch.int64"),
    (lambda: Hyperplane(0.0, 1.0), ValueError, "normal must have an element other than 0, got 0.0"),
    (
        lambda: Halfspace(torch.zeros(2), 1.0),
        ValueError,
        "normal must have an element other than 0",
    ),
    (lambda: Halfspace(NORMAL * math.nan, 1.0), ValueError, "normal must not have NaN"),
    (lambda: Halfspace(math.inf, 1.0), ValueError, "normal must be finite, got inf"),
    (lambda: Hyperplane(1.0, math.inf), ValueError, r"offset must be in \(-inf, inf\), got inf"),
    (lambda: Hyperplane(1.0, NORMAL), TypeError, "offset must be a number"),  # type: ignore[arg-type]
    (lambda: Simplex(dim=(0, 0)), ValueError, r"several different ones, got \(0, 0\)"),
    (lambda: Simplex(dim=()), ValueError, r"one dimension or several different ones, got \(\)"),
    (lambda: L1Ball(1.0, dim=1.0), TypeError, "dim must be None, an int or a tuple of ints"),  # type: ignore[arg-type]
    (lambda: L2Ball(1.0, dim=True), TypeError, "dim must be None, an int or a tuple of ints"),
    (lambda: Halfspace(1.0, 0.0, dim=("a",)), TypeError, "dim must be None"),  # type: ignore[arg-type]
    (lambda: Hyperplane(1.0, 0.0, dim=(0, False)), TypeError, r"ints, got \(0, False\)"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_is_no_set_is_refused(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


MISFITS: list[tuple[FeasibleSet, tuple[int, ...], str]] = [
    (Simplex(dim=2), (3, 4), r"dim of Simplex must be in \[-2, 1\] for shape \(3, 4\), got 2"),
    (L1Ball(1.0, dim=-3), (3, 4), r"dim of L1Ball must be in \[-2, 1\] .*got -3"),
    (L2Ball(1.0, dim=(0, 2)), (3, 4), r"dim of L2Ball .*got \(0, 2\)"),
    (L2Ball(1.0, dim=0), (), r"dim of L2Ball must be None for shape \(\), got 0"),
    (Simplex(dim=(1, -1)), (3, 4), r"different dimensions of shape \(3, 4\), got \(1, -1\)"),
    (Hyperplane(NORMAL, 0.0), (4, 3), r"normal of Hyperplane .*\(4, 3\), got shape \(4,\)"),
    (
        Halfspace(NORMAL, 0.0),
        (3,),
        r"normal of Halfspace must broadcast .*\(3,\), got shape \(4,\)",
    ),
    (L2Ball(1.0, center=NORMAL), (), r"center of L2Ball must broadcast .*\(\), got shape \(4,\)"),
    (Box(-NORMAL.abs(), 1.0), (2,), r"low of Box must broadcast .*\(2,\), got shape \(4,\)"),
    (Box(-1.0, torch.ones(2, 4)), (4,), r"high of Box must .*\(4,\), got shape \(2, 4\)"),
    (L2Ball(1.0, center=NORMAL[:, None]), (4, 0, 2), ""),
]


@pytest.mark.parametrize(("one", "shape", "message"), MISFITS, ids=[repr(m) for m in MISFITS])
def test_what_does_not_fit_a_parameter_is_named(
    one: FeasibleSet, shape: tuple[int, ...], message: str
) -> None:
    point, metric = numbers(*shape)
    if message:
        with pytest.raises(ValueError, match=message):
            one.project(point, metric)
    else:
        assert one.project(point, metric).shape == shape


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3, (0,), (0, 2), (2, 0), (-2, 2), (0, 1, 2), None])
@pytest.mark.parametrize(
    "make",
    [
        lambda dim: Simplex(dim=dim),
        lambda dim: L1Ball(1.0, dim=dim),
        lambda dim: L2Ball(1.0, center=torch.arange(4.0), dim=dim),
        lambda dim: Hyperplane(torch.arange(1.0, 13.0).reshape(3, 4), 0.5, dim=dim),
        lambda dim: Halfspace(torch.arange(1.0, 5.0), -100.0, dim=dim),
    ],
    ids=["Simplex", "L1Ball", "L2Ball", "Hyperplane", "Halfspace"],
)
def test_every_slice_is_a_point_of_its_own(make: Callable[[Any], Any], dim: Any) -> None:
    point, metric = numbers(2, 3, 4)
    result = make(dim).project(point, metric)
    whole = make(None)
    wanted = (
        range(3) if dim is None else [one % 3 for one in (dim if type(dim) is tuple else [dim])]
    )
    others: list[Any] = [
        range(size) if k not in wanted else [slice(None)] for k, size in enumerate((2, 3, 4))
    ]
    for index in itertools.product(*others):
        slices = [one[index] for one in (point, metric, result)]
        alone = whole
        for name in ("center", "normal"):
            if hasattr(whole, name):
                part = getattr(whole, name).expand(2, 3, 4)[index]
                extra = {"radius": 1.0} if name == "center" else {"offset": whole.offset}
                alone = type(whole)(**{name: part, **extra})
        expected = alone.project(*slices[:2])
        assert torch.allclose(slices[2], expected, rtol=1e-14, atol=1e-14)
    assert not torch.equal(result, point)


def test_every_row_of_a_weight_sums_to_the_total() -> None:
    point, metric = numbers(5, 7)
    assert Simplex(3.0, dim=1).project(point, metric).sum(1) == pytest.approx([3.0] * 5, rel=1e-15)
    assert Simplex(3.0, dim=0).project(point, metric).sum(0) == pytest.approx([3.0] * 7, rel=1e-15)


@every_set
@dtypes
def test_inputs_are_not_written_to(one: FeasibleSet, dtype: torch.dtype) -> None:
    point, metric = numbers(3, 4, dtype=dtype)
    before = point.clone(), metric.clone()
    result = one.project(point, metric)
    assert result.dtype is dtype
    assert result.shape == point.shape
    assert torch.equal(point, before[0])
    assert torch.equal(metric, before[1])


@every_set
def test_strides_do_not_matter(one: FeasibleSet) -> None:
    point, metric = numbers(3, 4)
    expected = one.project(point, metric)
    columns = point.t().contiguous().t()
    assert torch.equal(one.project(columns, metric), expected)
    gaps = torch.zeros(3, 8, dtype=torch.float64)
    gaps[:, ::2] = metric
    assert torch.equal(one.project(point, gaps[:, ::2]), expected)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0), ()], ids=str)
def test_empty_and_single_tensors_are_points_too(shape: tuple[int, ...]) -> None:
    point, metric = numbers(*shape)
    for one in (Box(-0.1, 0.1), NonNegative(), L2Ball(0.1), L1Ball(0.1), Simplex(0.1),
                Hyperplane(2.0, 0.2), Halfspace(2.0, -0.2)):  # fmt: skip
        result = one.project(point, metric)
        assert result.shape == point.shape
        if result.numel() and not isinstance(one, NonNegative):
            assert abs(result.item()) == pytest.approx(0.1, rel=1e-15)


def test_tensors_of_a_set_are_used_in_the_dtype_of_the_point() -> None:
    point, metric = numbers(4, dtype=torch.float32)
    low = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    assert torch.equal(Box(low, low).project(point, metric), low.float())
    assert Box(0.1, 0.1).project(point, metric)[0] == torch.tensor(0.1)
    tiny = L2Ball(1e-12, center=low).project(point, metric)
    assert torch.equal(tiny, low.float())


def test_the_bounds_of_a_box_may_be_infinite_or_tensors() -> None:
    point = torch.tensor([-3.0, 0.5, 4.0])
    metric = torch.ones(3)
    assert Box(-math.inf, 1).project(point, metric).tolist() == [-3.0, 0.5, 1.0]
    assert Box(-1, math.inf).project(point, metric).tolist() == [-1.0, 0.5, 4.0]
    high = torch.tensor([-5.0, 2.0, math.inf])
    assert Box(-math.inf, high).project(point, metric).tolist() == [-5.0, 0.5, 4.0]
    assert Box(torch.tensor(1.0), high.abs()).project(point, metric).tolist() == [1.0, 1.0, 4.0]
    assert NonNegative().project(point, metric).tolist() == [0.0, 0.5, 4.0]


def test_sets_say_what_they_need() -> None:
    for one in (Box(-1, 1), Box(torch.tensor(-1.0), torch.tensor([1.0])), NonNegative()):
        assert one.elementwise is True
        assert getattr(one, "dim", "missing") is None
    for box in (Box(-NORMAL.abs(), 1), Box(-4, NORMAL)):
        assert box.elementwise is False
    for other in (L2Ball(1.0, dim=1), L1Ball(1.0, dim=1), Simplex(dim=1), Hyperplane(1.0, 0.0, 1),
                  Halfspace(1.0, 0.0, 1)):  # fmt: skip
        assert other.elementwise is False
        assert other.dim == 1
    assert all(isinstance(one, FeasibleSet) for one in SETS)
    assert not isinstance(NORMAL, FeasibleSet)


def test_sets_are_written_as_they_are_made() -> None:
    assert repr(Box(0, 1)) == "Box(low=0.0, high=1.0)"
    assert repr(NonNegative()) == "NonNegative()"
    assert repr(L2Ball(1, dim=(0, -1))) == "L2Ball(radius=1.0, center=0.0, dim=(0, -1))"
    assert repr(L1Ball(2)) == "L1Ball(radius=2.0, dim=None)"
    assert repr(Simplex()) == "Simplex(total=1.0, dim=None)"
    assert repr(Halfspace(1, 2)) == "Halfspace(normal=1.0, offset=2.0, dim=None)"
    assert repr(Hyperplane(1, 2)) == "Hyperplane(normal=1.0, offset=2.0, dim=None)"


def test_sets_cannot_be_changed() -> None:
    for one, name in ((Box(0, 1), "low"), (L2Ball(1.0), "radius"), (Simplex(), "dim"),
                      (L1Ball(1.0), "radius"), (Halfspace(1.0, 0.0), "offset")):  # fmt: skip
        with pytest.raises(AttributeError):
            setattr(one, name, 2.0)


def through_torch_save(one: FeasibleSet) -> FeasibleSet:
    file = io.BytesIO()
    torch.save({"feasible_set": one}, file)
    file.seek(0)
    return torch.load(file, weights_only=True)["feasible_set"]


@every_set
@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)), through_torch_save],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_copies_project_alike(one: FeasibleSet, copied: Callable[[Any], Any]) -> None:
    twin = copied(one)
    assert type(twin) is type(one)
    assert repr(twin) == repr(one)
    point, metric = numbers(3, 4)
    assert torch.equal(twin.project(point, metric), one.project(point, metric))


def test_numbers_of_other_kinds_are_kept_as_floats() -> None:
    """NumPy's scalars would be refused by torch.load with weights_only."""
    radius = torch.ones(1, dtype=torch.float64).numpy()[0]
    for one in (L2Ball(radius, center=radius), L1Ball(radius), Simplex(radius), Box(radius, radius),
                Halfspace(radius, radius)):  # fmt: skip
        assert type(through_torch_save(one)) is type(one)
        values = [value for name, value in vars(one).items() if name != "dim"]
        assert all(type(value) is float for value in values)


def test_public_names_are_sorted_complete_and_there() -> None:
    assert feasible.__all__ == sorted(feasible.__all__)
    assert all(hasattr(feasible, name) for name in feasible.__all__)
    assert {type(one).__name__ for one in SETS} | {"FeasibleSet"} == set(feasible.__all__)
