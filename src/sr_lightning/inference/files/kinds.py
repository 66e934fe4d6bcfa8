"""What a file is, by the ending of its name."""

from sr_lightning.data.files.formats import BY_EXTRA, EXTENSIONS, OTHERS
from sr_lightning.data.files.raw import EXTENSIONS as RAW_EXTENSIONS
from sr_lightning.inference.files.video import EXTENSIONS as VIDEOS

__all__ = ["PICTURES", "VIDEOS"]

#: Pictures, and what nothing reads, which becomes a failure with its reason.
PICTURES = EXTENSIONS | RAW_EXTENSIONS | BY_EXTRA.keys() | OTHERS | {".gif"}
