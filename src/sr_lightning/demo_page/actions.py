"""What the buttons of the page do."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from omegaconf import DictConfig

from sr_lightning.demo_page.networks import BICUBIC, Network
from sr_lightning.demo_page.sessions import Session, Sessions, Stopped
from sr_lightning.demo_page.work import TIMES, Result, check_upload, enlarge, preview
from sr_lightning.errors import ConfigError, SRError

AS_UPLOADED = "as the picture"
ENDINGS = {AS_UPLOADED: None, "PNG": "png", "TIFF": "tif", "JPEG": "jpg", "WebP": "webp"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Actions:
    """Each is called with what the page's parts hold, and gives what they shall hold.

    Args:
        networks: That the page offers, by their names.
        sessions: All open pages.
        cfg: Of ``demo``, with the limits.
    """

    networks: dict[str, Network]
    sessions: Sessions
    cfg: DictConfig

    def look(self, file: str, request: gr.Request) -> list[Any]:
        """Checks and shows an upload."""
        path = Path(file)
        try:
            session = self.sessions.of(request.session_hash, path)
            session.result = None  # of another picture
            height, width = check_upload(path, self.cfg)
            with session.job("preview") as folder:
                picture = preview(path, folder)
        except Exception as error:
            return idle_page(self._sentence(error, path))
        return idle_page(_facts([escape(path.name), f"{width} {TIMES} {height}"]), shown=str(picture))

    def press(
        self, file: str | None, name: str, scale: int, wanted: str, ensemble: bool, ending: str, request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008  # so that gradio finds it
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Enlarges the upload; the page first shows that it works, then the result."""
        if file is None:
            yield idle_page(_problem("Choose a picture first."))
            return
        path = Path(file)
        try:
            session = self.sessions.of(request.session_hash, path)
            given = _checked(self.networks, name, scale, wanted, ending)
        except SRError as error:
            yield idle_page(self._sentence(error, path), result=self.sessions.result(request.session_hash))
            return
        on_progress = _stoppable(session, path, self.cfg.max_minutes, progress)
        yield _working()
        try:
            # A stopped one may still be at its last tile.
            with self.sessions.one_at_a_time, session.job("result") as folder:
                result = enlarge(
                    path, folder, self.networks[name], self.networks[BICUBIC], self.cfg, on_progress,
                    name=name, ensemble=bool(ensemble), **given,
                )  # fmt: skip
        except Exception as error:
            yield idle_page(self._sentence(error, path), result=session.result, keep=True)
            return
        session.result = result
        yield idle_page(_facts(result.facts), result=result)

    def halt(self, request: gr.Request) -> None:
        """Ends what the page has running."""
        self.sessions.stop(request.session_hash)

    def end(self, request: gr.Request) -> list[Any]:
        """Ends what the page has running, and shows that."""
        self.halt(request)
        return idle_page(_facts(["Stopped"]), result=self.sessions.result(request.session_hash), keep=True)

    def close(self, request: gr.Request) -> None:
        """Removes the page's files."""
        self.sessions.close(request.session_hash)

    def _sentence(self, error: Exception, path: Path) -> str:
        """An error as the page shows it; where files lie on the server is nobody's business."""
        if isinstance(error, SRError):
            return _problem(re.sub(rf"{re.escape(str(self.sessions.root))}/(\S*/)?", "", str(error)))
        log.exception("the page could not enlarge %s", path.name)
        return _problem(f"{path.name}: cannot be enlarged ({type(error).__name__}); the server's console says why.")


def _stoppable(session: Session, path: Path, minutes: float, progress: Any) -> Callable[[float], None]:
    """Tells the page which share of the work is done, and ends it when the user stops it or its time is over."""
    stopped = session.fresh_stop()
    due = time.monotonic() + 60 * minutes

    def on_progress(done: float) -> None:
        if stopped.is_set():
            raise Stopped("Stopped; nothing was kept.")
        if time.monotonic() > due:
            raise Stopped(f"{path.name}: takes longer than the {minutes:g} minutes that there are.")
        session.used = time.monotonic()
        progress(done, desc="Enlarging")

    return on_progress


def _checked(networks: dict[str, Network], name: Any, scale: Any, wanted: Any, ending: Any) -> dict[str, Any]:
    """What was chosen, as ``enlarge`` takes it; programs may send what the page does not offer.

    Raises:
        ConfigError: If there is no such choice.
    """
    if not isinstance(name, str) or name not in networks:
        raise ConfigError(f"There is no network {str(name)[:40]!r}; there are {', '.join(networks)}.")
    scales = networks[name].scales
    if isinstance(scale, bool) or scale not in scales:
        raise ConfigError(f"{name} enlarges {' or '.join(map(str, scales))} times, and not {str(scale)[:40]!r}.")
    if not isinstance(ending, str) or ending not in ENDINGS:
        raise ConfigError(f"There is no file type {str(ending)[:40]!r}; there are {', '.join(ENDINGS)}.")
    return {"scale": int(scale), "wanted": str(wanted or "")[:40], "ending": ENDINGS[ending]}


def idle_page(status: str, shown: str | None = None, result: Result | None = None, keep: bool = False) -> list[Any]:
    """The page at rest: buttons, status, preview (that there is, with ``keep``), slider, download.

    A result hides the preview, and keeps it for the next attempt.
    """
    slider = (str(result.before), str(result.after)) if result else None
    return [
        gr.Button(visible=True),
        gr.Button(visible=False),
        status,
        gr.Image(visible=result is None) if keep or result else gr.Image(shown, visible=shown is not None),
        gr.ImageSlider(slider, visible=result is not None),
        gr.DownloadButton(
            f"Download {result.target.name}" if result else "Download",
            value=str(result.target) if result else None,
            visible=result is not None,
        ),
    ]


def _working() -> list[Any]:
    return [
        gr.Button(visible=False),
        gr.Button(visible=True),
        _facts(["Working"]),
        gr.Image(visible=True),
        gr.ImageSlider(visible=False),
        gr.DownloadButton(visible=False),
    ]


def _facts(facts: list[str]) -> str:
    return '<div class="facts">' + "".join(f"<span>{fact}</span>" for fact in facts) + "</div>"


def _problem(sentence: str) -> str:
    return f'<div class="problem" role="alert">{escape(sentence)}</div>'
