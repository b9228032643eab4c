"""The transformer of two languages: its arithmetic, and the search for its translations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.data.subwords import BEGIN, END, PAD
from adabelief_lab.models.beam import translate
from adabelief_lab.models.translator import (
    Attention,
    Dropouts,
    Layer,
    Translator,
    layers_of,
    places,
)
from translators import small


def theirs(layer: Layer, *, decoder: bool) -> nn.Module:
    """Torch's layer with the same weights."""
    kind = nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer
    made = kind(16, 4, 24, dropout=0.0, batch_first=True, dtype=torch.float64)
    names = {
        "own": "self_attn", "other": "multihead_attn", "perceptron.0": "linear1",
        "perceptron.3": "linear2", "after_own": "norm1",
        "after_other": "norm2", "after_perceptron": "norm3" if decoder else "norm2",
    }  # fmt: skip
    with torch.no_grad():
        for ours, name in names.items():
            if not decoder and "other" in ours:
                continue
            module, other = layer.get_submodule(ours), made.get_submodule(name)
            if isinstance(module, Attention):
                assert isinstance(other, nn.MultiheadAttention)
                assert other.in_proj_weight is not None
                for kind_, part in (("weight", other.in_proj_weight), ("bias", other.in_proj_bias)):
                    inputs = (module.queries, module.keys, module.values)
                    part.copy_(torch.cat([getattr(each, kind_) for each in inputs]))
                module, other = module.mixed, other.out_proj
            other.load_state_dict(module.state_dict())
    return made.eval()


def test_layers_are_those_of_torch() -> None:
    model = small().double().eval()
    source = torch.randint(3, 300, (3, 6))
    source[1, 4:] = PAD
    x, y = torch.randn(2, 3, 6, 16, dtype=torch.float64)
    padding = source == PAD
    mask = ~padding[:, None, None, :]
    (encoder, *_), (decoder, *_) = layers_of(model.encoder), layers_of(model.decoder)
    with torch.no_grad():
        ours = encoder.encode(x, mask)
        other = theirs(encoder, decoder=False)(x, src_key_padding_mask=padding)
        # Twice the rounding of sums of at most 24 products, three matrices deep.
        torch.testing.assert_close(ours, other, rtol=1e-12, atol=1e-12)
        ours = decoder.decode(y, decoder.own.seen(y), decoder.other.seen(x), mask, causal=True)
        causal = nn.Transformer.generate_square_subsequent_mask(6, dtype=torch.float64)
        other = theirs(decoder, decoder=True)(
            y, x, tgt_mask=causal, memory_key_padding_mask=padding
        )
        torch.testing.assert_close(ours, other, rtol=1e-12, atol=1e-12)


def test_places_are_the_papers_sines() -> None:
    made = places(3, 4, 10)
    for place, feature in itertools.product(range(4), range(5)):
        angle = (place + 3) / 10_000 ** (2 * feature / 10)
        assert made[place, 2 * feature].item() == pytest.approx(math.sin(angle), abs=1e-15)
        assert made[place, 2 * feature + 1].item() == pytest.approx(math.cos(angle), abs=1e-15)


def test_embeddings_are_scaled_and_told_their_places() -> None:
    model = small().double().eval()
    tokens = torch.randint(3, 300, (2, 5))
    expected = 4 * model.tokens.weight[tokens] + places(2, 5, 16)
    torch.testing.assert_close(model._embedded(tokens, 2), expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("kind", Dropouts._fields)
def test_each_dropout_drops_in_training_alone(kind: str) -> None:
    torch.manual_seed(0)
    model = Translator(50, 16, 24, 4, 1, Dropouts(**{kind: 0.5}))
    (encoder,), (decoder,) = layers_of(model.encoder), layers_of(model.decoder)
    x, mask = torch.randn(2, 6, 16), torch.ones(2, 1, 1, 6, dtype=torch.bool)
    tokens = torch.randint(3, 50, (2, 6))
    calls: list[Callable[[], Tensor]] = [
        lambda: encoder.encode(x, mask),
        lambda: decoder.decode(x, decoder.own.seen(x), decoder.other.seen(x), mask, causal=True),
        *([lambda: model._embedded(tokens, 0)] if kind == "features" else []),
    ]
    for call in calls:
        model.train()
        assert not torch.equal(call(), call())
        model.eval()
        assert torch.equal(call(), call())


def test_the_full_size_has_its_parameters() -> None:
    made = sum(parameter.numel() for parameter in Translator(10_000).parameters())
    w, f = 512, 1024
    attention, perceptron, norm = 4 * (w * w + w), 2 * w * f + f + w, 2 * w
    assert made == 10_000 * w + 6 * (3 * attention + 2 * perceptron + 5 * norm)


def test_padding_and_later_tokens_change_nothing() -> None:
    model = small().double().eval()
    source, target = torch.randint(3, 300, (2, 5)), torch.randint(3, 300, (2, 6))
    with torch.no_grad():
        plain = model(source, target)
        wider = model(functional.pad(source, (0, 3), value=PAD), target)
        torch.testing.assert_close(wider, plain, rtol=1e-12, atol=1e-12)
        target[:, 4] = 7
        later = model(source, target)
    torch.testing.assert_close(later[:, :4], plain[:, :4], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(later[:, 4:], plain[:, 4:])


def test_token_by_token_the_model_says_what_it_says_at_once() -> None:
    model = small().double().eval()
    source, target = torch.randint(3, 300, (3, 5)), torch.randint(3, 300, (3, 7))
    source[2, 3:] = PAD
    with torch.no_grad():
        whole = model(source, target)
        cache = model.begin(source)
        for place in range(7):
            logits, cache = model.following(target[:, place], place, cache)
            torch.testing.assert_close(logits, whole[:, place], rtol=1e-12, atol=1e-12)


def best_of_all(
    model: Translator, source: Tensor, vocabulary: int, limit: int, penalty: float
) -> list[int]:
    """The best translation of one sentence, by trying every one."""
    best, chosen = -math.inf, []
    for length in range(limit):
        for said in itertools.product(range(3, vocabulary), repeat=length):
            tokens = torch.tensor([[BEGIN, *said, END]])
            with torch.no_grad():
                logp = model(source, tokens[:, :-1]).log_softmax(-1)
            total = logp.gather(-1, tokens[:, 1:, None]).sum().item()
            if total / (length + 1) ** penalty > best:
                best, chosen = total / (length + 1) ** penalty, list(said)
    return chosen


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_that_holds_everything_finds_the_best_translation(penalty: float) -> None:
    model = small(6, 1).eval()
    with torch.no_grad():
        model.tokens.weight[3:] *= 3  # so that ending at once is not always best
    source = torch.tensor([[3, 4, END], [5, END, PAD], [4, 4, END]])
    found = translate(model, source, beam=27, limit=4, penalty=penalty)
    expected = [best_of_all(model, row[row != PAD][None], 6, 4, penalty) for row in source]
    assert found == expected
    assert any(len(each) > 1 for each in found) or penalty == 0.0


def searched(model: Translator, source: Tensor, beam: int, limit: int) -> list[int]:
    """Beam search of one sentence, as it is described, without a cache."""
    begun: list[tuple[float, list[int]]] = [(0.0, [])]
    ended: list[tuple[float, list[int]]] = []
    for place in range(1, limit + 1):
        longer = []
        for total, said in begun:
            with torch.no_grad():
                logits = model(source[None], torch.tensor([[BEGIN, *said]]))[0, -1]
            logp = logits.float().log_softmax(-1).tolist()
            longer += [
                (total + each, [*said, token])
                for token, each in enumerate(logp)
                if token not in (PAD, BEGIN) and (place < limit or token == END)
            ]
        longer.sort(reverse=True)
        ended += [(total / place, said[:-1]) for total, said in longer[:beam] if said[-1] == END]
        begun = [each for each in longer if each[1][-1] != END][:beam]
        if len(ended) >= beam:
            break
    return max(ended)[1]


def test_the_search_is_the_one_that_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(12).double().eval()
    plain = model._logits
    source = torch.randint(3, 12, (12, 6), generator=torch.Generator().manual_seed(1))
    source[::3, 4:] = PAD
    lengths = set()
    for end, beam in itertools.product((2.0, 4.0, 6.0), (1, 2, 4)):
        # Sentences end at different places, and what must not be said is likely.
        push = torch.tensor([8.0, 8.0, end] + 9 * [0.0], dtype=torch.float64)
        monkeypatch.setattr(model, "_logits", lambda x, push=push: 2 * plain(x) + push)
        found = translate(model, source, beam, limit=9)
        assert found == [searched(model, row, beam, 9) for row in source]
        lengths |= {len(each) for each in found}
    assert {0, 1, 3, 5, 8} <= lengths


def test_a_sentence_is_translated_alike_whoever_is_beside_it() -> None:
    model = small(40).double().eval()
    source = torch.randint(3, 40, (6, 6))
    together = translate(model, source, beam=3, limit=12)
    assert together == [translate(model, row[None], beam=3, limit=12)[0] for row in source]
