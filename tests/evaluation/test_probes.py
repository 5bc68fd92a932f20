"""Probes: known answers, floors, and agreement with references."""

import pytest
import torch

from equicoherence.evaluation.classification.accuracy import (
    LEARNING_RATES,
    knn_accuracy,
    linear_accuracy,
    linear_logits,
)
from equicoherence.evaluation.probes import attentive_probe, calibrate, mlp_probe, mlp_probes
from equicoherence.ridge import r2_score, ridge_probe, split_images


def _linear_data(noise=0.0):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 12, generator=generator)
    y = x @ torch.randn(12, 2, generator=generator) + noise * torch.randn(600, 2, generator=generator)
    return x[:400], y[:400], x[400:], y[400:]


def test_r2_agrees_with_torchmetrics_and_is_zero_for_a_constant():
    from torchmetrics.functional import r2_score as reference

    torch.manual_seed(0)
    target, predicted = torch.randn(50, 3), torch.randn(50, 3)
    assert torch.allclose(
        r2_score(predicted, target), reference(predicted, target, multioutput="raw_values"), atol=1e-5
    )
    assert torch.allclose(r2_score(target.mean(0).expand_as(target), target), torch.zeros(3), atol=1e-6)
    assert torch.allclose(r2_score(target, target), torch.ones(3))


def test_ridge_finds_a_linear_map_and_survives_more_features_than_rows():
    train, target, test, truth = _linear_data()
    assert r2_score(ridge_probe(train, target, test), truth).min() > 0.999
    wide = torch.randn(600, 500, generator=torch.Generator().manual_seed(1))
    noise = ridge_probe(wide[:400], target, wide[400:])
    assert r2_score(noise, truth).abs().max() < 0.1


def test_the_mlp_reads_what_is_not_linear():
    train, target, test, truth = _linear_data()
    target, truth = target.square(), truth.square()
    assert r2_score(ridge_probe(train, target, test), truth).max() < 0.2
    assert r2_score(mlp_probe(train, target, test, epochs=60), truth).min() > 0.7


def test_probes_find_nothing_in_noise():
    torch.manual_seed(0)
    x, y = torch.randn(600, 12), torch.randn(600, 1)
    assert ridge_probe(x[:400], y[:400], x[400:]).std() < 0.3
    assert r2_score(mlp_probe(x[:400], y[:400], x[400:]), y[400:]).max() < 0.1


def test_a_probe_of_few_wide_noisy_features_falls_back_on_the_constant():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(800, 300, generator=generator), torch.randn(800, 2, generator=generator)
    scores = [r2_score(mlp_probe(x[:400], y[:400], x[400:], seed=seed), y[400:]) for seed in range(3)]
    assert torch.stack(scores).min() > -0.08  # about -0.25 without calibration
    tokens = x.view(800, 2, 3, 50)
    assert r2_score(attentive_probe(tokens[:400], y[:400], tokens[400:]), y[400:]).min() > -0.08


def test_a_channel_that_wakes_only_in_the_test_does_not_throw_a_probe_off():
    train, target, test, truth = _linear_data()
    train, test = (torch.cat([x, torch.zeros(len(x), 1)], dim=1) for x in (train, test))
    test[0, -1] = 1.0
    for probe in (ridge_probe, mlp_probe):
        assert r2_score(probe(train, target, test), truth).min() > 0.8


def test_calibration_shrinks_to_what_generalises_and_never_turns_or_stretches():
    target = torch.tensor([[1.0], [-1.0], [3.0], [-3.0]])
    centre = torch.zeros(1)
    for held, factor in ((2 * target, 0.5), (0.5 * target, 1.0), (-target, 0.0), (target.flip(0).abs(), 0.0)):
        assert torch.allclose(calibrate(torch.ones(1, 1), held, target, centre), torch.full((1, 1), factor))
    assert calibrate(torch.ones(1, 1), target * 0, target, centre + 0.25) == 1  # it says nothing, so nothing to mend


def test_draws_of_one_image_are_held_out_together():
    kept, held = split_images(30, 3, 0.2)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(30))
    assert not {i % 10 for i in kept.tolist()} & {i % 10 for i in held.tolist()}
    assert len(held) == 6
    with pytest.raises(ValueError, match="two or more images"):
        split_images(3, 3, 0.2)


def test_the_attentive_probe_reads_a_token_that_pooling_drowns():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(800, 2, 16, 8, generator=generator) * 2
    target = torch.randn(800, 1, generator=generator)
    place = torch.randint(0, 16, (800,), generator=generator)
    rows = torch.arange(800)
    tokens[rows, 1, place] = 0
    tokens[rows, 1, place, 0] = 30.0  # a flag to attend to
    tokens[rows, 1, place, 1] = target[:, 0]
    attentive = attentive_probe(tokens[:600], target[:600], tokens[600:], epochs=200)
    pooled = ridge_probe(tokens[:600].mean(2).flatten(1), target[:600], tokens[600:].mean(2).flatten(1))
    assert r2_score(attentive, target[600:]).item() > r2_score(pooled, target[600:]).item() + 0.2


def test_probes_are_the_same_for_the_same_seed_and_leave_the_global_generator_alone():
    train, target, test, _ = _linear_data()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b = (mlp_probe(train, target, test, epochs=2, seed=3) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("fast", [True, False])
def test_several_seeds_at_once_predict_what_each_predicts_alone(fast: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("equicoherence.evaluation.fit.has_bfloat16", lambda device: fast)
    train, target, test, _ = _linear_data()
    together = mlp_probes(train, target, test, (3, 0), epochs=2)
    alone = [mlp_probe(train, target, test, epochs=2, seed=seed) for seed in (3, 0)]
    assert all(map(torch.equal, together, alone))
    assert not torch.equal(*together)


def test_features_kept_in_bfloat16_give_the_bits_that_float32_ones_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("equicoherence.evaluation.fit.has_bfloat16", lambda device: True)
    train, target, test, _ = _linear_data()
    kept = mlp_probe(train, target, test, epochs=2)
    monkeypatch.setattr("equicoherence.evaluation.probes.precision_of", lambda device: "float32")
    assert torch.equal(kept, mlp_probe(train, target, test, epochs=2))


def _clusters():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(5, 16, generator=generator) * 3
    labels = torch.arange(500) % 5
    x = centres[labels] + torch.randn(500, 16, generator=generator)
    return x[:300], labels[:300], x[300:], labels[300:]


def test_knn_agrees_with_a_slow_direct_vote():
    train, labels, test, truth = _clusters()
    unit = [torch.nn.functional.normalize(x, dim=1) for x in (train, test)]
    hits = 0
    for row, answer in zip(unit[1], truth):
        similarity = unit[0] @ row
        votes = torch.zeros(5)
        for i in similarity.argsort(descending=True)[:20]:
            votes[labels[i]] += torch.exp(similarity[i] / 0.07)
        hits += int(votes.argmax() == answer)
    assert knn_accuracy(train, labels, test, truth) == pytest.approx(hits / len(truth))


def test_the_linear_probe_is_the_softmax_regression_that_autograd_and_sgd_find():
    train, labels, test, _ = _clusters()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(train), generator=generator)
    held, kept = order[:30], order[30:]
    rows = [torch.randperm(len(kept), generator=generator) for _ in range(4)]
    mean, std = train.mean(dim=0), train.std(dim=0) + 1e-6
    x, asked = (train - mean) / std, (test - mean) / std
    tried = []
    for rate in LEARNING_RATES:
        layer = torch.nn.Linear(16, 5)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        optimizer = torch.optim.SGD(layer.parameters(), rate, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
        for chosen in (kept[part] for part in rows):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(layer(x[chosen]), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
        right = (layer(x[held]).argmax(dim=1) == labels[held]).float().mean()
        tried.append((float(right), layer(asked).detach()))
    best = max(tried, key=lambda each: each[0])[1]  # of equals the first
    assert torch.allclose(linear_logits(train, labels, test, epochs=4), best, atol=1e-4)


def test_the_linear_probe_separates_clusters_and_not_noise():
    train, labels, test, truth = _clusters()
    assert linear_accuracy(train, labels, test, truth) > 0.95
    assert linear_accuracy(torch.randn(300, 16), labels, torch.randn(200, 16), truth) < 0.4
