"""What the buttons of the page do."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from omegaconf import DictConfig

from sr_lightning.demo_page.networks import BICUBIC, Network
from sr_lightning.demo_page.sessions import Session, Sessions, Stopped
from sr_lightning.demo_page.work import Result, enlarge, packed, preview
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.inference.files.uploads import TIMES, check_upload

AS_UPLOADED = "as the picture"
ENDINGS = {AS_UPLOADED: None, "PNG": "png", "TIFF": "tif", "JPEG": "jpg", "WebP": "webp", "GIF": "gif"}

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

    def look(self, files: list[str], request: gr.Request) -> list[Any]:
        """Checks the uploads, and shows the first."""
        paths = [Path(file) for file in files]
        path = paths[0]
        try:
            session = self._session(request, paths)
            session.result = None  # of other pictures
            sizes = []
            for path in paths:
                sizes.append(check_upload(path, self.cfg))
            path = paths[0]
            with session.job("preview") as folder:
                picture = preview(path, folder)
        except Exception as error:
            return idle_page(_problem(self._sentence(error, path)))
        height, width = sizes[0]
        more = [f"and {len(paths) - 1} more"] if len(paths) > 1 else []
        return idle_page(_facts([escape(path.name), f"{width} {TIMES} {height}", *more]), shown=str(picture))

    def press(
        self, files: list[str], name: str, scale: int, wanted: str, ensemble: bool, ending: str, request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008  # so that gradio finds it
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Enlarges the uploads; the page first shows that it works, then the result."""
        if not files:
            yield idle_page(_problem("Choose a picture first."))
            return
        paths = [Path(file) for file in files]
        try:
            session = self._session(request, paths)
            given = _checked(self.networks, name, scale, wanted, ending)
        except SRError as error:
            before = self.sessions.result(request.session_hash)
            yield idle_page(_problem(self._sentence(error, paths[0])), result=before)
            return
        given |= {"name": name, "ensemble": bool(ensemble)}
        on_progress = _stoppable(session, paths, self.cfg.max_minutes, progress)
        yield _working()
        try:
            # A stopped one may still be at its last tile.
            with self.sessions.one_at_a_time, session.job("result") as folder:
                result = self._enlarge_all(paths, folder, on_progress, given)
        except Exception as error:
            yield idle_page(_problem(self._sentence(error, paths[0])), result=session.result, keep=True)
            return
        session.result = result
        yield idle_page(_facts(result.facts) + "".join(map(_problem, result.problems)), result=result)

    def _session(self, request: gr.Request, paths: list[Path]) -> Session:
        for path in paths:
            session = self.sessions.of(request.session_hash, path)
        return session

    def _enlarge_all(
        self, paths: list[Path], folder: Path, on_progress: Callable[[float], None], given: dict[str, Any]
    ) -> Result:
        """The result of one picture, or of several: those that cannot be enlarged are named, the others are done."""
        results, problems = [], []
        for number, path in enumerate(paths):
            place = folder / str(number)  # results may have the same name
            place.mkdir()
            share = partial(_share, on_progress, number, len(paths))
            try:
                results.append(
                    enlarge(path, place, self.networks[given["name"]], self.networks[BICUBIC], self.cfg, share, **given)
                )
            except Stopped:
                raise
            except Exception as error:
                if len(paths) == 1:
                    raise
                problems.append(self._sentence(error, path))
        if not results:
            raise SRError(" ".join(problems))
        return results[0] if len(paths) == 1 else packed(results, folder / "enlarged.zip", problems)

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
            return re.sub(rf"{re.escape(str(self.sessions.root))}/(\S*/)?", "", str(error))
        log.exception("the page could not enlarge %s", path.name)
        return f"{path.name}: cannot be enlarged ({type(error).__name__}); the server's console says why."


def _stoppable(session: Session, paths: list[Path], minutes: float, progress: Any) -> Callable[[float], None]:
    """Tells the page which share of the work is done, and ends it when the user stops it or its time is over."""
    stopped = session.fresh_stop()
    due = time.monotonic() + 60 * minutes

    def on_progress(done: float) -> None:
        if stopped.is_set():
            raise Stopped("Stopped; nothing was kept.")
        if time.monotonic() > due:
            what = paths[0].name if len(paths) == 1 else f"{len(paths)} pictures"
            raise Stopped(f"{what}: takes longer than the {minutes:g} minutes that there are.")
        session.used = time.monotonic()
        progress(done, desc="Enlarging")

    return on_progress


def _share(on_progress: Callable[[float], None], number: int, count: int, done: float) -> None:
    on_progress((number + done) / count)


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
    """The page at rest: buttons, status, preview (that there is, with ``keep``), slider, button of 100 %, download.

    A result hides the preview, and keeps it for the next attempt.
    """
    slider = (str(result.before), str(result.after)) if result else None
    return [
        gr.Button(visible=True),
        gr.Button(visible=False),
        status,
        gr.Image(visible=result is None) if keep or result else gr.Image(shown, visible=shown is not None),
        gr.ImageSlider(slider, visible=result is not None),
        gr.Button(visible=result is not None),
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
        gr.Button(visible=False),
        gr.DownloadButton(visible=False),
    ]


def _facts(facts: list[str]) -> str:
    return '<div class="facts">' + "".join(f"<span>{fact}</span>" for fact in facts) + "</div>"


def _problem(sentence: str) -> str:
    return f'<div class="problem" role="alert">{escape(sentence)}</div>'
