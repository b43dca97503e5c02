"""Each code of the provider's error page falls into the family that says what to do."""

import pytest

from framerelay.upstream.families import Family, family_of


@pytest.mark.parametrize(
    ("code", "status", "family"),
    [
        ("SensitiveContentDetected.SevereViolation", 400, Family.TEXT_MODERATED),
        ("InputTextSensitiveContentDetected.PolicyViolation", 400, Family.TEXT_MODERATED),
        ("InputImageSensitiveContentDetected.PrivacyInformation", 400, Family.IMAGE_MODERATED),
        ("InputVideoSensitiveContentDetected", 400, Family.IMAGE_MODERATED),
        ("OutputAudioSensitiveContentDetected", None, Family.AUDIO_MODERATED),
        ("OutputVideoSensitiveContentDetected.Violence", None, Family.VIDEO_MODERATED),
        ("MissingParameter", 400, Family.REQUEST_INVALID),
        ("InvalidParameter.duration", 400, Family.REQUEST_INVALID),
        ("InvalidImageURL.EmptyURL", 400, Family.REQUEST_INVALID),
        ("InvalidParameter.OversizedImage", 400, Family.REQUEST_INVALID),
        ("AuthenticationError", 401, Family.ACCOUNT),
        ("AccountOverdueError", 403, Family.ACCOUNT),
        ("OperationDenied.ServiceNotOpen", 403, Family.ACCOUNT),
        ("InvalidEndpointOrModel.NotFound", 404, Family.ACCOUNT),
        ("InvalidEndpoint.ClosedEndpoint", 400, Family.ACCOUNT),
        ("ModelNotOpen", 404, Family.ACCOUNT),
        ("RateLimitExceeded.EndpointRPMExceeded", 429, Family.RATE),
        ("ModelAccountRpmRateLimitExceeded", 429, Family.RATE),
        ("ServerOverloaded", 429, Family.RATE),
        ("rate_limit_exceeded", 400, Family.RATE),
        ("QuotaExceeded", 429, Family.QUOTA),
        ("SetLimitExceeded", 429, Family.QUOTA),
        ("InternalServiceError", 500, Family.SERVER),
        ("ContentSecurityDetectionError", 500, Family.SERVER),
        ("SomethingNew", 429, Family.RATE),
        ("SomethingNew", 418, Family.UNKNOWN),
        (None, 502, Family.SERVER),
        (None, None, Family.UNKNOWN),
    ],
)
def test_a_code_decides_and_the_status_helps_out(code: str | None, status: int | None, family: Family) -> None:
    """A 429 may be a quota that no waiting brings back, so the code goes first."""
    assert family is family_of(code, "The request failed.", status)


def test_a_sentence_is_read_when_the_code_is_missing() -> None:
    """Gateways often keep only Ark's message."""
    message = "The request failed because the output video may contain sensitive information."

    assert Family.VIDEO_MODERATED is family_of(None, message, None)
