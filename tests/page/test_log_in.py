"""The way in."""

from typing import Any

import pytest
from playwright.async_api import expect

from framerelay.receiver.door.sessions import Sessions

pytestmark = pytest.mark.anyio

KEY = "fr_test"


async def test_a_person_logs_in_with_the_key(relay: Any, visit: Any, picture: Any) -> None:
    """The list asks for the key, and comes once that is given; the key itself is in no address and no storage."""
    async with visit(relay, logged_in=False) as person:
        person.expects("status of 401")
        page = await person.open("/")
        await picture(page, "log-in")
        await page.get_by_label("key").fill(KEY)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
        storage = await page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")

        assert page.url == f"{person.url}/"
        assert KEY not in storage


async def test_a_wrong_key_is_answered_with_a_sentence(relay: Any, visit: Any, picture: Any) -> None:
    """The form comes again, says so where a screen reader hears it, and takes the right key."""
    async with visit(relay, logged_in=False) as person:
        person.expects("status of 401")
        page = await person.open("/login")
        await page.get_by_label("key").fill("fr_wrong")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_contain_text("key")
        await picture(page, "wrong-key")
        await page.get_by_label("key").fill(KEY)
        await page.get_by_role("button", name="Log in").click()

        await expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()


async def test_the_requested_run_is_shown_after_the_log_in(relay: Any, visit: Any) -> None:
    """A link from a message leads to the run, not to the list."""
    run_id = await relay.run({"model": "seedance-1.5-pro-1080p", "title": "linked", "shots": [{"prompt": "a car"}]})
    async with visit(relay, logged_in=False) as person:
        person.expects("status of 401")
        page = await person.open(f"/runs/{run_id}")
        await page.get_by_label("key").fill(KEY)
        await page.get_by_role("button", name="Log in").click()

        await expect(page.get_by_role("heading", level=1, name="linked")).to_be_visible()


async def test_the_link_of_the_demo_lets_in_once(relay: Any, visit: Any) -> None:
    """Nobody types the demo's key; someone who finds the link in a history later gets the form and an explanation."""
    link = f"/login?once={Sessions('only for tests', secure=False).invite()}"
    async with visit(relay, logged_in=False) as person, visit(relay, logged_in=False) as another:
        another.expects("status of 401")
        page = await person.open(link)
        await expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
        again = await another.open(link)

        await expect(again.get_by_role("alert")).to_contain_text("used already")
        await expect(again.get_by_label("key")).to_be_visible()
        assert page.url == f"{person.url}/"
