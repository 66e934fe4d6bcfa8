import io

import pytest
from PIL import Image

from sr_lightning.data.files.io import read_photo
from sr_lightning.data.files.jpeg_quality import jpeg_quality


@pytest.mark.parametrize("subsampling", [0, 2])
def test_every_quality_of_pillow_is_read_back(subsampling: int) -> None:
    wrong = {}
    for quality in range(1, 101):
        with io.BytesIO() as file:
            Image.new("RGB", (16, 16), "teal").save(file, "JPEG", quality=quality, subsampling=subsampling)
            file.seek(0)
            if (found := jpeg_quality(Image.open(file))) != quality:
                wrong[quality] = found
    assert wrong == {}


def test_a_photo_knows_the_quality_of_its_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    picture = Image.effect_noise((24, 16), 40)
    picture.save(tmp_path / "a.jpg", quality=37)
    picture.save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.jpg").metadata.jpeg_quality == 37
    assert read_photo(tmp_path / "a.png").metadata.jpeg_quality is None
