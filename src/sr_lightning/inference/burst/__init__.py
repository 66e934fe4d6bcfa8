"""Several RAW frames of one scene become one: less noise, or more pixels."""

from sr_lightning.inference.burst.frames import Burst, largest_shift, read_burst
from sr_lightning.inference.burst.merge import enlarged_burst, merged_burst

__all__ = ["Burst", "enlarged_burst", "largest_shift", "merged_burst", "read_burst"]
