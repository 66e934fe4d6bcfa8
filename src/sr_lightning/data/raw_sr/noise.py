"""Noise of real sensors: variance ``shot * x + read`` at the signal x, white being 1."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Profile = Literal["none", "dnd", "sidd", "ntire", "heteroscedastic"]


@dataclass(frozen=True)
class Line:
    """Shot and read noise of cameras at all their gains: a straight line in logarithms, with a spread about it.

    Args:
        shot: The range of the shot noise, whose logarithm is even.
        slope: Of the logarithm of the read noise over that of the shot noise.
        offset: Of that line.
        spread: Standard deviation of the logarithm about it.
        base: Of the logarithms.
    """

    shot: tuple[float, float]
    slope: float
    offset: float
    spread: float
    base: float

    def draw(self, generator: np.random.Generator) -> tuple[float, float]:
        """Shot and read noise of one photograph, as variances."""
        share, deviation = generator.random(), generator.standard_normal()
        low, high = (math.log(end, self.base) for end in self.shot)
        log_shot = low + share * (high - low)
        log_read = self.slope * log_shot + self.offset + self.spread * deviation
        return self.base**log_shot, self.base**log_read


LINES = {
    # The cameras of the Darmstadt set: Brooks et al., Unprocessing Images for Learned Raw Denoising, CVPR 2019.
    "dnd": Line(shot=(1e-4, 1.2e-2), slope=2.18, offset=1.20, spread=0.26, base=math.e),
    # The phones of SIDD: the code of Zamir et al., CycleISP, CVPR 2020.
    "sidd": Line(shot=(6.8674e-4, 2.194856e-2), slope=1.85, offset=0.30, spread=0.20, base=10),
    # The challenges: mv-lab's AISP, imresutils/noise.py.
    "ntire": Line(shot=(1e-4, 1e-3), slope=1.34, offset=0.22, spread=0.10, base=10),
}

#: AISP's other noise: ranges of the standard deviations of shot and read noise.
HETEROSCEDASTIC = (5e-3, 5e-2), (1e-3, 1e-2)


def draw_noise(profile: Profile, generator: np.random.Generator) -> tuple[float, float]:
    """Shot and read noise of one photograph, as variances.

    AISP draws its heteroscedastic noise anew for each pixel. One camera has one noise, so it is drawn once here.

    Args:
        profile: ``dnd``, ``sidd``, ``ntire``, ``heteroscedastic`` or ``none``.
        generator: Where two numbers are drawn, whatever the profile.

    Example:
        >>> shot, read = draw_noise("dnd", np.random.default_rng(0))
        >>> 1e-4 <= shot <= 1.2e-2, 0 < read < shot
        (True, True)
    """
    if profile in LINES:
        return LINES[profile].draw(generator)
    shares = generator.random(2)
    if profile == "none":
        return 0.0, 0.0
    shot, read = (low + share * (high - low) for (low, high), share in zip(HETEROSCEDASTIC, shares, strict=True))
    return shot**2, read**2
