"""The clients of all providers, each opened when it is first needed and kept for the life of the worker."""

import ssl
from dataclasses import replace

from framerelay.config.settings import Settings
from framerelay.config.urls import host_of
from framerelay.network.client import guarded_client
from framerelay.network.tls import tls_of
from framerelay.runs.errors import NotFound, RequestInvalid
from framerelay.runs.maker import Maker
from framerelay.upstream.client import JobsClient, Timeouts
from framerelay.upstream.credentials import hosts_of, key_mark
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import load_shipped
from framerelay.upstream.profile_models import Price
from framerelay.upstream.providers import Provider, Providers, needs_address, provider_of_profile, require_key


class Clients:
    """
    One for each provider, address and key.

    Close it (``aclose``) when nothing uses it any more. Raises: RequestInvalid if no provider at all can be used; if
    one of several is incomplete, that is an error when it is requested.
    """

    def __init__(self, providers: Providers, settings: Settings) -> None:
        self.providers = providers
        self._settings = settings
        self._tls: ssl.SSLContext | None = tls_of(settings)
        self._elsewhere = guarded_client(settings.trusted_hosts, ssl_context=self._tls)
        self._open: dict[tuple[str, str, str | None], JobsClient] = {}
        default = providers.of(None)
        if default.key and not needs_address(default):
            self._client(default)
        elif not any(True for _ in providers.with_key()):
            self.of(None)

    def provider(self, name: str | None) -> Provider:
        """The provider with that name; None: that of the settings. Raises: RequestInvalid if there is none."""
        try:
            return self.providers.of(name)
        except NotFound as error:
            raise RequestInvalid(error.message, param="provider") from error

    def of(self, name: str | None) -> JobsClient:
        """Its client. Raises: RequestInvalid if there is no such provider, or if its address or key is missing."""
        return self._client(require_key(self.provider(name)))

    def of_maker(self, maker: Maker) -> JobsClient:
        """
        The client that asks about a job of *maker*: at the address where it was submitted, read by that profile.

        The key is the provider's current one; if its name is gone, or now stands for another profile, it is that of the
        variables that the profile names. A key that has changed is sent to no address that it is not meant for.
        Raises: as `of`.
        """
        now = self._provider_of(maker)
        then = require_key(replace(now, base=maker.base))
        is_another_key = maker.key_mark not in (None, key_mark(now.key or ""))
        if is_another_key and host_of(maker.base) not in hosts_of(now.base, now.profile):
            raise RequestInvalid(
                f"the key of {maker.provider} has changed since, and is not for {host_of(maker.base)}, "
                "where this job was submitted",
                param="key",
            )
        return self._client(then)

    def polls_per_minute(self, name: str) -> float | None:
        """How often the provider may be asked about its jobs, if its profile says."""
        try:
            return self.providers.of(name).profile.poll.max_per_minute
        except NotFound:
            return None

    def price_of(self, maker: Maker) -> Price | None:
        """What a clip of that model costs there, as far as is known now."""
        try:
            return self.providers.of(maker.provider).price_of(maker.model)
        except NotFound:
            return None

    def _provider_of(self, maker: Maker) -> Provider:
        try:
            now = self.providers.of(maker.provider)
        except NotFound:
            now = None
        if now is None or now.profile.id != maker.profile:
            now = provider_of_profile(maker.provider, _profile(maker.profile), self.providers.environ)
        return now

    def _client(self, provider: Provider) -> JobsClient:
        place = (provider.profile.id, provider.base, provider.key)
        if (client := self._open.get(place)) is None:
            client = self._open[place] = JobsClient(
                provider.base,
                provider.key or "",
                profile=provider.profile,
                refuses_by_503=self._settings.submit_503 == "put_off",
                upload_url_path=self._settings.upload_url_path,
                timeouts=Timeouts(submit_s=self._settings.submit_timeout_s),
                tls=self._tls,
                elsewhere=self._elsewhere,
            )
        return client

    async def aclose(self) -> None:
        """Close them all; a second call does nothing."""
        for client in self._open.values():
            await client.aclose()
        await self._elsewhere.aclose()


def _profile(name: str) -> Profile:
    try:
        return load_shipped(name)
    except NotFound as error:
        raise RequestInvalid(
            f"the profile {name} is gone: put it back into framerelay.yaml", param="provider"
        ) from error
