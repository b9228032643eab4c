"""Beam search: the translations that a model finds most likely."""

from __future__ import annotations

import torch
from torch import Tensor

from adabelief_lab.data.subwords import BEGIN, END, PAD
from adabelief_lab.models.translator import Translator

_NEVER = float("-inf")


class _Sentence:
    """One that is being translated: its beginnings, and the best translation so far."""

    def __init__(self, beam: int) -> None:
        self.begun: list[list[int]] = [[] for _ in range(beam)]
        self.best: list[int] = []
        self.score = _NEVER
        self.missing = beam

    def ends(self, beginning: list[int], score: float) -> None:
        self.missing -= 1
        if score > self.score:
            self.best, self.score = beginning, score


@torch.inference_mode()
def translate(
    model: Translator, source: Tensor, beam: int, limit: int, penalty: float = 1.0
) -> list[list[int]]:
    """Of each sentence the translation with the highest score, without `BEGIN` and `END`.

    A translation's score is the sum of its tokens' log-probabilities, `END` among them, divided by
    their number to the power `penalty`. Each step keeps the `beam` best beginnings; a beginning
    that ends among these is a translation. A sentence is done when it has `beam` of them: what else
    is in the batch makes no difference.

    Args:
        model: in evaluation mode.
        source: tokens (n, length), padded with `PAD`.
        beam: beginnings of each sentence; 1 takes the likeliest token each time.
        limit: tokens of a translation at most, `END` counted; what has not ended by then ends.
        penalty: 1 for the mean, 0 for the sum.
    """
    n = len(source)
    everybody = [_Sentence(beam) for _ in range(n)]
    going = everybody
    cache = model.begin(source).of(torch.arange(n, device=source.device).repeat_interleave(beam))
    last = torch.full((n * beam,), BEGIN, device=source.device)
    # All beginnings are the same at first: one of them counts.
    sums = torch.full((n, beam), _NEVER, device=source.device)
    sums[:, 0] = 0.0
    for place in range(limit):
        logits, cache = model.following(last, place, cache)
        more = logits.float().log_softmax(-1).view(len(going), beam, -1)
        more[..., [PAD, BEGIN]] = _NEVER
        length = (place + 1) ** penalty
        if place == limit - 1:
            for sentence, scores in zip(going, (sums + more[..., END]).tolist(), strict=True):
                for beginning, score in zip(sentence.begun, scores, strict=True):
                    sentence.ends(beginning, score / length)
            break
        size = more.shape[-1]
        # Of twice as many at least `beam` do not end: each beginning has one way to end.
        totals, chosen = (sums[..., None] + more).flatten(1).topk(min(2 * beam, beam * size))
        parent, token = chosen // size, chosen % size
        ends = token == END
        for at, rank in (ends[:, :beam] & (totals[:, :beam] > _NEVER)).nonzero().tolist():
            beginning = going[at].begun[int(parent[at, rank])]
            going[at].ends(beginning, totals[at, rank].item() / length)
        # Those that go on, best first.
        kept = ends.int().argsort(dim=1, stable=True)[:, :beam]
        sums, parent, token = totals.gather(1, kept), parent.gather(1, kept), token.gather(1, kept)
        for sentence, parents, tokens in zip(going, parent.tolist(), token.tolist(), strict=True):
            sentence.begun = [
                [*sentence.begun[above], next_]
                for above, next_ in zip(parents, tokens, strict=True)
            ]
        rows = beam * torch.arange(len(going), device=source.device)[:, None] + parent
        still = [at for at, sentence in enumerate(going) if sentence.missing > 0]
        if len(still) == len(going):
            cache = cache.after(rows.flatten())
        elif still:
            going = [going[at] for at in still]
            rows, sums, token = rows[still], sums[still], token[still]
            cache = cache.of(rows.flatten())
        else:
            break
        last = token.flatten()
    return [sentence.best for sentence in everybody]
