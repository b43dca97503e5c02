"""Whether a callback proves where it comes from, according to the settings file's rules for its address."""

from dataclasses import dataclass, field

from framerelay.runs.errors import Unverified
from framerelay.runs.tokens import Address, ProbeAddress, TakeAddress
from framerelay.store.inbox import Callback
from framerelay.upstream.jwks import PublicKeys
from framerelay.upstream.signatures import Recipe, jwks_url_of, verify
from framerelay.upstream.verifiers import Verifiers


@dataclass(slots=True, kw_only=True)
class Verification:
    """*public_keys* must be there if a verifier needs some; ``verifiers`` is replaced once secrets are read again."""

    verifiers: Verifiers = field(default_factory=Verifiers)
    public_keys: PublicKeys | None = None

    def recipe_of(self, address: Address) -> Recipe | None:
        """What callbacks at *address* have to fulfill; None: nothing except the token (like those of `doctor`)."""
        if isinstance(address, TakeAddress):
            provider = address.provider
            return self.verifiers.upstream if provider is None else self.verifiers.providers.get(provider)
        return None if isinstance(address, ProbeAddress) else self.verifiers.of(address.hook)

    def check(self, recipe: Recipe, callback: Callback) -> None:
        """
        Return if *callback* proves where it comes from, at the moment of its receipt; nothing is waited for.

        Raises: Unverified.
        """
        url = jwks_url_of(recipe)
        keys = self.public_keys.of(url) if self.public_keys and url else ()
        try:
            verify(recipe, callback.evidence, body=callback.body, received_at=callback.received_at, public_keys=keys)
        except Unverified:
            if self.public_keys and url:
                self.public_keys.refresh_soon(url)
            raise
