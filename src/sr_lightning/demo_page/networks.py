"""What the page offers: a choice for each picture, the shipped networks, bicubic, and one of the user's own."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from omegaconf import DictConfig, open_dict

from sr_lightning.inference.loading import load_upscaler, named_weights
from sr_lightning.inference.settings import upscale_config
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.weights import realesrgan
from sr_lightning.weights.shipped import AUTO, CLEAN, RAW, pretrained_networks

BICUBIC = "bicubic"
#: What the page calls networks, for people who do not know their names.
LABELS = {
    AUTO: "Chosen for each picture (auto)",
    "span": "Sharp, for clean pictures (span)",
    "photo": "For noisy pictures and strong JPEGs (photo)",
    "fsrcnn": "Faster, less sharp (fsrcnn)",
    "espcn": "Fastest (espcn)",
    BICUBIC: "Without a network (bicubic)",
}
_OF_OWN = {"model", "checkpoint", "weights", "scale", "name", "run_dir"}


@dataclass(frozen=True, eq=False)
class Network:
    """A network as the options of ``upscale`` describe it.

    Attributes:
        cfg: The config of ``upscale``, but for the options of one picture.
        scales: Factors that it has weights for.
    """

    cfg: DictConfig
    scales: tuple[int, ...]

    def with_options(self, **options: object) -> DictConfig:
        """The config of ``upscale`` for one picture."""
        cfg = self.cfg.copy()
        for key, value in options.items():
            cfg[key] = value
        return cfg

    @lru_cache(maxsize=2)  # noqa: B019  # the last one and bicubic: the memory of a device is small
    def upscaler(
        self, scale: int, ensemble: str | None = None, factor: float | None = None, size: str | None = None
    ) -> Upscaler:
        """The network with its weights, of the scale that the result needs; the last one is kept."""
        return load_upscaler(self.with_options(scale=scale, ensemble=ensemble, factor=factor, size=size))


def offered_networks(cfg: DictConfig) -> dict[str, Network]:
    """Networks by the names that the page shows, the one to begin with first.

    Args:
        cfg: Of ``demo``; what it shares with ``upscale`` is handed on.

    Raises:
        ConfigError: If the user's own has no weights.
        CheckpointError: If they do not fit.
    """
    known = pretrained_networks()
    # Which auto takes for the files that it reads.
    names = sorted(known.keys() - {RAW}, key=lambda name: (name != CLEAN, name))
    networks = {AUTO: Network(_upscale(cfg, f"model={AUTO}"), tuple(known[CLEAN]))}
    networks |= {name: Network(_upscale(cfg, f"model={name}"), tuple(known[name])) for name in names}
    for name, scales in realesrgan.available().items():
        networks[name] = Network(_upscale(cfg, f"model={name}"), tuple(scales))
    networks[BICUBIC] = Network(_upscale(cfg, f"model={BICUBIC}"), (2, 3, 4))
    if not (named_weights(cfg) or cfg.get("model")):
        return networks
    own = _upscale(cfg)
    with open_dict(own):
        for key in _OF_OWN & cfg.keys():
            own[key] = cfg[key]
    network = Network(own, (load_upscaler(own).model.scale,))
    name = Path(named_weights(cfg) or cfg.name).stem
    return {name if name not in networks else f"{name} (own)": network, **networks}


def _upscale(cfg: DictConfig, *overrides: str) -> DictConfig:
    return upscale_config(cfg, *overrides, without=_OF_OWN)
