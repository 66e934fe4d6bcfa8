"""Hydra without ceremony: where the configs are, how objects are made of them, how commands start."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sr_lightning.errors import ConfigError, Interrupted, SRError, nearest

_HERE = Path(__file__).resolve().parent
#: The YAML tree: inside the package in a wheel, beside ``src`` in a checkout.
CONF_DIR = _HERE / "conf" if (_HERE / "conf").is_dir() else _HERE.parents[1] / "conf"


_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)


def fastest_precision(device: str | None = None) -> str:
    """bf16 where the hardware multiplies it natively (Ampere GPUs, CPUs with AMX or AVX512-BF16), else float32."""
    import torch

    if (device or fastest_device()) == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"


def fastest_device() -> str:
    """The device that commands without a trainer compute on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


OmegaConf.register_new_resolver("fastest_precision", fastest_precision, replace=True)
OmegaConf.register_new_resolver("fastest_device", fastest_device, replace=True)
OmegaConf.register_new_resolver("mul", lambda a, b: a * b, replace=True)


def compose(command: str = "train", overrides: Sequence[str] = ()) -> DictConfig:
    """The config of a command, as if it had been typed: for notebooks and tests.

    Example:
        >>> compose("train", ["model=rdn", "scale=3"]).model.growth_rate
        64
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            cfg = hydra_compose(command, _without_null(overrides), return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise explain(error, command, overrides) from None
    return _filled(cfg, cfg.hydra.runtime.choices, None)


def build(cfg: Any, **extra: Any) -> Any:
    """Makes the object a config node describes; None for an empty node.

    Raises:
        ConfigError: If ``_target_`` cannot be found or does not take the arguments.
    """
    if not cfg:
        return None
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        if not extra:
            return instantiate(cfg, _convert_="all")
        # Objects are handed over afterwards: Hydra would turn dataclasses among them into configs.
        return instantiate(cfg, _convert_="all", _partial_=True)(**extra)
    except SRError:
        raise
    except Exception as error:
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, SRError):
            raise cause from None
        raise ConfigError(f"{cfg._target_} cannot be made of its config: {cause}") from error


def run(task: Callable[[DictConfig], Any], command: str, argv: Sequence[str] | None = None) -> None:
    """Runs a command's task under Hydra; what the user can mend ends as one sentence and exit code 1."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions arrive here as they were raised
    if sys.version_info >= (3, 14):  # Hydra 1.3 hands argparse a help text that 3.14 refuses
        import argparse

        argparse.ArgumentParser._check_help = lambda *_: None  # type: ignore[attr-defined]
    sys.argv[1:] = _with_quoted_paths(_without_null(sys.argv[1:] if argv is None else argv))

    def job(cfg: DictConfig) -> Any:
        hydra_cfg = HydraConfig.get()
        try:
            return task(_filled(cfg, hydra_cfg.runtime.choices, hydra_cfg.runtime.output_dir))
        except Interrupted as stop:  # a sweep ends with it
            if int(os.environ.get("LOCAL_RANK", 0)) == 0:
                print(stop, file=sys.stderr)
            sys.exit(128 + stop.signum)
        except SRError as error:
            if hydra_cfg.mode == RunMode.RUN:
                _fail(error)
            # The other runs of a sweep go on; its table counts this one as failed.
            print(f"error: {error}", file=sys.stderr)
            return None
        except Exception as error:
            if hydra_cfg.mode == RunMode.RUN:
                if isinstance(error, TypeError | ValueError):  # here, before Hydra adds lines of its own
                    _fail_if_mistyped(command, hydra_cfg.overrides.task)
                raise
            traceback.print_exc()
            return None

    job.__module__ = task.__module__
    try:
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=command)(job)()
    except SRError as error:
        _fail(error)
    except (HydraException, OmegaConfBaseException) as error:
        _fail(explain(error, command, [arg for arg in sys.argv[1:] if "=" in arg]))
    except OSError as error:
        if error.errno in _UNWRITABLE and error.filename:
            _fail(SRError(f"{error.filename}: cannot be used ({error.strerror}); choose another place"))
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _fail(SRError(f"{error.filename or 'the run folder'}: the disk is full; free space or choose hydra.run.dir="))
    except (TypeError, ValueError) as error:
        if "Config group override must be" in str(error):
            _fail(ConfigError("a config group cannot be null; choose one of its files, such as scheduler=none"))
        _fail_if_mistyped(command, [arg for arg in sys.argv[1:] if "=" in arg])
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _without_null(overrides: Sequence[str]) -> list[str]:
    """Hydra knows no ``group=null``; groups that may be empty have a file ``none``."""
    overrides = list(overrides)
    groups = [o.removesuffix("=null") if o.endswith("=null") else "" for o in overrides]
    empty = [bool(group) and (CONF_DIR / group / "none.yaml").is_file() for group in groups]
    return [f"{group}=none" if is_empty else o for o, group, is_empty in zip(overrides, groups, empty, strict=True)]


def _with_quoted_paths(overrides: Sequence[str]) -> list[str]:
    """Hydra's grammar gives ``= , ( [ ' #`` and blanks a meaning, which names of files may have, too.

    Example:
        >>> _with_quoted_paths(["scale=3", f"input={CONF_DIR}"])[0]
        'scale=3'
    """
    quoted = []
    for override in overrides:
        key, _, value = override.partition("=")
        odd = key in ("input", "output", "checkpoint", "weights") and set(value) & set("=,()[]{}'\"#:; \\")
        if odd and os.path.lexists(os.path.expanduser(value)):  # noqa: PTH111  # whatever else it is
            escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
            override = f'{key}="{escaped}{value[len(value.rstrip(chr(92))) :]}"'
        quoted.append(override)
    return quoted


def explain(error: Exception, command: str, overrides: Sequence[str]) -> ConfigError:
    """One sentence for an error of Hydra or OmegaConf, with the nearest existing names."""
    if isinstance(error, OverrideParseException):
        return ConfigError(f"{' '.join(str(error).split())}; quote values with ~ = , or blanks: 'key=\"value\"'")
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        folder = CONF_DIR / key.partition("@")[0]
        if folder.is_dir():
            options = [path.stem for path in folder.glob("*.yaml")]
            for choice in value.strip("[]").split(","):
                if choice and choice not in options and f"{key}/{choice}" in str(error):
                    return ConfigError(f"{key}={choice}: there is no such config; {nearest(choice, options)}")
        elif "," in value and not value.startswith(("[", "{", "(")) and key in str(error):
            return ConfigError(f"{key}={value}: a comma makes several runs, with -m; in one value it needs quotes: "
                               f"'{key}=\"{value}\"'")  # fmt: skip
        elif not override.startswith(("+", "hydra", "~")) and key in str(error):
            return ConfigError(f"{key}: there is no such key; {_nearest_key(key, command, overrides)}")
    return ConfigError(" ".join(str(error).split()))


def _fail_if_mistyped(command: str, overrides: Sequence[str]) -> None:
    """Ends the command if an override puts a word where the config has a number."""
    groups = [o for o in overrides if (CONF_DIR / o.partition("=")[0]).is_dir()]
    plain = compose(command, groups)
    for override in overrides:
        key, _, value = override.partition("=")
        default = None if override in groups or key.startswith(("+", "~")) else OmegaConf.select(plain, key)
        given = OmegaConf.from_dotlist([f"value={value}"]).value
        if isinstance(default, int | float) and isinstance(given, str) and given != "auto":
            _fail(ConfigError(f"{key}={value}: must be a number, such as {default}"))


def _nearest_key(key: str, command: str, overrides: Sequence[str]) -> str:
    """Suggestions on the deepest level of the config tree that the key still reaches."""
    groups = [o for o in overrides if (CONF_DIR / o.partition("=")[0]).is_dir()]
    try:
        node: Any = compose(command, groups)
    except ConfigError:
        return f"see python -m sr_lightning.{command} --cfg job"
    keys = set(_all_keys(OmegaConf.to_container(node)))
    *parents, leaf = key.split(".")
    for parent in parents:
        if parent not in node:
            return nearest(key, keys)
        node = node[parent]
    if not isinstance(node, DictConfig):
        return f"{'.'.join(parents)} has no parts"
    same_leaf = [k for k in keys if k.split(".")[-1] == leaf]
    return nearest(key, same_leaf or [".".join([*parents, str(k)]) for k in node])


def _all_keys(tree: Any, prefix: str = "") -> list[str]:
    """Dotted names of all nodes of a plain dictionary."""
    if not isinstance(tree, dict):
        return []
    names = [(f"{prefix}.{key}".lstrip("."), value) for key, value in tree.items()]
    return [dotted for name, value in names for dotted in (name, *_all_keys(value, name))]


def _filled(cfg: DictConfig, choices: Any, run_dir: str | None) -> DictConfig:
    """Sets ``name`` to the chosen model's and ``run_dir`` to Hydra's, where the user gave neither."""
    with open_dict(cfg):
        cfg.pop("hydra", None)
        cfg.name = cfg.get("name") or choices.get("model")
        cfg.run_dir = cfg.get("run_dir") or run_dir or f"runs/{cfg.name or 'notebook'}"
    return cfg


def _fail(error: SRError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)
