"""The order of a tensor's elements in memory, whatever its strides."""

from __future__ import annotations

from torch import Tensor


def is_dense(tensor: Tensor) -> bool:
    """Whether the elements fill one piece of memory, each its own place."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


def flat(tensor: Tensor) -> Tensor:
    """All elements as a vector in the order of memory: a view of a dense tensor, else a copy."""
    if tensor.is_contiguous() or not is_dense(tensor):
        return tensor.reshape(-1)
    return tensor.as_strided((tensor.numel(),), (1,))


def placed(vector: Tensor, like: Tensor) -> Tensor:
    """A new contiguous vector, as a tensor of the shape of `like` whose `flat` it would be."""
    if like.is_contiguous() or not is_dense(like):
        return vector.reshape(like.shape)
    return vector.as_strided(like.shape, like.stride())
