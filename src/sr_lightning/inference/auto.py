"""``model=auto``: clean pictures, damaged ones and camera RAW files go to networks of their own."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.raw import AS_SHOT, Development, has_bayer_mosaic, is_for_mosaics
from sr_lightning.errors import ConfigError
from sr_lightning.inference.condition import condition_of
from sr_lightning.inference.engines.network import Forward
from sr_lightning.inference.sizes import enlarged_size
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.weights.shipped import AUTO, CLEAN, PHOTO, RAW

#: Decibels by scale, beside demosaicing and the next best network: the least of the kinds of photographs in its card.
GAIN_ON_RAW = {2: 1.6, 4: 1.4}


class AutoUpscaler(Upscaler):
    """Looks at each picture, and enlarges it with one of two networks.

    Args:
        upscaler_of: Gives the upscaler of a network's name that suits results so many times as large.
        raw_upscaler_of: Gives that for camera RAW files, or None if it is not for these options or so many times.
        options: See ``Upscaler``; the model is that for clean pictures.
    """

    def __init__(
        self,
        upscaler_of: Callable[[str, float], Upscaler],
        raw_upscaler_of: Callable[[float], Upscaler | None],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._upscaler_of, self._raw_upscaler_of = upscaler_of, raw_upscaler_of

    def for_thread(self, net_of: Callable[[Forward], Forward]) -> Upscaler:
        """See ``Upscaler.for_thread``; those that it chooses among are copies too."""
        copied = super().for_thread(net_of)
        assert isinstance(copied, AutoUpscaler)
        copied._upscaler_of = lambda name, factor: self._upscaler_of(name, factor).for_thread(net_of)
        copied._raw_upscaler_of = lambda factor: (
            chosen.for_thread(net_of) if (chosen := self._raw_upscaler_of(factor)) else None
        )
        return copied

    def for_raw_file(self, source: Path, factor: float | None = None, development: Development = AS_SHOT) -> Upscaler:
        """That of the network for mosaics, where the file has one and the network can follow the development."""
        factor = self.model.scale if factor is None else factor
        chosen = self._raw_upscaler_of(factor)
        if chosen is None or not is_for_mosaics(development) or not has_bayer_mosaic(source):
            return self
        self.noted = (
            f"a Bayer mosaic: enlarged with {RAW}, at least {GAIN_ON_RAW[int(factor)]} dB better than {PHOTO} "
            "on simulated photographs"
        )
        self.on_note(self.noted)
        chosen.on_warning = lambda sentence: self.on_warning(sentence)
        return chosen

    def chosen_for(self, photos: Iterable[Photo], factor: float | None = None) -> Upscaler:
        """The upscaler of the network that suits pictures, which ``on_note`` is told with the reason."""
        condition, factor = condition_of(photos), factor or self.model.scale
        restored = condition.is_for_photo(factor)
        name, other = (PHOTO, CLEAN) if restored else (CLEAN, PHOTO)
        gain = condition.gain(factor) * (1 if restored else -1)
        why = f", some {min(gain, 9):.1f} dB better than {other}" if gain > 0.05 else ", for looks" if gain < 0 else ""
        self.noted = f"{condition}: enlarged with {name}{why}"
        self.on_note(self.noted)
        chosen = self._upscaler_of(name, factor)
        chosen.on_warning = lambda sentence: self.on_warning(sentence)
        return chosen

    def array(self, *pictures: NDArray[Any], **options: Any) -> NDArray[Any]:
        """See ``Upscaler.array``; the network is chosen by the last of the pictures."""
        return self.chosen_for([Photo(pictures[-1].transpose(1, 2, 0))]).array(*pictures, **options)

    def __repr__(self) -> str:
        return f"AutoUpscaler({CLEAN} or {PHOTO} x{self.model.scale}, device={self.device})"

    def photo(self, photo: Photo, *, size: tuple[int, int] | None = None, **options: Any) -> Photo:
        """See ``Upscaler.photo``."""
        height, width = photo.pixels.shape[:2]
        size = size or enlarged_size(height, width, self.model.scale)
        chosen = self.chosen_for([photo], max(size[0] / height, size[1] / width))
        return chosen.photo(photo, size=size, **options)


def refuse_elsewhere(**_: Any) -> NoReturn:
    """What ``conf/model/auto.yaml`` makes: there is no network to train or to score.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(
        f"model={AUTO}: chooses among networks for each picture that is enlarged; "
        f"here, type model={CLEAN} or model={PHOTO}"
    )
