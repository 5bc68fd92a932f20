"""STL predicts a view through what another image's pair tells of the transformation, as the paper's equations say."""

import copy

import pytest
import torch

from equicoherence.methods import Encoded
from equicoherence.methods.simclr import SimCLR
from equicoherence.methods.stl import STL, STLConfig, partners
from tests.encoded import NoWaiting, assert_trains, encoded, mixed


def _method(**changes):
    torch.manual_seed(0)
    return STL(8, STLConfig(width=12, output=6, hidden=10, transformation=5, **changes))


def _info_nce(y, positive, others, g, temperature):
    """Equation 10, with the embeddings of all others than y in the sum below, the positive one among them."""
    project = [g(each[None])[0] for each in (y, positive, *others)]
    sim = torch.nn.functional.cosine_similarity
    scores = torch.stack([sim(project[0], other, dim=0) / temperature for other in project[1:]])
    return -torch.log(scores[0].exp() / scores.exp().sum())


def _contrast(pairs, g, temperature):
    """The mean of equation 10 over all pairs, each row once as y."""
    rows = [row for pair in pairs for row in pair]
    losses = []
    for number, y in enumerate(rows):
        positive = number + 1 if number % 2 == 0 else number - 1
        others = [row for place, row in enumerate(rows) if place not in (number, positive)]
        losses.append(_info_nce(y, rows[positive], others, g, temperature))
    return torch.stack(losses).mean()


def _slow(method, x, t_x, config):
    """Equations 5 to 14, image by image, of representations x and t_x (B, D), and back from t_x to x."""

    def f_t(a, b):  # equation 5
        return method.transformation(torch.cat([a, b])[None])[0]

    def phi(y_t, y):  # equation 6, a matrix that is linear in y_t
        matrices = method.hypernetwork.matrices.weight.unflatten(1, (len(y_t), len(y)))  # (out, P, in)
        matrix = sum(y_t[p] * matrices[:, p] for p in range(len(y_t)))
        return matrix @ y

    invariant, equivariant, transformation = [], [], []
    for i in range(len(x)):
        invariant.append((x[i], t_x[i]))
        other = i + 1 if i % 2 == 0 else i - 1  # x', transformed alike
        for begin, end in ((x, t_x), (t_x, x)):
            equivariant.append((phi(f_t(begin[other], end[other]), begin[i]), end[i]))  # equation 7
            if i % 2 == 0:
                transformation.append((f_t(begin[i], end[i]), f_t(begin[other], end[other])))  # equation 9
    return {
        "contrastive": _contrast(invariant, method.projector, config.temperature),
        "equivariance": config.equivariance * _contrast(equivariant, method.equivariant_projector, config.temperature),
        "transformation": config.self_supervised
        * _contrast(transformation, method.transformation_projector, config.temperature),
    }


def test_all_three_terms_are_those_of_the_equations_image_by_image():
    method, views = _method(self_supervised=0.3).eval(), encoded(batch=6)
    exact, summary = copy.deepcopy(method).double(), views.summary.clone().requires_grad_()
    losses = method(Encoded(summary))
    wide = summary.detach().double().requires_grad_()
    expected = _slow(exact, *wide, exact.config)
    assert losses.keys() == expected.keys()
    for name in losses:
        assert abs(losses[name] - expected[name]) < 1e-5, name
        ours, slow = (
            torch.autograd.grad(terms[name], [rows, *parts.parameters()], retain_graph=True, allow_unused=True)
            for terms, rows, parts in ((losses, summary, method), (expected, wide, exact))
        )
        for found, true in zip(ours, slow):
            assert (found is None) == (true is None)
            assert true is None or (found - true).abs().max() < 1e-6 * max(10.0, float(true.abs().max()))


def test_weights_and_temperature_are_the_published_ones():
    config = STLConfig()
    assert (config.temperature, config.equivariance, config.self_supervised) == (0.2, 1.0, 0.2)
    assert (config.hidden, config.transformation, config.width, config.output) == (512, 128, 2048, 128)


def test_images_change_places_with_their_partners():
    assert partners(torch.arange(6.0)[:, None]).flatten().tolist() == [1, 0, 3, 2, 5, 4]


def test_an_image_is_predicted_without_its_own_view():
    """A view that changes alone changes what its partner is predicted to be, not its own prediction."""
    method, views = _method().eval(), encoded(batch=4)
    given = []
    method.hypernetwork.register_forward_hook(lambda module, inputs, output: given.append(output))
    changed = views.summary.clone()
    changed[1, 0] += 1  # view 2 of image 0
    for summary in (views.summary, changed):
        method(Encoded(summary))
    moved = (given[0] - given[1]).abs().amax(dim=1)[:4] > 1e-4  # predictions of view 2, from view 1
    assert moved.tolist() == [False, True, False, False]


@pytest.mark.parametrize("half", [False, True])
def test_the_invariant_term_is_simclrs(half):
    method, views = _method(), encoded()
    with mixed(half):
        losses, expected = method(views), SimCLR.forward(method, views)
    assert losses.keys() == {"contrastive", "equivariance", "transformation"}
    assert abs(losses["contrastive"] - expected["contrastive"]) < 1e-6
    assert all(loss.dtype == torch.float32 for loss in losses.values())


def test_the_method_trains_all_it_has():
    assert_trains(_method(), encoded())


def test_it_never_waits_for_the_device():
    with NoWaiting():
        _method()(encoded())


def test_an_odd_number_of_images_is_refused():
    with pytest.raises(ValueError, match="in pairs that are transformed alike, got 5 images"):
        _method()(encoded(batch=5))
