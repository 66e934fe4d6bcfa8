"""Who may talk to a server on this machine: a browser says which site sent it, and foreign sites are refused."""

import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

#: Names of this computer for itself, which no foreign site can take.
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_EVERYWHERE = {"0.0.0.0", "::", ""}  # what is listened on, not told to anyone
_STANDARD = {"http": 80, "https": 443}  # ports that browsers leave out


class Visitors:
    """Tells requests of foreign sites from others.

    Args:
        host: Where the server listens.
        port: Where it listens.
        hosts: Further names under which browsers reach it, as those of a proxy. Without a port of its own, a name
            stands for the standard ports and for ``port``.

    Example:
        >>> visitors = Visitors("127.0.0.1", 8000)
        >>> visitors.refusal("POST", {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"})
        >>> visitors.refusal("POST", {"host": "127.0.0.1:8000", "origin": "https://elsewhere.org"})
        'Another site asked for this in your name; open the page itself.'
    """

    def __init__(self, host: str, port: int, hosts: Iterable[str] = ()) -> None:
        named = [_name_and_port(name.rpartition("://")[2].rstrip("/")) for name in (host, *hosts)]
        self.hosts = _LOCAL | {name for name, _ in named if name}
        self.origins = {
            (name, each)
            for name, own in named
            if name not in _LOCAL | _EVERYWHERE
            for each in ([own] if own else [port, *_STANDARD.values()])
        }
        self.everywhere = host in _EVERYWHERE

    def refusal(self, method: str, headers: dict[str, str]) -> str | None:
        """Why a request is not answered; None if it is.

        A name that a foreign site has pointed here ("DNS rebinding") is not a name of this page. Browsers say which
        site sends what changes something; other programs do not, and no site can make them send anything.
        """
        host = headers.get("host", "")
        name, _ = _name_and_port(host)
        if not name:
            return "This request does not say which page it is for."
        if not self._is_own(name):
            return f"This page is not called {name!r}; start it with hosts=[{name}] if it is."
        site = headers.get("sec-fetch-site", "none")
        if method in ("GET", "HEAD", "OPTIONS"):
            foreign = site in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate"
        elif "origin" in headers:
            scheme, _, origin = headers["origin"].lower().partition("://")
            name, port = _name_and_port(origin)
            foreign = origin != host.lower() and (name, port or _STANDARD.get(scheme)) not in self.origins
        else:
            foreign = site not in ("same-origin", "none")
        return "Another site asked for this in your name; open the page itself." if foreign else None

    def _is_own(self, name: str) -> bool:
        if name in self.hosts:
            return True
        with suppress(ValueError):  # addresses cannot be pointed elsewhere
            return self.everywhere and bool(ipaddress.ip_address(name))
        return False


def _name_and_port(host: str) -> tuple[str, int | None]:
    """Of a ``Host`` header, or of what was typed, where an address of IPv6 may lack its brackets; none if malformed."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(host)), None
    with suppress(ValueError):
        parts = urlsplit(f"//{host}")
        if parts.netloc != host or "@" in host:  # more than a name and a port
            return "", None
        return (parts.hostname or "").rstrip("."), parts.port
    return "", None
