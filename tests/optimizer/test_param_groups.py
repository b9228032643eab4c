"""Every parameter is in the one group where it belongs, whatever the model is wrapped in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from adabelief.param_groups import describe_groups, param_groups


def names(made: list[dict[str, Any]]) -> list[list[str]]:
    return [[name for name, _ in group["params"]] for group in made]


class ScaleRMSNorm(nn.Module):
    """A normalisation that torch does not know, as in many model libraries."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.matrix = nn.Parameter(torch.ones(size, size))


class ChannelNorm2d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))


class PreNorm(nn.Module):
    """Called a norm, but with a whole block in it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)


class NormFree(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))


class Tied(nn.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self, embedding_first: bool = True) -> None:
        super().__init__()
        embed, head = nn.Embedding(7, 3), nn.Linear(3, 7)
        head.weight = embed.weight
        for name in ("embed", "head") if embedding_first else ("head", "embed"):
            self.add_module(name, embed if name == "embed" else head)


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False),
        nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip


def transformer() -> nn.Transformer:
    return nn.Transformer(8, 2, 1, 1, 16, batch_first=True)


def test_a_convolutional_net_with_batch_norm() -> None:
    assert names(param_groups(convolutional(), 0.1)) == [
        ["0.weight", "3.weight", "6.weight"],
        ["0.bias", "1.weight", "1.bias", "4.weight", "4.bias", "6.bias"],
    ]


def test_a_transformer() -> None:
    model = transformer()
    decaying, exempt = names(param_groups(model, 0.1))
    assert decaying == [
        name for name, param in model.named_parameters() if param.ndim == 2
    ]  # in_proj_weight, out_proj.weight, linear1.weight, linear2.weight
    assert len(decaying) == 10
    assert "encoder.layers.0.self_attn.in_proj_bias" in exempt
    assert "decoder.layers.0.norm3.weight" in exempt
    assert sorted(decaying + exempt) == sorted(name for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LayerNorm(3), lambda: nn.BatchNorm1d(3), lambda: nn.BatchNorm2d(3),
        lambda: nn.BatchNorm3d(3), lambda: nn.SyncBatchNorm(3), lambda: nn.GroupNorm(1, 3),
        lambda: nn.InstanceNorm1d(3, affine=True), lambda: nn.InstanceNorm3d(3, affine=True),
        lambda: nn.RMSNorm(3), lambda: ScaleRMSNorm(3), ChannelNorm2d,
        lambda: nn.LocalResponseNorm(3),
    ],
)  # fmt: skip
def test_everything_of_a_normalisation_is_exempt(make: Callable[[], nn.Module]) -> None:
    model = nn.ModuleDict({"a": make(), "b": nn.Linear(3, 3, bias=False)})
    made = names(param_groups(model, 0.1, no_decay=("norm",)))
    assert made[0] == ["b.weight"]
    assert sorted(name for group in made[1:] for name in group) == sorted(
        f"a.{name}" for name, _ in model["a"].named_parameters()
    )


def test_subclasses_of_norms_are_norms_and_modules_that_contain_one_are_not() -> None:
    class Frozen(nn.LayerNorm):
        pass

    model = nn.Sequential(Frozen(3), PreNorm(), NormFree())
    assert names(param_groups(model, 0.1, no_decay=("norm",))) == [
        ["1.inner.weight", "1.inner.bias", "2.weight"],
        ["0.weight", "0.bias"],
    ]


def test_biases_are_parameters_that_are_called_so() -> None:
    model = nn.ModuleDict(
        {
            "rnn": nn.LSTM(3, 3, proj_size=2),
            "attention": nn.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3),
            "unbiased": nn.Linear(2, 2, bias=False),
        }
    )
    model.register_parameter("bias_table", nn.Parameter(torch.ones(2)))
    model.register_parameter("position_bias_table", nn.Parameter(torch.ones(2)))
    decaying, exempt = names(param_groups(model, 0.1, no_decay=("bias",)))
    assert set(exempt) == {
        "bias_table", "rnn.bias_ih_l0", "rnn.bias_hh_l0", "attention.in_proj_bias",
        "attention.bias_k", "attention.bias_v", "attention.out_proj.bias",
    }  # fmt: skip
    assert "position_bias_table" in decaying


def test_embeddings_are_exempt_and_may_be_made_to_decay() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    bag = nn.EmbeddingBag(5, 3)
    assert names(param_groups(model, 0.1)) == [["1.weight"], ["0.weight", "1.bias"]]
    assert names(param_groups(model, 0.1, no_decay=("bias",)))[0] == ["0.weight", "1.weight"]
    assert names(param_groups(bag, 0.1)) == [["weight"]]
    assert param_groups(bag, 0.1)[0]["weight_decay"] == 0


@pytest.mark.parametrize("embedding_first", [True, False])
def test_a_tied_embedding_is_there_once_under_its_first_name_and_exempt(
    embedding_first: bool,
) -> None:
    model = Tied(embedding_first)
    made = param_groups(model, 0.1)
    first = "embed.weight" if embedding_first else "head.weight"
    assert [sorted(group) for group in names(made)] == [sorted([first, "head.bias"])]
    assert names(param_groups(model, 0.1, no_decay=("bias",))) == [[first], ["head.bias"]]
    # A pattern may name any of its uses.
    for pattern in ("embed.weight", "head.weight"):
        assert names(param_groups(model, 0.1, no_decay=(pattern,))) == [["head.bias"], [first]]


def test_a_parameter_with_two_names_in_one_module_is_there_once() -> None:
    model = NormFree()
    model.register_parameter("alias", model.weight)
    for pattern in ("weight", "alias"):
        made = param_groups(model, 0.1, no_decay=(pattern,))
        assert names(made) == [["weight"]]
        assert made[0]["weight_decay"] == 0


def test_a_module_that_is_used_twice_is_there_once() -> None:
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert names(param_groups(model, 0.1)) == [["0.weight"], ["0.bias"]]


def test_parameters_of_at_most_one_dimension_as_in_timm() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.PReLU(), nn.Embedding(3, 2))
    model.register_parameter("scale", nn.Parameter(torch.ones(())))
    assert names(param_groups(model, 0.1, no_decay=("1d",))) == [
        ["0.weight", "2.weight"],
        ["scale", "0.bias", "1.weight"],
    ]


def test_patterns_are_parts_of_names_or_with_wildcards_whole_names() -> None:
    model = nn.ModuleDict({"head": nn.Linear(2, 2), "ahead": nn.Linear(2, 2)})
    every = ["head.weight", "head.bias", "ahead.weight", "ahead.bias"]

    def exempt(*no_decay: str) -> list[str]:
        return names(param_groups(model, 0.1, no_decay=no_decay))[-1]

    assert exempt("head") == every
    assert exempt("head.*") == every[:2]
    assert exempt("*.weight") == [every[0], every[2]]
    assert exempt("?head.[b]*") == [every[3]]
    assert exempt("ahead.w", "bias") == [every[1], every[2], every[3]]
    with pytest.raises(ValueError, match="HEAD"):
        exempt("HEAD.*")


def test_a_pattern_without_a_match_is_an_error_with_names_that_come_near() -> None:
    for pattern in ("norm_1", "layer.*", ""):
        with pytest.raises(ValueError, match=f"got {pattern!r}, which matches none of ") as error:
            param_groups(transformer(), 0.1, no_decay=("bias", pattern))
    with pytest.raises(ValueError, match=r"near it are .*linear1") as error:
        param_groups(transformer(), 0.1, no_decay=("linaer1",))
    assert "words bias, norm, embedding, 1d or patterns" in str(error.value)
    with pytest.raises(ValueError, match=r"near it are .*\bnorm\b"):
        param_groups(nn.Linear(2, 2), 0.1, no_decay=("norms",))
    # The words are no patterns: a model may well have no norm.
    assert names(param_groups(nn.Linear(2, 2), 0.1)) == [["weight"], ["bias"]]


def test_a_pattern_may_match_frozen_parameters_only() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    assert names(param_groups(model, 0.1, no_decay=("0.", "bias"))) == [["1.weight"], ["1.bias"]]


def test_nothing_to_train_is_an_error() -> None:
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="that require grad, got none among 2"):
        param_groups(model, 0.1)


@pytest.mark.parametrize("wrong", ["bias", [1], (None,)])
def test_no_decay_must_be_strings(wrong: Any) -> None:
    with pytest.raises(TypeError, match="no_decay must be a collection of strings such as"):
        param_groups(nn.Linear(2, 2), 0.1, no_decay=wrong)


def test_a_group_without_parameters_is_left_out() -> None:
    assert names(param_groups(nn.Linear(2, 2), 0.1, no_decay=())) == [["weight", "bias"]]
    assert param_groups(nn.Linear(2, 2), 0.1, no_decay=())[0]["weight_decay"] == 0.1
    assert param_groups(nn.LayerNorm(2), 0.1)[0]["weight_decay"] == 0


@pytest.mark.parametrize("kind", [AdaBelief, torch.optim.AdamW, torch.optim.SGD])
def test_any_torch_optimizer_takes_the_groups_and_keeps_the_names(
    kind: Callable[..., torch.optim.Optimizer],
) -> None:
    model = convolutional()
    made = param_groups(model, 0.25, lr=0.125)
    expected = names(made)
    optimizer = kind(made)
    assert [group["param_names"] for group in optimizer.param_groups] == expected
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25, 0.0]
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
    model(torch.ones(1, 3, 6, 6)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert [group["param_names"] for group in optimizer.param_groups] == expected


@pytest.mark.parametrize("kind", [AdaBelief, torch.optim.AdamW])
def test_only_what_is_in_the_first_group_shrinks(
    kind: Callable[..., torch.optim.Optimizer],
) -> None:
    model = transformer()
    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    optimizer = kind(param_groups(model, 0.5, lr=0.5))
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
    optimizer.step()
    for name, param in model.named_parameters():
        factor = 0.75 if param.ndim == 2 else 1.0
        assert torch.equal(param, before[name] * factor), name


@pytest.fixture
def alone(tmp_path: Any) -> Any:
    """A process group of one, which DistributedDataParallel asks for."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_wrapped_models_have_the_names_of_the_model_inside(alone: None) -> None:
    model = transformer()
    plain = names(param_groups(model, 0.1))
    ddp = nn.parallel.DistributedDataParallel
    wrapped: list[Any] = [
        ddp(model), torch.compile(model), torch.compile(ddp(model)), ddp(torch.compile(model)),
        nn.DataParallel(model),
    ]  # fmt: skip
    for outer in wrapped:
        made = param_groups(outer, 0.1)
        assert names(made) == plain, type(outer)
        ours = {id(param) for group in made for _, param in group["params"]}
        assert ours == {id(param) for param in model.parameters()}
        for pattern in ("encoder.*", "encoder.layers.0.linear1.weight"):
            assert names(param_groups(outer, 0.1, no_decay=(pattern,)))[1][0].startswith("encoder.")
        assert len(AdaBelief(made).param_groups) == 2
    model.encoder.layers[0] = torch.compile(model.encoder.layers[0])
    assert names(param_groups(model, 0.1)) == plain


def test_a_child_called_module_is_not_taken_for_a_wrapper() -> None:
    model = nn.ModuleDict({"module": nn.Linear(2, 2)})
    assert names(param_groups(model, 0.1)) == [["module.weight"], ["module.bias"]]


def test_a_parametrized_parameter_keeps_its_role() -> None:
    parametrizations = nn.utils.parametrizations
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(2, 2)),
        parametrizations.spectral_norm(nn.Embedding(3, 2)),
        parametrizations.weight_norm(nn.Linear(2, 2), name="bias"),
    )
    made = names(param_groups(model, 0.1))
    assert made == [
        ["0.parametrizations.weight.original0", "0.parametrizations.weight.original1", "2.weight"],
        ["0.bias", "1.parametrizations.weight.original",
         "2.parametrizations.bias.original0", "2.parametrizations.bias.original1"],
    ]  # fmt: skip
    assert sorted(name for group in made for name in group) == sorted(
        name for name, _ in model.named_parameters()
    )


def test_a_real_tensor_subclass_is_a_parameter_as_any_other() -> None:
    class Special(Tensor):
        pass

    model = nn.Linear(2, 2)
    model.weight = nn.Parameter(torch.ones(2, 2).as_subclass(Special))
    assert param_groups(model, 0.1)[0]["params"][0][1] is model.weight


TABLE = """\
group  weight_decay  tensors  elements  names
0               0.1        3       284  *.weight (3)
1                 0        6        22  *.bias (4), *.weight (2)
all groups: lr=0.001, betas=(0.9, 0.99), foreach=None"""


def test_the_table_of_groups() -> None:
    options: dict[str, Any] = {"lr": torch.tensor(1e-3), "betas": (0.9, 0.99), "foreach": None}
    made = param_groups(convolutional(), 0.1, **options)
    assert describe_groups(made) == TABLE
    said = describe_groups(AdaBelief(made)).splitlines()
    assert said[:3] == TABLE.splitlines()[:3]
    assert said[3].startswith("all groups: lr=0.001, betas=(0.9, 0.99), foreach=None, eps=1e-16, ")
    assert (
        describe_groups(torch.optim.AdamW(param_groups(convolutional(), 0.1))).splitlines()[:3]
        == said[:3]
    )


def test_the_table_of_unnamed_parameters_and_of_different_keys() -> None:
    weight, bias = torch.ones(1000, 2, requires_grad=True), torch.ones(2, requires_grad=True)
    listed = [{"params": [weight], "lr": 0.5}, {"params": bias, "name": "biases", "lr": 0.25}]
    assert describe_groups(listed) == (
        "group    lr    name  tensors  elements  names\n"
        "0       0.5       -        1     2,000  unnamed (1000, 2)\n"
        "1      0.25  biases        1         2  unnamed (2,)"
    )
    assert (
        describe_groups([{"params": []}])
        == "group  tensors  elements  names\n0            0         0"
    )


def test_long_lists_of_names_are_folded_between_names() -> None:
    model = nn.Transformer(8, 2, 2, 2, 16, batch_first=True)
    lines = describe_groups(param_groups(model, 0.1)).splitlines()
    assert all(len(line) <= 100 for line in lines)
    start = lines[0].index("names")
    assert all(line[:start].isspace() for line in lines[2:4])
    assert not any(line.strip().startswith("(") for line in lines)
    listed = " ".join(line[start:] for line in lines[1:]).split(", ")
    assert "encoder.layers.*.self_attn.in_proj_weight (2)" in listed
    assert "encoder.norm.weight" in " ".join(listed)
    assert "\u00a0" not in "".join(lines)
