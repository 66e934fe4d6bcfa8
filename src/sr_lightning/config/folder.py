"""Where the configs are."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
#: The YAML tree: inside the package in a wheel, beside ``src`` in a checkout.
CONF_DIR = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"
