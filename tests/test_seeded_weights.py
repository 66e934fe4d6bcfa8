import pytest
import torch

from seeded_weights import seeded_state


def test_the_values_are_these_on_every_machine():
    state = seeded_state({"head.weight": [2, 1, 1, 2], "head.bias": [2], "bn.running_var": [2]})
    torch.testing.assert_close(
        state["head.weight"].flatten(), torch.tensor([0.1262721, 0.3238943, 0.3220868, -0.5224447])
    )
    torch.testing.assert_close(state["head.bias"], torch.tensor([0.0259018, -0.0300733]))
    torch.testing.assert_close(state["bn.running_var"], torch.tensor([1.3093455, 1.3338774]))


def test_neither_the_order_nor_other_tensors_matter():
    alone = seeded_state({"b.weight": [3, 3]})
    among = seeded_state({"a.weight": [3, 3], "b.weight": [3, 3]})
    assert torch.equal(alone["b.weight"], among["b.weight"])
    assert not torch.equal(among["a.weight"], among["b.weight"])
    assert not torch.equal(alone["b.weight"], seeded_state({"b.weight": [3, 3]}, seed=1)["b.weight"])


@pytest.mark.parametrize(
    "name, shape, mean, deviation",
    [
        ("conv.weight", [64, 64, 3, 3], 0, (0.5 / 576) ** 0.5),
        ("conv.bias", [4096], 0, 0.05),
        ("conv.weight_g", [4096, 1, 1, 1], 1, 0.1),
        ("bn.weight", [4096], 1, 0.1),
        ("prelu.weight", [4096], 0.18, 0.06),
        ("bn.running_var", [4096], 1, 0.29),
        ("bn.running_mean", [4096], 0, 0.05),
    ],
)
def test_sizes_keep_deep_networks_sane(name, shape, mean, deviation):
    value = seeded_state({name: shape})[name]
    assert value.shape == tuple(shape) and value.dtype is torch.float32
    assert value.mean().item() == pytest.approx(mean, abs=0.02)
    assert value.std().item() == pytest.approx(deviation, rel=0.1)


def test_a_counter_is_an_integer():
    counter = seeded_state({"bn.num_batches_tracked": []})["bn.num_batches_tracked"]
    assert counter.dtype is torch.int64 and counter == 0


def test_factors_multiply_single_tensors():
    shapes = {"head.weight": [2, 2], "tail.weight": [2, 2]}
    plain, scaled = seeded_state(shapes), seeded_state(shapes, factors={"head.weight": 3.0})
    assert torch.equal(scaled["head.weight"], 3 * plain["head.weight"])
    assert torch.equal(scaled["tail.weight"], plain["tail.weight"])
