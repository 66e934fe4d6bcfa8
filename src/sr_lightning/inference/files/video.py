"""Videos frame by frame: pictures change, while sound, subtitles, frame times and colour tags stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from sr_lightning.atomic import atomic_write
from sr_lightning.data.files.formats import WRITABLE_VIDEOS
from sr_lightning.data.files.io import Photo, to_uint8
from sr_lightning.errors import ConfigError, PictureError
from sr_lightning.inference.files.clip_sample import frames_across
from sr_lightning.inference.files.notes import note, warn
from sr_lightning.inference.files.targets import Job, result_path
from sr_lightning.inference.files.yuv import WEIGHTS, rgb_to_yuv, yuv_to_rgb

if TYPE_CHECKING:
    from pathlib import Path

    from sr_lightning.inference.upscaler import Upscaler

EXTENSIONS = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".flv", ".wmv"}
)
_LIMITED, _FULL = 1, 2  # FFmpeg's numbers of ranges
_UNTAGGED = (0, 2, 3)  # and of matrices that say nothing, 0 being RGB
#: FFmpeg's names for metadata about HDR screens, which PyAV hands to no encoder.
_HDR = {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID", "DOVI_METADATA"}

_ERRORS = "surrogateescape"  # titles in other letters than UTF-8 go through as they are

WantedSize = Callable[[int, int], tuple[int, int]]


def upscale_video(
    job: Job, upscaler: Upscaler, cfg: DictConfig, size_of: WantedSize, on_progress: Callable[[float], None]
) -> Path:
    """Enlarges a video and gives the file.

    Sound and subtitles are copied as they are, and attachments from Matroska to Matroska; a warning names what is not
    kept. Every frame keeps its time; where the container counts in milliseconds (Matroska), to the millisecond.
    Colours are converted by the matrix and range that the tags name; without tags, by what players take for a picture
    of the source's height, and the result is tagged with it.

    Args:
        job: The video.
        upscaler: Of one frame.
        cfg: With ``video.codec``, ``video.crf`` and ``video.options``, and what results are called.
        size_of: Height and width wanted for those of the source.
        on_progress: Told which share is done after each frame.

    Raises:
        ConfigError: If PyAV is missing, or has no such encoder.
        PictureError: If the video cannot be decoded or its result cannot be written.
    """
    codec = _encoder(job.source, cfg.video.codec)
    first = _first_frame(job.source)
    shape = _pixel_format(first.format, codec)
    # Turned by a quarter, it is shown as high as it is wide here.
    size = size_of(first.width, first.height)[::-1] if _lies(first) else size_of(first.height, first.width)
    factor = size[1] / first.width
    size = _even(size, shape)
    target = result_path(job, cfg, factor, _ending(job.source), WRITABLE_VIDEOS)
    upscaler = upscaler.for_factor(factor).with_sidecar_files(job.source)
    upscaler.on_note = partial(note, job.source)
    # One network for all frames: the clip would flicker between two.
    sample = (Photo(to_rgb(frame)) for frame in chain([first], frames_across(job.source)))
    upscaler = upscaler.chosen_for(sample, factor)
    warned: list[str] = []
    upscaler.on_warning = warned.append
    with _reading(job.source) as source, _writing(target, cfg.overwrite is True) as out:
        video = source.streams.video[0]
        stream = _add_video(out, video, first, cfg, size, shape)
        copies = _add_others(out, source, stream, target)
        if lost := _lost(source, video, first, target):
            warn(job.source, f"the result is without {' and '.join(lost)}")
        durations: dict[int, int] = {}
        for packet, frame in _read(source, video, job.source):
            if packet is not None:
                if packet.stream_index in copies:
                    packet.stream = copies[packet.stream_index]
                    out.mux(packet)
                continue
            if (frame.width, frame.height) != (first.width, first.height):
                raise PictureError(f"{job.source}: frames change their size; cut the video into parts of one size")
            durations[frame.pts] = frame.duration
            _write(out, stream, _enlarged(frame, first, upscaler, stream.codec_context), durations)
            if (share := _share(frame, source, video)) is not None:
                on_progress(share)
        _write(out, stream, None, durations)
        if warned:
            frames = f"{len(warned)} frames, the first of them" if len(warned) > 1 else "one frame"
            warn(job.source, f"in {frames}: {warned[0]}")
        on_progress(1.0)
    return target


def _encoder(path: Path, name: str) -> Any:
    try:
        import av
    except ImportError:
        raise PictureError(f'{path}: a video needs PyAV; pip install "sr_lightning[video]"') from None
    try:
        return av.Codec(name, "w")
    except (av.codec.codec.UnknownCodecError, ValueError):
        raise ConfigError(f"video.codec={name}: PyAV has no such encoder, such as libx264 or ffv1") from None


def _add_video(out: Any, video: Any, first: Any, cfg: DictConfig, size: tuple[int, int], shape: str) -> Any:
    """The stream of enlarged frames, tagged as the source's is."""
    import av

    options = {key: str(value) for key, value in (cfg.video.options or {}).items()}
    if cfg.video.crf is not None and cfg.video.codec != "ffv1":
        options = {"crf": str(cfg.video.crf), **options}
    stream = out.add_stream(cfg.video.codec, rate=video.average_rate, options=options)
    context = stream.codec_context
    context.height, context.width = size
    context.pix_fmt, context.time_base = shape, video.time_base
    if shape_of_pixels := video.codec_context.sample_aspect_ratio:
        context.sample_aspect_ratio = shape_of_pixels
    context.color_primaries, context.color_trc = first.color_primaries, first.color_trc
    tags = (0, _FULL) if av.VideoFormat(shape).is_rgb else (_matrix(first), _FULL if _is_full(first) else _LIMITED)
    context.colorspace, context.color_range = tags
    if turn := first.side_data.get("DISPLAYMATRIX"):
        stream.set_display_matrix(np.frombuffer(bytes(turn), np.int32))
    return stream


def _add_others(out: Any, source: Any, stream: Any, target: Path) -> dict[int, Any]:
    """Attachments, titles and chapters, and the streams that packets of sound and subtitles go to, by their numbers."""
    for attached in source.streams if target.suffix == ".mkv" else ():
        if attached.type == "attachment":
            told = attached.metadata
            out.add_attachment(told.get("filename", ""), told.get("mimetype", ""), attached.data)
    copies = {s.index: out.add_stream_from_template(s) for s in source.streams if s.type in ("audio", "subtitle")}
    out.metadata.update(source.metadata)
    stream.metadata.update(source.streams.video[0].metadata)
    for index, ours in copies.items():
        ours.metadata.update(source.streams[index].metadata)
    out.set_chapters(source.chapters())
    return copies


def _enlarged(frame: Any, first: Any, upscaler: Upscaler, context: Any) -> Any:
    """A frame of the result: the size, pixel format and tags are those of its encoder, the time is the frame's."""
    photo = upscaler.photo(Photo(to_rgb(frame)), size=(context.height, context.width), bits=16)
    made = from_rgb(photo.pixels, context.pix_fmt, _matrix(first), _is_full(first))
    made.colorspace, made.color_range = context.colorspace, context.color_range
    made.pts, made.time_base = frame.pts, frame.time_base
    return made


def _write(out: Any, stream: Any, frame: Any, durations: dict[int, int]) -> None:
    """Encodes a frame, None at the end; packets come later than their frames, and each gets its frame's duration."""
    for packet in stream.encode(frame):
        packet.duration = durations.pop(packet.pts, packet.duration or 0)
        out.mux(packet)


def to_rgb(frame: Any) -> NDArray[np.float32]:
    """The colours of a frame, ``(H, W, 3)`` in [0, 1], by its tags."""
    layout = frame.format
    if layout.is_rgb:
        deep = _depth(layout) > 8
        pixels = frame.reformat(format="rgb48le" if deep else "rgb24").to_ndarray().astype(np.float32)
        colours: NDArray[np.float32] = pixels / (65535 if deep else 255)
        return colours
    planar = _planar(layout, _depth(layout))
    if layout.name.replace("yuvj", "yuv") != planar:  # such as nv12: other order, same numbers
        frame = frame.reformat(format=planar)
    bits = _depth(frame.format)
    planes = [_values(plane, bits) for plane in frame.planes]
    return yuv_to_rgb(planes, _matrix(frame), _is_full(frame), bits)


def from_rgb(pixels: NDArray[np.uint16], shape: str, matrix: int, full: bool) -> Any:
    """A frame of 16-bit colours ``(H, W, 3)`` in a pixel format of an encoder."""
    import av

    height, width = pixels.shape[:2]
    layout = av.VideoFormat(shape)
    if layout.is_rgb:
        deep = _depth(layout) > 8
        frame = av.VideoFrame.from_ndarray(pixels if deep else to_uint8(pixels), format="rgb48le" if deep else "rgb24")
        return frame.reformat(format=shape)
    bits = _depth(layout)
    chroma = (16 // layout.chroma_height(16), 16 // layout.chroma_width(16)) if len(layout.components) > 1 else None
    planes = rgb_to_yuv(pixels / np.float32(65535), matrix, full, bits, chroma)
    frame = av.VideoFrame(width, height, shape)
    for plane, values in zip(frame.planes, planes, strict=True):
        lines = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
        lines[:, : values.shape[1]] = values
        plane.update(lines.tobytes())
    return frame


def _values(plane: Any, bits: int) -> NDArray[Any]:
    kind = np.dtype(np.uint8 if bits == 8 else "<u2")
    return np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)[:, : plane.width]


def _depth(layout: Any) -> int:
    return max(int(component.bits) for component in layout.components)


def _planar(layout: Any, bits: int) -> str:
    """The format of three planes that holds a frame of luma and chroma as it is."""
    if len(layout.components) == 1:
        return "gray" if bits == 8 else f"gray{bits}le"
    chroma = {(8, 8): "420", (8, 16): "422"}.get((layout.chroma_width(16), layout.chroma_height(16)), "444")
    return f"yuv{chroma}p" + (f"{bits}le" if bits > 8 else "")


def _matrix(frame: Any) -> int:
    """That of a frame's tag, or what players take: BT.709 for high definition, BT.601 for less."""
    tag: int = int(frame.colorspace)
    return (1 if frame.height > 576 else 6) if tag in _UNTAGGED else tag


def _lies(frame: Any) -> bool:
    """Whether players turn it by a quarter: by the matrix, rows become columns."""
    turn = frame.side_data.get("DISPLAYMATRIX")
    return turn is not None and np.frombuffer(bytes(turn), np.int32)[0] == 0


def _is_full(frame: Any) -> bool:
    return int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")


def _first_frame(path: Path) -> Any:
    """A frame that says what all of them are.

    Raises:
        PictureError: If there is none, or none that can be enlarged.
    """
    import av

    try:
        with _reading(path) as source:
            told = source.streams.video[0].metadata if source.streams.video else {}
            if any(key.lower() == "alpha_mode" and value != "0" for key, value in told.items()):  # VP8 and VP9
                raise PictureError(f"{path}: has transparency; flatten it first")
            frame = next(source.decode(source.streams.video[0]), None) if source.streams.video else None
    except (av.FFmpegError, OSError) as error:
        raise PictureError(f"{path}: cannot be decoded ({error.strerror or error})") from None
    if frame is None:
        raise PictureError(f"{path}: no video with pictures")
    if frame.interlaced_frame:
        raise PictureError(f"{path}: interlaced, two half pictures in each; deinterlace it first (ffmpeg -vf bwdif)")
    if _matrix(frame) not in WEIGHTS:
        raise PictureError(f"{path}: colours by matrix {int(frame.colorspace)} of H.273; convert it to BT.709 first")
    if len(frame.format.components) in (2, 4):
        raise PictureError(f"{path}: has transparency; flatten it first")
    return frame


def _read(source: Any, video: Any, path: Path) -> Iterator[tuple[Any, Any]]:
    """Packets of other streams, and frames of the video, as they come.

    Frames whose time is missing, or not after that of the frame before (AVI), are counted by the frame rate.
    """
    import av

    step = round(1 / (video.average_rate or video.guessed_rate or 25) / video.time_base)
    following = last = None
    try:
        for packet in source.demux():
            if packet.stream.index == video.index:  # packet.stream_index is 0 at the end of every stream
                for frame in packet.decode():
                    if frame.pts is None or (last is not None and frame.pts <= last):
                        frame.pts, frame.time_base = following or 0, video.time_base
                    last, following = frame.pts, frame.pts + (frame.duration or max(1, step))
                    yield None, frame
            elif packet.dts is not None:
                yield packet, None
    except av.FFmpegError as error:
        raise PictureError(f"{path}: cannot be decoded ({error.strerror or error})") from None


def _lost(source: Any, video: Any, first: Any, target: Path) -> list[str]:
    """What a video has that the result will not have, in words."""
    kept = {"audio", "subtitle", "attachment"} if target.suffix == ".mkv" else {"audio", "subtitle"}
    others = [s for s in source.streams if s.index != video.index and s.type not in kept]
    lost = [f"stream {s.index} ({s.metadata.get('filename') or s.type})" for s in others]
    if _HDR & {data.type.name for data in first.side_data}:
        lost.append("the HDR screen's brightness and colours that it names")
    return lost


def _share(frame: Any, source: Any, video: Any) -> float | None:
    """How much of the video ends with a frame, in [0, 1]; None where its length is unknown."""
    length = float(video.duration * video.time_base) if video.duration else (source.duration or 0) / 1e6
    begin = float((video.start_time or 0) * video.time_base)
    return min(1.0, (frame.time - begin) / length) if length else None


def _reading(path: Path) -> Any:
    import av

    return av.open(str(path), metadata_errors=_ERRORS)


@contextmanager
def _writing(target: Path, overwrite: bool) -> Iterator[Any]:
    """The container of the result, which takes its name when all went well."""
    import av

    try:
        with atomic_write(target, overwrite) as temporary, av.open(str(temporary), "w", metadata_errors=_ERRORS) as out:
            yield out
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{target}: cannot be written ({reason}); format=mkv holds every kind of stream") from None


def _pixel_format(source: Any, codec: Any) -> str:
    """The encoder's format that loses least: the source's own, or one of the same chroma and depth."""
    bits = _depth(source)
    offered = [shape.name for shape in codec.video_formats]
    if source.is_rgb:
        wanted = [source.name, *(["gbrp16le"] if bits > 8 else []), "gbrp", "rgb24", "bgr0"]
        wanted += ["yuv444p10le"] if bits > 8 else []
    else:
        wanted = [source.name.replace("yuvj", "yuv"), _planar(source, bits), _planar(source, 10 if bits > 8 else 8)]
    wanted += ["yuv444p", "yuv420p", "rgb24", "bgr0"]
    known = [shape for shape in wanted if shape in offered]
    if not known:
        raise ConfigError(f"video.codec={codec.name}: takes none of {', '.join(wanted)}; choose libx264 or ffv1")
    return str(known[0])


def _even(size: tuple[int, int], shape: str) -> tuple[int, int]:
    """Height and width that chroma at half resolution divides."""
    import av

    layout = av.VideoFormat(shape)
    down, across = 16 // layout.chroma_height(16), 16 // layout.chroma_width(16)
    return max(down, size[0] // down * down), max(across, size[1] // across * across)


def _ending(source: Path) -> str:
    return source.suffix.lower() if source.suffix.lower() in WRITABLE_VIDEOS else ".mkv"
