"""What tasks work with, as far as the settings decide it."""

import ssl
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from framerelay.config.env_file import SettingInvalid
from framerelay.config.settings import Settings
from framerelay.network.tls import tls_of


def test_further_certificate_authorities_are_trusted_besides_the_usual_ones(tmp_path: Path) -> None:
    """A gateway with a CA of its own works, and so does everything else."""
    usual = Path(certifi.where()).read_text(encoding="ascii")
    one = usual[usual.index("-----BEGIN") : usual.index("-----END CERTIFICATE-----") + 26]
    file = tmp_path / "ca.pem"
    file.write_text(one, encoding="ascii")

    context = tls_of(replace(Settings(), ca_file=file))

    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) >= usual.count("-----BEGIN") - 1
    assert tls_of(Settings()) is None


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: str | None) -> None:
    """At start, rather than as a mystery at the first submit."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="ascii")

    with pytest.raises(SettingInvalid, match="FRAMERELAY_CA_FILE"):
        tls_of(replace(Settings(), ca_file=file))
