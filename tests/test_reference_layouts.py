import pytest
import torch

from reference_layouts import NAMES, reference
from sr_lightning import models


def test_there_are_many():
    assert len(NAMES) >= 120


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_says_whose_it_is_and_holds_a_picture(name):
    found = reference(name)
    source, commit = found.about["source"].split(" at ")
    assert source and commit and found.about["licence"] and found.about["whose"]
    scale = found.about["arguments"]["scale"]
    assert found.sr.shape == (*found.lr.shape[:2], *(scale * side for side in found.lr.shape[2:]))
    assert found.sr.isfinite().all() and found.sr.std() > 0.01
    assert found.lr.min() >= 0 and found.lr.max() <= 1
    assert found.difference(found.sr) == 0
    other = found.sr + found.sr.abs().max()
    assert found.difference(other) > 0.5  # a picture that is all clipped would show nothing


@pytest.mark.parametrize("name", NAMES)
def test_our_network_of_these_arguments_has_as_many_weights(name):
    found = reference(name)
    if found.about["lacks"]:
        pytest.skip(found.about["lacks"])
    network = getattr(models, found.about["network"])
    theirs = {key: value for key, value in found.state.items() if key not in found.constants}
    if "conv_1.sk.weight" in theirs:  # of SPAN's branches, whose single convolutions stand beside them
        pytest.skip("counted after merging")
    ours = network(**found.about["arguments"]).state_dict()
    assert sum(value.numel() for value in ours.values()) == sum(value.numel() for value in theirs.values())


def test_the_entry_and_the_prefix_are_those_of_the_project():
    content = reference("edsr_mmagic_x2").content()
    assert list(content) == ["state_dict"]
    assert next(iter(content["state_dict"])).startswith("generator.")
    assert torch.is_tensor(reference("edsr_x4").content()["head.0.weight"])
