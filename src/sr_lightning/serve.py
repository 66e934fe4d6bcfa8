"""``python -m sr_lightning.serve``: pictures over HTTP, enlarged as ``upscale`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sr_lightning.atomic import temporary_folder
from sr_lightning.cli.listening import (
    ending_signals,
    refuse_a_port_in_use,
    refuse_numbers_below_zero,
    refuse_what_is_no_name,
)
from sr_lightning.cli.start import run
from sr_lightning.config.paths import refuse_bad_weights
from sr_lightning.errors import ConfigError
from sr_lightning.inference.settings import check_options, upscale_config

if TYPE_CHECKING:
    from omegaconf import DictConfig


def serve(cfg: DictConfig) -> None:
    """Answers requests until Ctrl-C, SIGTERM or SIGHUP, and those that it has taken after that.

    No files remain, and those of servers that were killed go.

    Raises:
        ConfigError: If LitServe is not installed, the port is in use, or the network cannot be loaded.
        Interrupted: At SIGTERM or SIGHUP.

    Example:
        >>> from sr_lightning.config import compose
        >>> serve(compose("serve", ["port=8001"]))  # doctest: +SKIP
    """
    refuse_a_port_in_use(cfg.host, cfg.port)
    refuse_bad_weights(cfg)
    refuse_numbers_below_zero(cfg)
    refuse_what_is_no_name(cfg)
    for key in ("workers", "max_batch", "max_queue", "max_uploads"):
        if type(cfg[key]) is not int or cfg[key] < 1:
            raise ConfigError(f"{key}={cfg[key]}: must be a whole number above 0")
    if type(cfg.batch_ms) not in (int, float) or not 0 <= cfg.batch_ms <= 10_000:
        raise ConfigError(f"batch_ms={cfg.batch_ms}: must be a number from 0 to 10000")
    plain = upscale_config(cfg, without=("workers",))
    plain.overwrite = True
    check_options(plain)
    print(f"starting: http://{cfg.host}:{cfg.port} answers in a few seconds", flush=True)
    try:
        import litserve  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError('the server needs an extra: pip install "sr_lightning[serve]"') from None
    from sr_lightning.serving.server import Server

    with ending_signals() as end, temporary_folder("sr_lightning_serve_") as folder:
        Server(cfg, plain, folder).run(end)


def main() -> None:
    """Entry point of ``sr-serve``."""
    run(serve, "serve")


if __name__ == "__main__":
    main()
