"""Who asks: every visitor has his own share of turns, lines and stores."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from ipaddress import ip_address
from typing import NamedTuple


class Asker(NamedTuple):
    """A visitor, by the address from which he asks, and the event or job that he asks by."""

    visitor: str = ""
    work: str = ""


NOBODY = Asker()
asker: ContextVar[Asker] = ContextVar("asker", default=NOBODY)  # of what is being done here


def visitor() -> str:
    """Whose work is being done; empty where nobody asked."""
    return asker.get().visitor


def address(host: str, forwarded: Sequence[str], proxied: bool) -> str:
    """Where a request comes from.

    Args:
        host: whom the server talks to; its own proxies are looked through already.
        forwarded: the hosts in the request's X-Forwarded-For, the nearest last.
        proxied: every request comes through proxies of the host, as on a Space: then it is the
            nearest address of the public network. What a visitor writes himself is farther away.
    """
    if proxied:
        for name in (host, *reversed(forwarded)):
            try:
                if ip_address(name.strip()).is_global:
                    return name.strip()
            except ValueError:  # no address
                continue
    return host
