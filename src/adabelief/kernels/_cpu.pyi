from torch import Tensor, nn

from adabelief.kernels.abi import Arrays

Scalars = tuple[float | bool, ...]

class Batch:
    def gather(
        self,
        params: list[Tensor],
        states: dict[Tensor, dict[str, Tensor]],
        position: int,
        amsgrad: bool,
        state_dtype: int,
        master: int,
        /,
    ) -> tuple[list[int], list[int]]: ...
    def append(
        self,
        arrays: Arrays,
        amsgrad: bool,
        state_dtype: int,
        master: int,
        key0: int,
        key1: int,
        slot: int,
        /,
    ) -> bool: ...
    def run(self, scalars: list[Scalars], kernel: str, /) -> bool: ...
    def params(self) -> list[Tensor]: ...

def connect(
    tensor: type[Tensor], parameter: type[nn.Parameter], exchange_api: object, parallel_for: int, /
) -> None: ...
def isa() -> str: ...
