"""The one place where the text of an address becomes a URL: anything wrong with it is one kind of error."""

import httpx


def parse_url(text: str) -> httpx.URL:
    """
    The URL in *text*; each of its parts can then be used without another error.

    httpx decodes a host such as ``xn--a`` only when it is requested, and then raises an error of another library; that
    is done here. Raises: ValueError, with words that repeat nothing from *text*.
    """
    try:
        return check_parts(httpx.URL(text))
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError("it must be an address that can be opened") from error


def check_parts(url: httpx.URL) -> httpx.URL:
    """*url*, after requesting each of its parts once. Raises: ValueError, as `parse_url`."""
    try:
        _ = url.host, url.port, url.raw_host.decode("ascii"), url.userinfo
    except ValueError as error:  # Of idna, whose errors are UnicodeErrors, and those are ValueErrors.
        raise ValueError("it must have a host that can be a name") from error
    return url


def join_url(url: httpx.URL, location: str) -> httpx.URL:
    """Where *location*, found at *url*, leads: absolute or relative. Raises: ValueError, as `parse_url`."""
    try:
        return check_parts(url.join(location))
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError("it must be an address that can be opened") from error


def host_of(text: str) -> str:
    """The host in *text*, as written but in lower case; empty if it is not an address. Never raises."""
    try:
        return parse_url(text).raw_host.decode("ascii").lower().strip("[]")
    except ValueError:
        return ""
