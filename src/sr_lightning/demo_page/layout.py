"""What the page looks like, and that it listens."""

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from omegaconf import DictConfig
from starlette.middleware import Middleware

from sr_lightning.data.files.formats import BY_EXTRA, EXTENSIONS
from sr_lightning.data.files.raw import EXTENSIONS as RAW_EXTENSIONS
from sr_lightning.demo_page.actions import AS_UPLOADED, ENDINGS, Actions
from sr_lightning.demo_page.guard import Guard
from sr_lightning.demo_page.networks import LABELS, Network
from sr_lightning.demo_page.sessions import Sessions
from sr_lightning.errors import ConfigError
from sr_lightning.inference.files.uploads import TIMES

CSS = Path(__file__).with_name("style.css")
#: Fonts that every system has: the page loads nothing from elsewhere.
THEME = gr.themes.Default(
    primary_hue="teal", neutral_hue="slate", radius_size="lg", font=["system-ui", "sans-serif"], font_mono=["monospace"]
)


def launch_page(networks: dict[str, Network], sessions: Sessions, cfg: DictConfig) -> gr.Blocks:
    """The page, listening; one computation at a time, all others wait.

    Raises:
        ConfigError: If it cannot listen there.
    """
    gr.set_static_paths([sessions.results])  # handed out from where they are, instead of copied
    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio asks itself whether it listens
    page = build(networks, sessions, cfg)
    guard = Middleware(
        Guard,
        host=cfg.host,
        port=cfg.port,
        hosts=list(cfg.hosts or ()),
        root=sessions.root,
        megabytes=cfg.max_total_mb,
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


class Controls(NamedTuple):
    """What the user sets and presses."""

    upload: gr.File
    network: gr.Dropdown
    scale: gr.Radio
    wanted: gr.Textbox
    ensemble: gr.Checkbox
    ending: gr.Dropdown
    start: gr.Button
    stop: gr.Button


class View(NamedTuple):
    """What the page shows, in the order of ``at_rest``."""

    status: gr.HTML
    preview: gr.Image
    slider: gr.ImageSlider
    full: gr.Button
    download: gr.DownloadButton


def build(networks: dict[str, Network], sessions: Sessions, cfg: DictConfig) -> gr.Blocks:
    """The page, not yet listening."""
    with gr.Blocks(title="sr_lightning", analytics_enabled=False) as page:
        gr.HTML(HEAD, elem_id="head", padding=False)
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=2, min_width=300, elem_id="controls"):
                controls = _controls(networks, cfg)
            with gr.Column(scale=5, min_width=320, elem_id="show"):
                view = _view()
        _connect(page, controls, view, Actions(networks, sessions, cfg))
    return page  # type: ignore[no-any-return]  # Any where gradio is not installed


def _controls(networks: dict[str, Network], cfg: DictConfig) -> Controls:
    names = list(networks)
    upload = gr.File(
        label="Pictures or camera RAW files",
        file_count="multiple",
        file_types=sorted(EXTENSIONS | RAW_EXTENSIONS | BY_EXTRA.keys() | {".gif"}),
        height=170,
        elem_id="upload",
    )
    limits = f"Up to {cfg.max_upload_mb:g} MB and {cfg.max_upload_megapixels:g} megapixels"
    gr.HTML(limits, elem_id="limits", padding=False)
    network = gr.Dropdown(
        [(LABELS.get(name, f"Your own ({name})"), name) for name in names],
        value=names[0],
        label="Network",
        filterable=False,
        elem_id="network",
    )
    scale = gr.Radio(**_scales(networks[names[0]]), label="Enlarge", elem_id="scale")
    with gr.Accordion("More options", open=False):
        wanted = gr.Textbox(
            label="Another factor or size", placeholder="2.5 or 3840x2160", max_lines=1, elem_id="wanted"
        )
        ending = gr.Dropdown(list(ENDINGS), value=AS_UPLOADED, label="File type", filterable=False)
        ensemble = gr.Checkbox(label="Average of eight", info="flips and turns: a little better, eight times slower")
    start = gr.Button("Enlarge", variant="primary", size="lg", elem_id="start")
    stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop")
    # gradio makes an empty file of its own at each look at the upload, and leaves it behind; and what
    # the page does not offer it answers with tracebacks on the console, where one sentence is enough.
    upload.preprocess = _paths_of  # type: ignore[method-assign]
    for choice in (network, scale, ending, wanted, ensemble):
        choice.preprocess = _as_sent  # type: ignore[method-assign]
    return Controls(upload, network, scale, wanted, ensemble, ending, start, stop)


def _view() -> View:
    return View(
        gr.HTML(EMPTY, elem_id="status", padding=False),
        gr.Image(visible=False, show_label=False, interactive=False, buttons=["fullscreen"], elem_id="preview"),
        gr.ImageSlider(
            visible=False, label="Bicubic | enlarged", type="filepath", max_height=640,
            interactive=False, buttons=["fullscreen"], elem_id="slider",
        ),
        gr.Button("View at 100 %", visible=False, elem_id="full"),
        gr.DownloadButton("Download", variant="primary", visible=False, elem_id="download"),
    )  # fmt: skip


def _connect(page: gr.Blocks, controls: Controls, view: View, actions: Actions) -> None:
    """Tells gradio what each control does."""
    *inputs, start, stop = controls
    parts = [start, stop, *view]
    upload, network = controls.upload, controls.network
    network.change(
        lambda name: gr.Radio(**_scales(actions.networks[name])), network, controls.scale, api_visibility="private"
    )
    work = start.click(
        actions.press, inputs, parts, show_progress_on=view.preview, api_name="enlarge", concurrency_limit=1
    )
    work.then(None, js=SCRIPT.replace("ACTION", "reveal"), api_visibility="private")
    view.full.click(None, js=SCRIPT.replace("ACTION", "showFull"), api_visibility="private")
    stop.click(actions.end, None, parts, cancels=[work], queue=False, api_visibility="private")
    # One more picture may come while the last is looked at; what clears answers first, so the browser does it.
    looked = upload.upload(
        actions.look, upload, parts, show_progress_on=view.status, trigger_mode="multiple", api_visibility="private"
    )
    upload.clear(None, None, parts, js=CLEARED, cancels=[looked, work], api_visibility="private")
    upload.clear(actions.halt, None, None, queue=False, api_visibility="private")
    page.unload(actions.close)


#: What the page does in the browser; see the file.
SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
HEAD = "<h1>Enlarge pictures</h1><p>It is computed here; nothing leaves this server.</p>"
EMPTY = '<div class="empty">Your picture will appear here, before and after.</div>'
#: The page as it was at first, in the order of ``View``, after the two buttons.
CLEARED = f"""() => {{
  const part = (visible, rest) => ({{__type__: 'update', visible, ...rest}});
  const none = {{value: null}};
  return [
    part(true), part(false), {json.dumps(EMPTY)}, part(false, none), part(false, none), part(false), part(false, none)
  ];
}}"""


def _paths_of(payload: Any) -> list[str]:
    return [file.path for file in payload] if payload else []


def _as_sent(payload: Any) -> Any:
    return payload


def _scales(network: Network) -> dict[str, Any]:
    return {"choices": [(f"{TIMES}{scale}", scale) for scale in network.scales], "value": network.scales[0]}
