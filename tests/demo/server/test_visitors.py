"""Who asks: told by where a request comes from, and not by what it says of itself."""

import pytest

from demo.server.visitors import address

VISITOR, SPOOFED, HOP = "203.0.114.9", "198.41.0.4", "10.3.1.2"


@pytest.mark.parametrize(
    ("host", "forwarded", "found"),
    [
        (HOP, [VISITOR], VISITOR),
        (HOP, [SPOOFED, VISITOR], VISITOR),
        (HOP, [SPOOFED, f" {VISITOR} ", "10.9.9.9"], VISITOR),
        (HOP, ["", "unknown", "\x00"], HOP),
        (VISITOR, [SPOOFED], VISITOR),
        (HOP, ["2606:4700::1111"], "2606:4700::1111"),
    ],
)
def test_behind_proxies_it_is_the_nearest_public_address(host, forwarded, found):
    assert address(host, forwarded, proxied=True) == found


def test_without_proxies_it_is_who_is_talked_to():
    assert address("192.168.1.7", [SPOOFED], proxied=False) == "192.168.1.7"
