"""MSRResNet begins near the bilinear picture."""

import torch
import torch.nn.functional as F

from sr_lightning.models import MSRResNet


def test_it_begins_near_the_bilinear_picture() -> None:
    torch.manual_seed(0)
    lr = torch.rand(1, 3, 8, 9)
    bilinear = F.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)
    with torch.inference_mode():
        detail = MSRResNet(scale=4, num_blocks=2)(lr) - bilinear
    assert 0 < detail.abs().max() < 1e-3


def test_the_activation_of_steps_is_one_argument() -> None:
    torch.manual_seed(0)
    activated, linear = (
        MSRResNet(scale=4, num_features=8, num_blocks=1, upsampler_activation=on) for on in (True, False)
    )
    linear.load_state_dict(activated.state_dict())
    lr = torch.rand(1, 3, 8, 9)
    assert not torch.equal(activated(lr), linear(lr))
