"""The transformer of two languages: its arithmetic, its search, its batches, its task."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief import AdaBelief
from adabelief.lab.conformance import check
from adabelief.lab.data import pairs, subwords
from adabelief.lab.data.pairs import Pairs
from adabelief.lab.data.subwords import BEGIN, END, PAD, Subwords
from adabelief.lab.errors import LabError
from adabelief.lab.models.beam import translate
from adabelief.lab.models.translator import Attention, Layer, Translator, layers_of, places
from adabelief.lab.team import Team
from adabelief.lab.token_batches import TokenBatches
from adabelief.lab.translation import Translation
from adabelief.lab.workloads import WORKLOADS

WORDS = ("ein", "haus", "der", "hund", "sieht", "baum", "und", "katze", "zwei", "rot")


def sentences(count: int, seed: int) -> Pairs:
    drawn = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        length = int(torch.randint(1, 7, (), generator=drawn))
        chosen = torch.randint(0, len(WORDS), (length,), generator=drawn).tolist()
        made.append(" ".join(WORDS[each] for each in chosen))
    return Pairs(tuple(made), tuple(each.upper() for each in made))


TEXT = {"train": sentences(40, 0), "valid": sentences(9, 1), "test": sentences(7, 2)}


@pytest.fixture(scope="module")
def learned() -> Subwords:
    return Subwords((*TEXT["train"].source, *TEXT["train"].target), 300)


def small(vocabulary: int = 300, layers: int = 2) -> Translator:
    torch.manual_seed(0)
    model = Translator(vocabulary, 16, 24, 4, layers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.tokens.weight[PAD] = 0.0
    return model


def task(learned: Subwords, **settings: Any) -> Translation:
    given: dict[str, Any] = {
        "max_tokens": 60, "longest": 40, "data_seed": 3, "steps": 10, "beam": 2, **settings
    }  # fmt: skip
    return Translation(small(len(learned)), TEXT, learned, **given)


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


def test_a_beam_of_one_takes_the_likeliest_token() -> None:
    model = small(40).eval()
    source = torch.randint(3, 40, (4, 6))
    for row, found in zip(source, translate(model, source, beam=1, limit=9), strict=True):
        said = [BEGIN]
        while len(said) < 9 and said[-1] != END:
            with torch.no_grad():
                logits = model(row[None], torch.tensor([said]))[0, -1]
            logits[[PAD, BEGIN]] = -math.inf
            said.append(int(logits.argmax()))
        assert found == [token for token in said[1:] if token != END]


def test_a_sentence_is_translated_alike_whoever_is_beside_it() -> None:
    model = small(40).double().eval()
    source = torch.randint(3, 40, (6, 6))
    together = translate(model, source, beam=3, limit=12)
    assert together == [translate(model, row[None], beam=3, limit=12)[0] for row in source]


def test_batches_hold_every_pair_once_an_epoch_and_depend_on_number_and_seed_only() -> None:
    sizes = torch.randint(1, 30, (200,), generator=torch.Generator().manual_seed(0)).tolist()
    made = TokenBatches(sizes, 64, 5)
    n = made.per_epoch
    epochs = [[made[epoch * n + place] for place in range(n)] for epoch in range(3)]
    for epoch in epochs:
        assert sorted(itertools.chain(*epoch)) == list(range(200))
        for batch in epoch:
            assert len(batch) * max(sizes[each] for each in batch) <= 64
    # As few as possible where they come by length: no pair of the next one had room.
    lengths = [sorted(sizes[each] for each in batch) for batch in epochs[0]]
    ranked = sorted(lengths, key=lambda each: (each[0], each[-1], -len(each)))
    for before, after in itertools.pairwise(ranked):
        assert (len(before) + 1) * after[0] > 64
    assert epochs[0] != epochs[1]
    assert TokenBatches(sizes, 64, 5)[2 * n + 3] == epochs[2][3]
    assert TokenBatches(sizes, 64, 6)[3] != epochs[0][3]


def test_subwords_give_the_text_again_and_are_the_same_each_time(learned: Subwords) -> None:
    again = Subwords((*TEXT["train"].source, *TEXT["train"].target), 300)
    said = ("Der Hund sieht zwei rote Häuser – „gut“.", "x")
    numbers = learned.numbers(said)
    assert numbers == again.numbers(said)
    assert [each[-1] for each in numbers] == [END, END]
    assert tuple(learned.text(each) for each in numbers) == said
    assert learned.text([*numbers[1], 9, 9]) == "x"
    assert len(learned) == 300


def test_a_step_is_that_of_a_loop_written_out(learned: Subwords) -> None:
    made, other = task(learned), task(learned)
    model, copied = made.modules["model"], other.modules["model"]
    optimizers = [AdaBelief(each.parameters(), lr=1e-2) for each in (model, copied)]
    for index in range(4):
        logged = made.step(index, {"model": optimizers[0]})
        source, target = other.batch(index)
        assert (target[:, 0] == BEGIN).all()
        logits = copied(source, target[:, :-1])
        loss = functional.cross_entropy(
            logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD, label_smoothing=0.1,
            reduction="sum",
        ) / (target[:, 1:] != PAD).sum()  # fmt: skip
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        assert torch.equal(logged["loss"], loss.detach())
    for ours, expected in zip(model.parameters(), copied.parameters(), strict=True):
        assert torch.equal(ours, expected)


def test_parts_of_a_batch_have_gradients_whose_mean_is_the_whole_ones(learned: Subwords) -> None:
    made = task(learned)
    model = made.modules["model"].double()
    index = next(n for n in range(made.batches_per_epoch) if len(made._batches[n]) == 5)
    gradients = []
    for team in (Team(), Team(0, 2), Team(1, 2)):
        made._team = team
        model.zero_grad()
        made._loss_of(index).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])  # type: ignore[union-attr]
    # The loss is float32, of logits in float64; gradients of keys' biases are rounding alone.
    largest = max(whole.abs().max().item() for whole in gradients[0])
    for whole, one, other in zip(*gradients, strict=True):
        bound = 100 * torch.finfo(torch.float32).eps * largest
        torch.testing.assert_close((one + other) / 2, whole, rtol=0, atol=bound)


def test_the_last_weights_are_averaged_and_evaluated(learned: Subwords) -> None:
    made = task(learned, averaged=3, apart=2, steps=7)
    model = made.modules["model"]
    optimizer = AdaBelief(model.parameters(), lr=1e-2)
    seen = []
    for index in range(7):
        made.step(index, {"model": optimizer})
        seen.append([parameter.detach().clone() for parameter in model.parameters()])
        if index == 1:
            assert made._judged is model
    taken = [torch.stack(each) for each in zip(*(seen[index] for index in (2, 4, 6)), strict=True)]
    for ours, each in zip(made._judged.parameters(), taken, strict=True):
        # A running mean of three: two roundings more than their sum's.
        bound = 8 * torch.finfo(torch.float32).eps * each.abs().amax(0).max().item()
        torch.testing.assert_close(ours, each.mean(0), rtol=0, atol=bound)


def test_a_mean_of_weights_goes_on_where_it_was(learned: Subwords) -> None:
    def trained(made: Translation, optimizer: AdaBelief, steps: range) -> None:
        for index in steps:
            made.step(index, {"model": optimizer})

    whole, before, after = (task(learned, averaged=3, apart=2, steps=7) for _ in range(3))
    optimizers = [AdaBelief(each.modules["model"].parameters()) for each in (whole, before, after)]
    trained(whole, optimizers[0], range(7))
    trained(before, optimizers[1], range(5))
    after.modules["model"].load_state_dict(before.modules["model"].state_dict())
    optimizers[2].load_state_dict(optimizers[1].state_dict())
    after.load_state_dict(before.state_dict())
    trained(after, optimizers[2], range(5, 7))
    assert after.evaluate("test") == whole.evaluate("test")
    last = whole.modules["model"].state_dict()
    plain = task(learned)
    plain.modules["model"].load_state_dict(last)
    assert plain.evaluate("test")["loss"] != whole.evaluate("test")["loss"]


def test_evaluation_is_the_loss_of_references_and_the_bleu_of_translations(
    learned: Subwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    monkeypatch.setattr("adabelief.lab.translation._EVALUATED", 4)  # 9 sentences: 4, 4, 1
    made = task(learned)
    model = made.modules["model"]
    total, count, said = 0.0, 0, []
    for source, target in zip(*TEXT["valid"], strict=True):
        (ours,), (theirs,) = learned.numbers([source]), learned.numbers([target])
        row = torch.tensor([ours])
        with torch.no_grad():
            logits = model(row, torch.tensor([[BEGIN, *theirs[:-1]]]))[0].double()
        total += functional.cross_entropy(logits, torch.tensor(theirs), reduction="sum").item()
        count += len(theirs)
        (found,) = translate(small_eval(model), row, 2, 40)
        said.append(learned.text(found))
    found_ = made.evaluate("valid")
    assert found_["loss"] == pytest.approx(total / count, rel=1e-5)
    # What translations say, not how long they may become: the limit differs beside longer ones.
    score = sacrebleu.corpus_bleu(said, [list(TEXT["valid"].target)], force=True).score
    assert found_["bleu"] == pytest.approx(score, abs=1.0)


def small_eval(model: nn.Module) -> Translator:
    assert isinstance(model, Translator)
    return model.eval()


def test_perfect_translations_have_a_bleu_of_100(
    learned: Subwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        tuple(source): target
        for source, target in zip(
            learned.numbers(TEXT["test"].source), learned.numbers(TEXT["test"].target), strict=True
        )
    }
    monkeypatch.setattr(
        "adabelief.lab.translation.translate",
        lambda model, source, *others: [
            answers[tuple(row[row != PAD].tolist())][:-1] for row in source
        ],
    )
    assert task(learned).evaluate("test")["bleu"] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"longest": 5}, LabError, r"train: a sentence of pair 2 has \d+ subwords, the option"),
        ({"max_tokens": 3}, ValueError, r"max_tokens must be at least \d+, .* got 3"),
        ({"smoothing": 1.0}, ValueError, r"smoothing must be in \[0, 1\), got 1.0"),
        (
            {"averaged": 5, "apart": 3, "steps": 12},
            ValueError,
            r"more than 12, over .* got 12",
        ),
        ({"beam": 0}, ValueError, "beam must be at least 1, got 0"),
    ],
)
def test_wrong_settings_are_named(
    learned: Subwords, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        task(learned, **settings)


def test_several_processes_are_refused_where_they_cannot_share(learned: Subwords) -> None:
    made = task(learned)
    assert "shards do not notice" in made.refuses(2, "fsdp")
    assert made.refuses(2, "ddp") == "" or made._batches.smallest == 1
    assert "a pair for each of the 99 processes" in made.refuses(99, "ddp")


def test_the_workload_keeps_what_it_promises() -> None:
    workload = WORKLOADS["help-transformer"]
    broken = [each for each in check(workload, workload.presets["smoke"]) if each.state == "broken"]
    assert not broken


def test_the_number_of_batches_of_the_embedded_pairs_is_the_one_that_presets_have() -> None:
    workload = WORKLOADS["help-transformer"]
    preset = workload.presets["authors"]
    text = pairs.load("help")["train"]
    full = subwords.learned("help", 10_000)
    sizes = [
        max(len(source), len(target))
        for source, target in zip(full.numbers(text.source), full.numbers(text.target), strict=True)
    ]
    assert preset.steps == 55 * TokenBatches(sizes, 4096, 0).per_epoch
