"""Several RAW frames of one scene become one: less noise, or more pixels."""

from sr_lightning.inference.burst.frames import Burst, read_burst
from sr_lightning.inference.burst.merge import enlarged_burst, merged_burst

__all__ = ["Burst", "enlarged_burst", "merged_burst", "read_burst"]
