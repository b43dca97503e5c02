"""A real Chromium that looks at the real program; what it complains about fails the test."""

import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, async_playwright, expect

from framerelay.store.embedded import EmbeddedRedis

PICTURES = Path(__file__).parents[2] / ".ci" / "artefacts" / "screenshots"
API_KEY = "fr_test"
WAIT_MS = 60_000
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
DESK = {"width": 1280, "height": 800}
FLAGS = [
    "--no-sandbox",  # Containers run as root, where Chromium's own cage cannot be built.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

HURRY = """
for (const name of ["setTimeout", "setInterval"]) {
  const patient = window[name];
  window[name] = (work, ms, ...more) => patient(work, ms / 10, ...more);
}
"""

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="session")
def chromium() -> str:
    """
    The path of the system's own, one without windows if there is: the rest of a desktop's browser is half the work.

    Without any the tests are skipped, except where `make test-e2e` could have installed it: if nobody noticed that it
    is missing, everything here would pass for ever.
    """
    if path := next(filter(None, map(shutil.which, BROWSERS)), None):
        return path
    if os.geteuid() == 0 and shutil.which("apt-get"):
        pytest.fail("no Chromium, though `make test-e2e` can install it here: apt-get install chromium")
    pytest.skip("no Chromium on PATH; as root on Debian or Ubuntu `make test-e2e` installs it")


@pytest.fixture(scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """One for all tests here: they differ in their contexts. It reaches no other machine."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


class Visitor:
    """
    A person with a browser of their own: a context with its cookies and its tabs, all of them watched.

    ``problems`` collects what no page may bring about: errors in the console (broken rules of the content security
    policy among them), exceptions, requests to other machines.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.problems: list[str] = []
        self._patterns: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.problems.append(f"exception: {error.error}"))
        context.on("request", self._on_request)

    async def log_in(self) -> None:
        """As the form does, without opening it."""
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        form = {"key": API_KEY}
        answer = await self.context.request.post(f"{self.url}/login", form=form, headers=headers, max_redirects=0)
        assert answer.status == 303, await answer.text()

    async def open(self, path: str = "/", *, hurried: bool = False) -> Page:
        """A tab of its own, at *path* of the receiver; *hurried*: its timers run ten times as fast."""
        page = await self.context.new_page()
        if hurried:
            await page.add_init_script(HURRY)
        await page.goto(f"{self.url}{path}")
        return page

    def expects(self, *patterns: str) -> None:
        """What this test brings about on purpose is no problem."""
        self._patterns += patterns

    def unexpected(self) -> list[str]:
        """The problems that no pattern of `expects` is found in."""
        return [each for each in self.problems if not any(re.search(pattern, each) for pattern in self._patterns)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type} in the console: {message.text} ({message.location.get('url')})")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:", "blob:")):
            self.problems.append(f"request to {request.url}")


Visit = Callable[..., AbstractAsyncContextManager[Visitor]]


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Browser) -> Visit:
    """
    ``async with visit(relay, color_scheme="dark") as person``: somebody new, logged in; options as Playwright's.

    What was shown last is kept as a picture if the test fails in the block, and problems fail it at the block's end.
    """

    @asynccontextmanager
    async def begin(relay: Any, *, logged_in: bool = True, **options: Any) -> AsyncIterator[Visitor]:
        context = await browser.new_context(**{"viewport": DESK, "reduced_motion": "reduce", **options})
        context.set_default_timeout(WAIT_MS)
        person = Visitor(context, relay.settings.listen_url)
        try:
            if logged_in:
                await person.log_in()
            yield person
            assert not person.unexpected(), "\n".join(person.unexpected())
        except BaseException:
            for number, tab in enumerate(context.pages, 1):
                with suppress(Error):  # A tab that hangs must not hide why.
                    await tab.screenshot(path=PICTURES / "failed" / f"{request.node.name}-{number}.png", timeout=5000)
            raise
        finally:
            await context.close()

    return begin


@pytest.fixture
def picture() -> Callable[..., Awaitable[None]]:
    """``await picture(page, "list-dark")``: kept for people to look at, in `PICTURES`; *whole*: what is below, too."""

    async def take(page: Page, name: str, *, whole: bool = True) -> None:
        await page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)

    return take


@pytest.fixture
def axe() -> Callable[..., Awaitable[list[str]]]:
    """
    ``await axe(page)``: what axe-core finds wrong, each with the places; empty where everybody can use the page.

    *rules*: those alone, in a fraction of the time.
    """

    async def ask(page: Page, *rules: str) -> list[str]:
        options: dict[str, Any] = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        violations = (await Axe().run(page, options=options)).response["violations"]
        return [f"{each['id']}: {each['help']}: {[node['html'] for node in each['nodes'][:3]]}" for each in violations]

    return ask


@pytest.fixture(scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, str]]:
    """A folder, and the URL of a Redis in it, for what the tests of a file share."""
    folder = tmp_path_factory.mktemp("home")
    async with EmbeddedRedis(folder / "redis") as redis:
        yield folder, redis.url


@pytest.fixture(scope="module")
async def relay(home: tuple[Path, str], provider_in: Any, relay_in: Any) -> AsyncIterator[Any]:
    """A quick one, beside its provider, for the tests of a file; each has runs of its own."""
    folder, redis_url = home
    async with provider_in(folder / "sandbox") as provider, relay_in(folder, redis_url, provider.url) as relay:
        yield relay
