"""How a request becomes an upload: its options are checked first, and its body goes to the disk, never into memory."""

import time
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from sr_lightning.errors import ConfigError
from sr_lightning.serving.options import asked_options
from sr_lightning.serving.upload import Upload, harmless_name

_CHUNK = 1 << 20


async def received(request: Request) -> Upload:
    """The upload of a request, in the folder that the gate made for it.

    Raises:
        HTTPException: 400 without a picture, 413 beyond the limit, 422 for options that have no meaning.
    """
    place: dict[str, Any] = request.scope["sr"]
    try:
        options = asked_options(
            request.query_params.multi_items(), request.headers.get("accept", ""), request.app.state.plain
        )
    except ConfigError as error:
        raise HTTPException(422, str(error)) from None
    folder: Path = place["folder"]
    kind = request.headers.get("content-type", "")
    try:
        if kind.lower().startswith("multipart/"):
            path = await _part(request, folder)
        else:
            path = await _body(request, folder, kind)
    except ClientDisconnect:
        raise HTTPException(400, "the request ended before its picture did") from None
    place["at_work"] = True
    return Upload(path, options, time.time() + place["due"] - time.monotonic())


async def _body(request: Request, folder: Path, kind: str) -> Path:
    path, start = folder / "upload", b""
    with path.open("wb") as file:
        async for chunk in request.stream():
            start = start or bytes(chunk[:32])
            file.write(chunk)
    return _named(path, "", kind, start)


async def _part(request: Request, folder: Path) -> Path:
    """The one file of a form."""
    try:
        form = await request.form(max_files=1, max_fields=20)
    except HTTPException as error:
        raise HTTPException(400, f"the form cannot be read: {error.detail}") from None
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise HTTPException(
                400, "the form has no file; send the picture as one, as with curl -F picture=@photo.png"
            )
        path, start = folder / "upload", b""
        with path.open("wb") as file:
            while chunk := await files[0].read(_CHUNK):
                start = start or chunk[:32]
                file.write(chunk)
        return _named(path, files[0].filename or "", files[0].content_type or "", start)
    finally:
        await form.close()


def _named(path: Path, name: str, kind: str, start: bytes) -> Path:
    if not start:
        raise HTTPException(400, "there is no picture; send it as the body, as with curl --data-binary @photo.png")
    return path.rename(path.with_name(harmless_name(name, kind, start)))
