"""Videos: the picture is enlarged, and all that belongs to it is what it was."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_lightning.config import compose
from sr_lightning.errors import SRError
from sr_lightning.inference.files.video import from_rgb, to_rgb
from sr_lightning.upscale import upscale

av = pytest.importorskip("av")
TIMES = (0, 40, 60, 160, 200, 333)  # ms: no constant rate
HEIGHT, WIDTH = 32, 48


def chart(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Blocks of one colour each, ``(H, W, 3)``."""
    blocks = np.random.default_rng(0).random((height // 16, width // 16, 3))
    return blocks.repeat(16, 0).repeat(16, 1)


def clip(
    path: Path,
    codec: str = "libx264",
    shape: str = "yuv420p",
    matrix: int = 1,
    full: bool = False,
    sound: bool = False,
    **context: Any,
) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options={"crf": "4", "preset": "ultrafast"} if "264" in codec else {})
        c = stream.codec_context
        c.width, c.height, c.pix_fmt, c.time_base = WIDTH, HEIGHT, shape, Fraction(1, 1000)
        c.colorspace, c.color_range = matrix, 2 if full else 1
        for key, value in context.items():
            stream.set_display_rotation(value) if key == "rotation" else setattr(c, key, value)
        if sound:
            audio = out.add_stream("aac", rate=44100)
            audio.metadata["language"] = "fra"
        pixels = (chart() * 65535).round().astype(np.uint16)
        for time in TIMES:
            frame = from_rgb(pixels, shape, matrix if matrix != 2 else 6, full)
            frame.colorspace, frame.color_range = matrix, c.color_range
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound:
            for i in range(10):
                wave = np.sin(np.arange(i * 1024, i * 1024 + 1024) / 30).astype(np.float32)
                samples = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
                samples.sample_rate, samples.pts, samples.time_base = 44100, i * 1024, Fraction(1, 44100)
                out.mux(audio.encode(samples))
            out.mux(audio.encode(None))
    return path


def run(source: Path, *overrides: str) -> Path:
    (written,) = upscale(compose("upscale", ["model=bicubic", "device=cpu", f'input="{source}"', *overrides]))
    return written


def decoded(path: Path) -> tuple[Any, list[Any]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec_context, list(container.decode(stream))


def packets(path: Path, kind: str) -> list[tuple[Any, bytes]]:
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(streams) if p.dts is not None]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_times_sound_and_tags_are_kept(ending: str, tmp_path: Path) -> None:
    source = clip(
        tmp_path / f"a.{ending}", sound=True, color_primaries=1, color_trc=1, sample_aspect_ratio=Fraction(4, 3)
    )
    written = run(source)
    assert written.name == f"a_x2.{ending}" and sorted(p.name for p in tmp_path.iterdir()) == [
        source.name,
        written.name,
    ]
    context, frames = decoded(written)
    _, before = decoded(source)
    assert [f.pts * f.time_base for f in frames] == [f.pts * f.time_base for f in before]
    assert [f.pts * f.time_base for f in frames] == [Fraction(time, 1000) for time in TIMES]
    assert {(f.width, f.height) for f in frames} == {(2 * WIDTH, 2 * HEIGHT)}
    assert (context.colorspace, context.color_range, context.color_primaries, context.color_trc) == (1, 1, 1, 1)
    assert context.sample_aspect_ratio == Fraction(4, 3)
    assert packets(written, "audio") == packets(source, "audio") != []
    with av.open(str(written)) as container:
        assert container.streams.audio[0].metadata["language"] == "fra"
    middle = to_rgb(frames[2])[16::32, 16::32]
    assert np.abs(middle - chart()[8::16, 8::16]).max() < 0.02


def test_subtitles_are_copied(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,010 --> 00:00:00,200\nBonjour\n")
    clip(tmp_path / "a.mkv")
    with av.open(str(tmp_path / "b.mkv"), "w") as out:
        inputs = [av.open(str(tmp_path / name)) for name in ("a.mkv", "a.srt")]
        streams = [out.add_stream_from_template(container.streams[0]) for container in inputs]
        for container, stream in zip(inputs, streams, strict=True):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
            container.close()
    written = run(tmp_path / "b.mkv")
    (subtitle,) = packets(written, "subtitle")
    assert subtitle == packets(tmp_path / "b.mkv", "subtitle")[0] and b"Bonjour" in subtitle[1]


def plain(
    path: Path, times: tuple[int, ...] = TIMES, kind: str | None = None, font: bytes = b"", x264: str = ""
) -> Path:
    """Frames of H.264 in any container, with a font and with options of x264."""
    with av.open(str(path), "w", format=kind) as out:
        if font:
            out.add_attachment("letters.ttf", "font/ttf", font)
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "2", "x264-params": x264})
        c = stream.codec_context
        c.width, c.height, c.pix_fmt, c.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, 25)
        for time in times:
            frame = from_rgb((chart() * 65535).round().astype(np.uint16), "yuv420p", 1, False)
            frame.pts, frame.time_base = time, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("kind", ["h264", "avi"])
def test_frames_without_a_time_are_counted(kind: str, tmp_path: Path) -> None:
    _, before = decoded(plain(tmp_path / "a.avi", tuple(range(6)), kind))
    times = [frame.pts for frame in before]
    assert None in times or times != sorted(times)
    _, frames = decoded(run(tmp_path / "a.avi"))
    found = [frame.time - frames[0].time for frame in frames]
    assert len(found) == 6 and found == sorted(set(found)) and found[-1] == pytest.approx(0.2, abs=0.041)
    if kind == "h264":
        assert found == pytest.approx([i / 25 for i in range(6)], abs=0.001)


def test_fonts_are_copied_or_named(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    source = plain(tmp_path / "a.mkv", font=b"a font")
    with av.open(str(run(source))) as container:
        (attached,) = (stream for stream in container.streams if stream.type == "attachment")
        assert attached.data == b"a font" and attached.metadata["filename"] == "letters.ttf"
    assert not any("the result is without" in str(warning.message) for warning in recwarn)
    with pytest.warns(UserWarning, match=r"a\.mkv: the result is without stream \d \(letters\.ttf\)$"):
        run(source, "format=mp4")


def test_what_is_told_of_hdr_screens_is_named(tmp_path: Path) -> None:
    source = plain(tmp_path / "a.mkv", x264="cll=1000,400")
    with pytest.warns(UserWarning, match="the result is without the HDR screen's brightness and colours") as told:
        result = run(source)
    assert len(told) == 1
    _, (first, *_) = decoded(result)
    assert not any(
        "LIGHT_LEVEL" in data.type.name for data in first.side_data
    )  # nothing is said to be lost that is there


def test_constant_luminance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SRError, match=r"a\.mkv: colours by matrix 10 of H\.273; convert it to BT\.709 first"):
        run(plain(tmp_path / "a.mkv", x264="colormatrix=bt2020c"))


@pytest.mark.parametrize("shape", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_colours_are_the_closed_form(matrix: int, full: bool, shape: str) -> None:
    red, blue = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    bits, rgb = 10 if "10" in shape else 8, chart()
    y = rgb @ (red, 1 - red - blue, blue)
    u, v = (rgb[..., 2] - y) / 2 / (1 - blue), (rgb[..., 0] - y) / 2 / (1 - red)
    unit, top = 2 ** (bits - 8), 2**bits - 1
    levels = [y * top, u * top + 128 * unit, v * top + 128 * unit]
    if not full:
        levels = [(16 + 219 * y) * unit, (128 + 224 * u) * unit, (128 + 224 * v) * unit]
    frame = from_rgb((rgb * 65535).round().astype(np.uint16), shape, matrix, full)
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    for plane, expected in zip(frame.planes, levels, strict=True):
        kind = np.uint8 if bits == 8 else np.uint16
        values = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width]
        step = 16 * plane.height // HEIGHT
        assert np.abs(values[step // 2 :: step, step // 2 :: step] - expected[8::16, 8::16]).max() < 0.51
    back = to_rgb(frame)[8::16, 8::16]
    assert np.abs(back - rgb[8::16, 8::16]).max() < 2 / top


@pytest.mark.parametrize(("matrix", "full"), [(9, False), (6, True), (1, True)])
def test_colours_survive_the_way(matrix: int, full: bool, tmp_path: Path) -> None:
    context, frames = decoded(run(clip(tmp_path / "a.mkv", matrix=matrix, full=full)))
    assert (context.colorspace, context.color_range) == (matrix, 2 if full else 1)
    assert np.abs(to_rgb(frames[3])[16::32, 16::32] - chart()[8::16, 8::16]).max() < 0.02


def test_a_small_video_without_tags_stays_bt601_when_large(tmp_path: Path) -> None:
    written = run(clip(tmp_path / "a.mkv", matrix=2), "factor=20", "video.options={preset: ultrafast}")
    context, frames = decoded(written)
    assert frames[0].height == 640 and context.colorspace == 6


def test_ten_bit_and_rotation_are_kept(tmp_path: Path) -> None:
    written = run(clip(tmp_path / "a.mp4", shape="yuv420p10le", rotation=90))
    context, frames = decoded(written)
    assert context.pix_fmt == "yuv420p10le" and frames[0].rotation == 90
    assert (frames[0].width, frames[0].height) == (2 * WIDTH, 2 * HEIGHT)


def test_a_size_is_that_of_the_upright_picture(tmp_path: Path) -> None:
    _, frames = decoded(run(clip(tmp_path / "a.mp4", rotation=-90), f"size={4 * HEIGHT}x{4 * WIDTH}"))
    assert (frames[0].width, frames[0].height, frames[0].rotation) == (4 * WIDTH, 4 * HEIGHT, -90)


@pytest.mark.parametrize(
    ("codec", "shape", "ending"), [("ffv1", "yuv420p", "mkv"), ("libx264rgb", "bgr0", "mp4"), ("ffv1", "bgr0", "mkv")]
)
def test_lossless(codec: str, shape: str, ending: str, tmp_path: Path) -> None:
    if shape == "bgr0":
        source = clip(tmp_path / "a.mkv", "ffv1", "bgr0", matrix=0, full=True)
    else:
        source = clip(tmp_path / "a.mkv")
    context, frames = decoded(run(source, f"video.codec={codec}", "video.crf=0", f"format={ending}", "factor=1"))
    _, before = decoded(source)
    assert context.is_decoder and len(frames) == len(TIMES)
    assert np.abs(to_rgb(frames[0]) - to_rgb(before[0]))[4:12, 4:12].max() < 0.005


def test_sizes_are_even(tmp_path: Path) -> None:
    _, frames = decoded(run(clip(tmp_path / "a.mp4"), "factor=1.7"))
    assert (frames[0].width, frames[0].height) == (82, 54)


@pytest.mark.parametrize(
    ("make", "overrides", "message"),
    [
        (lambda path: path.write_bytes(b"no video"), (), "a.mp4: cannot be decoded"),
        (
            lambda path: clip(path, sound=True),
            ("video.codec=h265000",),
            "video.codec=h265000: PyAV has no such encoder",
        ),
        (lambda path: clip(path), ("format=png",), "a.mp4: format=png cannot be written for it; there are m4v, mkv"),
    ],
)
def test_mistakes_are_one_sentence(make: Any, overrides: tuple[str, ...], message: str, tmp_path: Path) -> None:
    make(tmp_path / "a.mp4")
    with pytest.raises(SRError, match=message):
        run(tmp_path / "a.mp4", *overrides)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_interlaced_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(3):
            out.mux(stream.encode(from_rgb(np.zeros((HEIGHT, WIDTH, 3), np.uint16), "yuv420p", 1, False)))
        out.mux(stream.encode(None))
    if not decoded(tmp_path / "a.mkv")[1][0].interlaced_frame:
        pytest.skip("this encoder writes no interlaced frames")
    with pytest.raises(SRError, match="interlaced, two half pictures"):
        run(tmp_path / "a.mkv")


def test_opacity_beside_the_pictures_is_refused(tmp_path: Path) -> None:
    """VP8 and VP9 keep it in a second picture, which no decoder hands out by default."""
    with av.open(str(tmp_path / "b.mkv"), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.metadata["alpha_mode"] = "1"
        out.mux(stream.encode(from_rgb(np.zeros((HEIGHT, WIDTH, 3), np.uint16), "yuv420p", 6, False)))
        out.mux(stream.encode(None))
    with pytest.raises(SRError, match=r"b\.mkv: has transparency; flatten it first"):
        run(tmp_path / "b.mkv")


def test_a_vp9_video_with_opacity_is_refused(cases: Path, tmp_path: Path) -> None:
    with pytest.raises(SRError, match=r"alpha\.webm: has transparency; flatten it first"):
        run(cases / "video" / "alpha.webm", f"output={tmp_path}")
    assert not any(tmp_path.iterdir())


def test_what_stops_midway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, seen = clip(tmp_path / "a.mp4"), []

    def stop(pixels: Any, *rest: Any) -> Any:
        seen.append(len(list(tmp_path.iterdir())))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return from_rgb(pixels, *rest)

    monkeypatch.setattr("sr_lightning.inference.files.video.from_rgb", stop)
    with pytest.raises(KeyboardInterrupt):
        run(source, "video.codec=ffv1", "format=mkv")  # which writes at once
    assert seen == [2, 2, 2] and list(tmp_path.iterdir()) == [source]  # the hidden file was there, and is gone


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = clip(tmp_path / "a.mp4")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(SRError, match=r'pip install "sr_lightning\[video\]"'):
        run(source)
