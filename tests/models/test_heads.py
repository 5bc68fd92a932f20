"""The prototype head: cosines to its prototypes, and a split that computes no more than is asked."""

import pytest
import torch
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.flop_counter import FlopCounterMode

from equicoherence.models import ClassPatchHead, PrototypeHead


def _head(prototypes=10, extra=0, seed=0):
    torch.manual_seed(seed)
    return PrototypeHead(8, 12, 6, prototypes, extra)


def _split():
    """Return a head of ten outputs and the same head with the last three split off."""
    whole, split = _head(), _head(7, extra=3, seed=1)
    split.load_state_dict(whole.state_dict())
    return whole, split


def test_logits_are_cosines_to_prototypes_whatever_their_length():
    head, x = _head(), torch.randn(2, 5, 8)
    directions = head.mlp(x)
    expected = torch.cosine_similarity(directions[..., None, :], head.last_layer.weight, dim=-1)
    assert torch.allclose(head(x), expected, atol=1e-6)
    with torch.no_grad():
        head.last_layer.weight *= torch.rand(10, 1) + 0.5
    assert torch.allclose(head(x), expected, atol=1e-6)


def test_trained_lengths_make_the_head_that_of_a_weight_norm():
    unit, free = _head(), PrototypeHead(8, 12, 6, 10, unit=False)
    free.load_state_dict({**unit.state_dict(), "last_layer.length": free.last_layer.length.detach()})
    x = torch.randn(5, 8)
    assert torch.equal(free(x), unit(x)), "all lengths begin at 1"
    with torch.no_grad():
        free.last_layer.length.copy_(torch.rand(10, 1) + 0.5)
    reference = torch.nn.Linear(6, 10, bias=False)
    reference.weight.data = unit.last_layer.weight.detach().clone()
    weight_norm(reference).parametrizations.weight.original0.data = free.last_layer.length.detach().clone()
    directions = torch.nn.functional.normalize(free.mlp(x), dim=-1)
    assert torch.allclose(free(x), reference(directions), atol=1e-6)
    free(x).square().sum().backward()
    assert free.last_layer.length.grad.abs().min() > 0
    assert unit.last_layer.length is None


def test_a_split_head_has_a_length_of_each_extra_output_too():
    torch.manual_seed(0)
    head, x = PrototypeHead(8, 12, 6, 7, 3, unit=False), torch.randn(5, 8)
    logits, extra = head(x), head.equivariant(x)
    with torch.no_grad():
        head.last_layer.length[7:] = 2.0
    assert torch.equal(head(x), logits)
    assert torch.allclose(head.equivariant(x), 2 * extra)


def test_the_split_parts_are_the_first_and_the_last_outputs_of_the_whole_head():
    whole, split = _split()
    x = torch.randn(2, 5, 8)
    assert torch.allclose(split(x), whole(x)[..., :7], atol=1e-7)
    assert torch.allclose(split.equivariant(x), whole(x)[..., 7:], atol=1e-7)


def test_cosines_are_float32_under_autocast():
    head, x = _head(200), torch.randn(64, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found, directions = head(x), head.mlp(x)
    assert found.dtype == torch.float32
    expected = torch.cosine_similarity(directions.float()[:, None], head.last_layer.weight, dim=-1)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("part", "outputs"), [("forward", 7), ("equivariant", 3)])
def test_no_part_computes_the_other(part, outputs):
    _, split = _split()
    with FlopCounterMode(display=False) as counter:
        getattr(split, part)(torch.randn(5, 8))
    assert counter.get_total_flops() == 2 * 5 * (8 * 12 + 12 * 12 + 12 * 6 + 6 * outputs)


def test_a_shared_head_is_called_once_for_summaries_and_tokens():
    head, summaries, tokens = _head(), torch.randn(3, 4, 8), torch.randn(6, 8)
    calls = []
    handle = head.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    of_summaries, of_tokens = ClassPatchHead(head)(summaries, tokens)
    handle.remove()
    assert calls == [18]
    assert torch.allclose(of_summaries, head(summaries), atol=1e-6)
    assert torch.allclose(of_tokens, head(tokens), atol=1e-6)


def test_heads_of_their_own_have_one_input_each_and_the_patch_head_is_split():
    patch, summary = _head(7, extra=3), _head(7, seed=1)
    both, summaries, tokens = ClassPatchHead(patch, summary), torch.randn(3, 4, 8), torch.randn(6, 8)
    of_summaries, of_tokens = both(summaries, tokens)
    assert torch.equal(of_summaries, summary(summaries))
    assert torch.equal(of_tokens, patch(tokens))
    assert torch.equal(both.equivariant(tokens), patch.equivariant(tokens))


def test_a_head_without_prototypes_is_refused():
    with pytest.raises(ValueError, match="got 0 and 4"):
        _head(0, extra=4)
