"""Which parameters decay: groups of a model's parameters for any torch optimizer, and a table.

Weight decay pulls weights towards zero. For biases, for the scales of normalisation and for
embeddings that is usually not meant, so they get a group of their own without decay:

>>> from torch import nn
>>> from adabelief import AdaBelief
>>> model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
>>> groups = param_groups(model, weight_decay=1e-2)
>>> print(describe_groups(groups))
group  weight_decay  tensors  elements  names
0              0.01        2        20  *.weight (2)
1                 0        4        14  *.bias (3), 1.weight
>>> optimizer = AdaBelief(groups, lr=1e-3)

The result is for AdaBelief and for any other torch optimizer. The group that decays comes first;
`groups[::-1]` is the order of timm's `param_groups_weight_decay`, whose checkpoints want it so.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Optimizer

WORDS = ("bias", "norm", "embedding", "1d")

# Children that only stand between a model and itself: their names are not part of a parameter's.
WRAPPED = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


def param_groups(
    model: nn.Module,
    weight_decay: float,
    no_decay: Collection[str] = ("bias", "norm", "embedding"),
    **options: Any,
) -> list[dict[str, Any]]:
    """Return a group that decays and a group that does not, for AdaBelief or any torch optimizer.

    Every parameter that requires grad is in exactly one of them; one that is used in several
    places, such as a tied embedding, is there once, under its first name, and does not decay if
    any of its uses is exempt. A group without parameters is left out.

    Args:
        model: also wrapped in DistributedDataParallel, DataParallel or torch.compile; names are
            those of the model inside.
        weight_decay: of the first group.
        no_decay: what is in the second group. Four words have a meaning:
            "bias": parameters called bias, or bias_... or ..._bias, as in RNNs and attention;
            "norm": parameters of modules whose class is, or derives from, one with a name that
            ends in Norm or Norm1d, 2d, 3d (LayerNorm, BatchNorm2d, RMSNorm, LlamaRMSNorm, ...);
            "embedding": parameters of nn.Embedding and nn.EmbeddingBag;
            "1d": parameters of at most one dimension.
            Any other string is a pattern on the full name: with *, ? or [ the whole name must
            match it as file names do ("head.*"), without them it must be a part of the name
            ("pos_embed").
        options: of both groups, such as lr.

    Returns:
        Dicts with "params" as pairs (name, parameter), which torch.optim keeps as `param_names`.

    Raises:
        ValueError: a pattern matches no parameter (the message has names that come near), or
            there is nothing to train.
        TypeError: `no_decay` is one string, or not strings.
    """
    if isinstance(no_decay, str) or not all(isinstance(rule, str) for rule in no_decay):
        msg = f"no_decay must be a collection of strings such as ('bias',), got {no_decay!r}"
        raise TypeError(msg)
    found = _gather(model)
    for rule in no_decay:
        if rule not in WORDS:
            _check_pattern(rule, [name for entry in found for name in entry.names])
    decaying: list[tuple[str, Tensor]] = []
    exempt: list[tuple[str, Tensor]] = []
    for entry in found:
        if entry.param.requires_grad:
            chosen = exempt if any(entry.is_exempt(rule) for rule in no_decay) else decaying
            chosen.append((entry.names[0], entry.param))
    if not (decaying or exempt):
        msg = f"model must have parameters that require grad, got none among {len(found)}"
        raise ValueError(msg)
    groups = [(decaying, weight_decay), (exempt, 0.0)]
    return [
        {"params": members, "weight_decay": decay, **options}
        for members, decay in groups
        if members
    ]


@dataclass(slots=True)
class _Entry:
    """A parameter with everything it is called and everything it belongs to."""

    param: Tensor
    names: list[str] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)

    def is_exempt(self, rule: str) -> bool:
        if rule in WORDS:
            return rule in self.roles
        return any(_matches(rule, name) for name in self.names)


def _gather(model: nn.Module) -> list[_Entry]:
    """The parameters of a model, each once, in the order of `named_parameters`."""
    entries: dict[int, _Entry] = {}
    for owner, prefix, called, name, param in _walk(model, ""):
        entry = entries.setdefault(id(param), _Entry(param))
        entry.names.append(prefix + name)
        entry.roles |= _roles(owner, called, param)
    return list(entries.values())


def _walk(module: nn.Module, prefix: str) -> Iterator[tuple[nn.Module, str, str, str, Tensor]]:
    """(module, its name with a dot, what the module calls the tensor, its own name, parameter)."""
    for name, param in module.named_parameters(recurse=False, remove_duplicate=False):
        yield module, prefix, name, name, param
    for name, child in module.named_children():
        if name == "parametrizations" and is_parametrized(module):
            # Made of other tensors, the parameter is still this module's weight or bias.
            for called, made_of in child.named_children():
                for own, param in made_of.named_parameters():
                    yield module, prefix, called, f"{name}.{called}.{own}", param
        elif name in WRAPPED or isinstance(module, (DataParallel, DistributedDataParallel)):
            yield from _walk(child, prefix)
        else:
            yield from _walk(child, f"{prefix}{name}.")


def _roles(owner: nn.Module, called: str, param: Tensor) -> set[str]:
    roles = set()
    if called == "bias" or called.startswith("bias_") or called.endswith("_bias"):
        roles.add("bias")
    if any(re.search(r"Norm(\dd)?$", kind.__name__) for kind in type(owner).__mro__):
        roles.add("norm")
    if isinstance(owner, (nn.Embedding, nn.EmbeddingBag)):
        roles.add("embedding")
    if param.ndim <= 1:
        roles.add("1d")
    return roles


def _matches(pattern: str, name: str) -> bool:
    if any(mark in pattern for mark in "*?["):
        return fnmatch.fnmatchcase(name, pattern)
    return pattern in name


def _check_pattern(pattern: str, names: Sequence[str]) -> None:
    if pattern and any(_matches(pattern, name) for name in names):
        return
    parts = {part for name in names for part in (name, *name.split("."))} | {*WORDS}
    near = difflib.get_close_matches(pattern, sorted(parts), n=5) or sorted(names)[:5]
    msg = (
        f"no_decay must have the words {', '.join(WORDS)} or patterns that match a parameter, got "
        f"{pattern!r}, which matches none of {len(names)}; near it are {', '.join(near)}"
    )
    raise ValueError(msg)


def describe_groups(groups: Optimizer | Sequence[Mapping[str, Any]]) -> str:
    """Return a table of parameter groups: options, tensors, elements and names, as plain text.

    Options that are the same in all groups are in the last lines. Numbers within names are drawn
    together: `blocks.*.weight (12)` are twelve parameters.

    Args:
        groups: an optimizer, or a list of groups as one takes it.
    """
    listed = groups.param_groups if isinstance(groups, Optimizer) else groups
    said = [
        {key: _text(value) for key, value in group.items() if key not in ("params", "param_names")}
        for group in listed
    ]
    keys = list(dict.fromkeys(key for options in said for key in options))
    same = [key for key in keys if len({options.get(key, "-") for options in said}) == 1]
    columns = [key for key in keys if key not in same]
    rows = [["group", *columns, "tensors", "elements", "names"]]
    for number, (group, options) in enumerate(zip(listed, said, strict=True)):
        names, params = _members(group)
        counts = (f"{len(params):,}", f"{sum(param.numel() for param in params):,}")
        cells = [options.get(key, "-") for key in columns]
        rows.append([str(number), *cells, *counts, _drawn_together(names)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first = row[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        start = "  ".join([first, *rest, ""])
        width = max(30, 100 - len(start))
        # No line ends between a name and its number.
        whole = row[-1].replace(" (", "\u00a0(")
        wrapped = [
            line.replace("\u00a0", " ")
            for line in textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False)
        ]
        lines.append((start + (wrapped[0] if wrapped else "")).rstrip())
        lines += [" " * len(start) + line for line in wrapped[1:]]
    if same:
        text = "all groups: " + ", ".join(f"{key}={said[0][key]}" for key in same)
        lines += textwrap.wrap(text, 100, subsequent_indent="  ", break_long_words=False)
    return "\n".join(lines)


def _members(group: Mapping[str, Any]) -> tuple[list[str], list[Tensor]]:
    """Names and parameters of a group, before or after an optimizer took it."""
    params = group["params"]
    members = [params] if isinstance(params, Tensor) else list(params)
    if members and isinstance(members[0], tuple):
        return [name for name, _ in members], [param for _, param in members]
    unnamed = [f"unnamed {tuple(param.shape)}" for param in members]
    return list(group.get("param_names", unnamed)), members


def _drawn_together(names: Sequence[str]) -> str:
    counts: dict[str, list[str]] = {}
    for name in names:
        counts.setdefault(re.sub(r"(?<![^.])\d+(?![^.])", "*", name), []).append(name)
    return ", ".join(
        alike[0] if len(alike) == 1 else f"{pattern} ({len(alike)})"
        for pattern, alike in counts.items()
    )


def _text(value: object) -> str:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_text, value))})"
    return str(value)
