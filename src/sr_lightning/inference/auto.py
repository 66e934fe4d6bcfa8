"""``model=auto``: a clean picture goes to the network for clean pictures, a damaged one to that for photographs."""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from numpy.typing import NDArray

from sr_lightning.data.files.io import Photo
from sr_lightning.errors import ConfigError
from sr_lightning.inference.condition import condition_of
from sr_lightning.inference.sizes import enlarged_size
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.weights.shipped import AUTO, CLEAN, PHOTO


class AutoUpscaler(Upscaler):
    """Looks at each picture, and enlarges it with one of two networks.

    Args:
        upscaler_of: Gives the upscaler of a network's name that suits results so many times as large.
        options: See ``Upscaler``; the model is that for clean pictures.
    """

    def __init__(self, upscaler_of: Callable[[str, float], Upscaler], **options: Any) -> None:
        super().__init__(**options)
        self._upscaler_of = upscaler_of

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
        f"model={AUTO}: chooses between two networks for each picture that is enlarged; "
        f"here, type model={CLEAN} or model={PHOTO}"
    )
