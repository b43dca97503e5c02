"""What is known of an address before anything is sent there."""

import pytest

from framerelay.network.policy import TrustedHosts, check_in_advance
from framerelay.runs.errors import AddressForbidden


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x",
        "https://example.com:8443/x",
        "https://user:word@example.com/",
        "https://localhost/x",
        "https://LOCALHOST./x",
        "https://n8n.localhost/x",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/x",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[fe80::1]/x",
        "https://exa mple.com/x",
        "https://a%2Fb/x",
        "https://xn--a/x",
        "https://xn--/x",
        "https://xn--localhost-/x",
        "https://XN--A/x",
    ],
)
def test_an_address_that_would_be_refused_is_refused_in_advance(address: str) -> None:
    """The author of it hears of it at once, and not when the film is done; DNS is not asked."""
    with pytest.raises(AddressForbidden):
        check_in_advance(address, TrustedHosts([]))


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/x",
        "https://example.com:443/x",
        "https://8.8.8.8/x",
        "https://[2606:4700::1111]/x",
        "https://inside.example/x",
        "http://n8n:5678/webhook/x",
        "https://127.0.0.1:9000/x",
        "http://localhost/x",
    ],
)
def test_what_may_be_public_or_is_trusted_is_left_to_the_moment_of_sending(address: str) -> None:
    """A name may lead elsewhere by then; a host that somebody vouched for may be anywhere."""
    check_in_advance(address, TrustedHosts(["n8n:5678", "127.0.0.1:9000", "localhost"]))
