"""What the page looks like, and what its buttons do."""

import json
import logging
import re
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from omegaconf import DictConfig
from starlette.middleware import Middleware

from sr_lightning.data.formats import BY_EXTRA, EXTENSIONS
from sr_lightning.data.raw import EXTENSIONS as RAW_EXTENSIONS
from sr_lightning.demo_page.guard import Guard
from sr_lightning.demo_page.networks import BICUBIC, Network
from sr_lightning.demo_page.sessions import Sessions, Stopped
from sr_lightning.demo_page.work import TIMES, Result, check_upload, enlarge, preview
from sr_lightning.errors import ConfigError, SRError

CSS = Path(__file__).with_name("style.css")
AS_UPLOADED = "as the picture"
ENDINGS = {AS_UPLOADED: None, "PNG": "png", "TIFF": "tif", "JPEG": "jpg", "WebP": "webp"}
#: Fonts that every system has: the page loads nothing from elsewhere.
THEME = gr.themes.Default(
    primary_hue="teal", neutral_hue="slate", radius_size="lg", font=["system-ui", "sans-serif"], font_mono=["monospace"]
)

log = logging.getLogger(__name__)


def launch(networks: dict[str, Network], sessions: Sessions, cfg: DictConfig) -> gr.Blocks:
    """The page, listening; one computation at a time, all others wait.

    Raises:
        ConfigError: If it cannot listen there.
    """
    gr.set_static_paths([sessions.results])  # handed out from where they are, instead of copied
    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio asks itself whether it listens
    page = build(networks, sessions, cfg)
    guard = Middleware(
        Guard, host=cfg.host, hosts=list(cfg.hosts or ()), root=sessions.root, megabytes=cfg.max_total_mb
    )
    page.queue(default_concurrency_limit=1, max_size=16)
    try:
        page.launch(
            server_name=cfg.host,
            server_port=cfg.port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            max_file_size=int(cfg.max_upload_mb * 1e6),
            app_kwargs={"middleware": [guard]},
            theme=THEME,
            css_paths=[CSS],
        )
    except OSError as error:
        raise ConfigError(f"host={cfg.host} port={cfg.port}: cannot listen there ({error})") from None
    return page


def build(networks: dict[str, Network], sessions: Sessions, cfg: DictConfig) -> gr.Blocks:
    """The page, not yet listening."""
    names = list(networks)
    with gr.Blocks(title="sr_lightning", analytics_enabled=False) as page:
        gr.HTML(
            HEAD,
            elem_id="head",
            padding=False,
        )
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=2, min_width=300, elem_id="controls"):
                upload = gr.File(
                    label="Picture or camera RAW file",
                    file_types=sorted(EXTENSIONS | RAW_EXTENSIONS | BY_EXTRA.keys()),
                    height=170,
                    elem_id="upload",
                )
                gr.HTML(
                    f"Up to {cfg.max_upload_mb:g} MB and {cfg.max_upload_megapixels:g} megapixels",
                    elem_id="limits",
                    padding=False,
                )
                network = gr.Dropdown(names, value=names[0], label="Network", filterable=False, elem_id="network")
                scale = gr.Radio(**_scales(networks[names[0]]), label="Enlarge", elem_id="scale")
                with gr.Accordion("More options", open=False):
                    wanted = gr.Textbox(
                        label="Another factor or size", placeholder="2.5 or 3840x2160", max_lines=1, elem_id="wanted"
                    )
                    ending = gr.Dropdown(list(ENDINGS), value=AS_UPLOADED, label="File type", filterable=False)
                    ensemble = gr.Checkbox(
                        label="Average of eight", info="flips and turns: a little better, eight times slower"
                    )
                start = gr.Button("Enlarge", variant="primary", size="lg", elem_id="start")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop")
            with gr.Column(scale=5, min_width=320, elem_id="show"):
                status = gr.HTML(EMPTY, elem_id="status", padding=False)
                shown = gr.Image(
                    visible=False, show_label=False, interactive=False, buttons=["fullscreen"], elem_id="preview"
                )
                slider = gr.ImageSlider(
                    visible=False, label="Bicubic | enlarged", type="filepath", max_height=640,
                    interactive=False, buttons=["fullscreen"], elem_id="slider",
                )  # fmt: skip
                download = gr.DownloadButton("Download", variant="primary", visible=False, elem_id="download")
        # gradio makes an empty file of its own at each look at the upload, and leaves it behind; and what
        # the page does not offer it answers with tracebacks on the console, where one sentence is enough.
        upload.preprocess = _path_of  # type: ignore[method-assign]
        for choice in (network, scale, ending, wanted, ensemble):
            choice.preprocess = _as_sent  # type: ignore[method-assign]
        parts = [start, stop, status, shown, slider, download]

        def look(file: str, request: gr.Request) -> list[Any]:
            path = Path(file)
            try:
                session = sessions.of(request.session_hash, path)
                session.result = None  # of another picture
                height, width = check_upload(path, cfg)
                with session.job("preview") as folder:
                    picture = preview(path, folder)
            except Exception as error:
                return _state(_sentence(error, path, sessions.root))
            return _state(_facts([escape(path.name), f"{width} {TIMES} {height}"]), shown=str(picture))

        def press(
            file: str | None, name: str, scale: int, wanted: str, ensemble: bool, ending: str, request: gr.Request,
            progress: Any = gr.Progress(),  # noqa: B008  # so that gradio finds it
        ) -> Iterator[list[Any]]:  # fmt: skip
            if file is None:
                yield _state(_problem("Choose a picture first."))
                return
            path = Path(file)
            try:
                session = sessions.of(request.session_hash, path)
                given = _checked(networks, name, scale, wanted, ending)
            except SRError as error:
                yield _state(_sentence(error, path, sessions.root), result=sessions.result(request.session_hash))
                return
            stopped = session.fresh_stop()
            due = time.monotonic() + 60 * cfg.max_minutes

            def on_progress(done: float) -> None:
                if stopped.is_set():
                    raise Stopped("Stopped; nothing was kept.")
                if time.monotonic() > due:
                    raise Stopped(f"{path.name}: takes longer than the {cfg.max_minutes:g} minutes that there are.")
                session.used = time.monotonic()
                progress(done, desc="Enlarging")

            yield _working()
            try:
                # A stopped one may still be at its last tile.
                with sessions.one_at_a_time, session.job("result") as folder:
                    result = enlarge(
                        path, folder, networks[name], networks[BICUBIC], cfg, on_progress,
                        name=name, ensemble=bool(ensemble), **given,
                    )  # fmt: skip
            except Exception as error:
                yield _state(_sentence(error, path, sessions.root), result=session.result, keep=True)
                return
            session.result = result
            yield _state(_facts(result.facts), result=result)

        def halt(request: gr.Request) -> None:
            sessions.stop(request.session_hash)

        def end(request: gr.Request) -> list[Any]:
            halt(request)
            return _state(_facts(["Stopped"]), result=sessions.result(request.session_hash), keep=True)

        def close(request: gr.Request) -> None:
            sessions.close(request.session_hash)

        network.change(lambda name: gr.Radio(**_scales(networks[name])), network, scale, api_visibility="private")
        inputs = [upload, network, scale, wanted, ensemble, ending]
        work = start.click(press, inputs, parts, show_progress_on=shown, api_name="enlarge", concurrency_limit=1)
        work.then(None, js=SCROLL, api_visibility="private")
        stop.click(end, None, parts, cancels=[work], queue=False, api_visibility="private")
        # One more picture may come while the last is looked at; what clears answers first, so the browser does it.
        looked = upload.upload(
            look, upload, parts, show_progress_on=status, trigger_mode="multiple", api_visibility="private"
        )
        upload.clear(None, None, parts, js=CLEARED, cancels=[looked, work], api_visibility="private")
        upload.clear(halt, None, None, queue=False, api_visibility="private")
        page.unload(close)
    return page  # type: ignore[no-any-return]  # Any where gradio is not installed


#: On phones the result comes below the controls.
SCROLL = """() => {
  let tries = 0;
  const waiting = setInterval(() => {
    const there = document.querySelector('#slider img')?.naturalHeight;
    if (there) document.querySelector('#slider').scrollIntoView({block: 'center'});
    if (there || ++tries > 50) clearInterval(waiting);
  }, 100);
}"""
HEAD = "<h1>Enlarge a picture</h1><p>It is computed here; nothing leaves this server.</p>"
EMPTY = '<div class="empty">Your picture will appear here, before and after.</div>'
#: The page as it was at first, in the order of :func:`_state`.
CLEARED = f"""() => {{
  const part = (visible, rest) => ({{__type__: 'update', visible, ...rest}});
  const none = {{value: null}};
  return [
    part(true), part(false), {json.dumps(EMPTY)}, part(false, none), part(false, none), part(false, none)
  ];
}}"""


def _path_of(payload: Any) -> str | None:
    return payload.path if payload else None


def _as_sent(payload: Any) -> Any:
    return payload


def _scales(network: Network) -> dict[str, Any]:
    return {"choices": [(f"{TIMES}{scale}", scale) for scale in network.scales], "value": network.scales[0]}


def _checked(networks: dict[str, Network], name: Any, scale: Any, wanted: Any, ending: Any) -> dict[str, Any]:
    """What was chosen, as :func:`enlarge` takes it; programs may send what the page does not offer.

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


def _state(status: str, shown: str | None = None, result: Result | None = None, keep: bool = False) -> list[Any]:
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


def _sentence(error: Exception, path: Path, root: Path) -> str:
    """An error as the page shows it; where files lie on the server is nobody's business."""
    if isinstance(error, SRError):
        return _problem(re.sub(rf"{re.escape(str(root))}/(\S*/)?", "", str(error)))
    log.exception("the page could not enlarge %s", path.name)
    return _problem(f"{path.name}: cannot be enlarged ({type(error).__name__}); the server's console says why.")
