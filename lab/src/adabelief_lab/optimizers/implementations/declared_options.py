"""Optimizers whose constructor is a table: the names of the options and their defaults."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from math import inf
from typing import Any, ClassVar, overload

import torch
from torch.optim.optimizer import Optimizer

# What an option of this name must be, wherever it occurs.
RANGES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(
        ("lr", "eps", "tolerance", "weight_decay"), ("in [0, inf)", lambda x: 0.0 <= x < inf)
    ),
    **dict.fromkeys(("final_lr", "gamma", "trust"), ("in (0, inf)", lambda x: 0.0 < x < inf)),
    **dict.fromkeys(("momentum", "betas[0]", "betas[1]"), ("in [0, 1)", lambda x: 0.0 <= x < 1.0)),
    "partial": ("in [0, 0.5]", lambda x: 0.0 <= x <= 0.5),
    "alpha": ("in (0, 1]", lambda x: 0.0 < x <= 1.0),
    "k": ("1 or more", lambda x: x >= 1),
}


class DeclaredOptions(Optimizer):
    """An optimizer that takes `FIRST` and then the names of `OPTIONS`, switches by keyword only.

    Raises:
        TypeError: an argument is not one of `OPTIONS`.
        ValueError: an option is outside its range in `RANGES`.
    """

    FIRST: ClassVar = "params"
    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    __signature__: ClassVar[Signature]

    def __init__(self, *args: Any, **given: Any) -> None:
        params, options = self.options(*args, **given)
        super().__init__(params, {**options, **self.progress(options)})

    def progress(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What a group keeps beside its options, at first; checkpoints then have it."""
        return {}

    def __init_subclass__(cls) -> None:
        """Let `help` and `inspect.signature` show the options by their names."""
        cls.__signature__ = Signature(
            [
                Parameter(cls.FIRST, Parameter.POSITIONAL_OR_KEYWORD),
                *(
                    Parameter(
                        name,
                        Parameter.KEYWORD_ONLY
                        if isinstance(default, bool)
                        else Parameter.POSITIONAL_OR_KEYWORD,
                        default=default,
                    )
                    for name, default in cls.OPTIONS.items()
                ),
            ]
        )

    @classmethod
    def options(cls, *args: Any, **given: Any) -> tuple[Any, dict[str, Any]]:
        """The first argument, and the options with their defaults; each is checked."""
        try:
            bound = cls.__signature__.bind(*args, **given)
        except TypeError as error:
            msg = f"{cls.__name__}: {error}"
            raise TypeError(msg) from None
        bound.apply_defaults()
        options = dict(bound.arguments)
        first = options.pop(cls.FIRST)
        betas = {f"betas[{i}]": beta for i, beta in enumerate(options.get("betas", ()))}
        for name, value in {**options, **betas}.items():
            allowed, holds = RANGES.get(name, ("", lambda _: True))
            if not holds(value):
                msg = f"{name} must be {allowed}, got {value}"
                raise ValueError(msg)
        return first, options

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; return the closure's loss, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.step_all()
        return loss

    @abstractmethod
    def step_all(self) -> None:
        """Update every parameter that has a gradient."""
