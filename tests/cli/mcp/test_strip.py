"""The film strip: bounded, however long the film, and whole, whatever a picture is."""

import io

from PIL import Image

from framerelay.api import shapes
from framerelay.cli.mcp.strip import Thumbnails, draw_strip
from tests.api.example_shapes import a_run, a_shot, a_take


def shot(number: int, status: str, *, scene: str = "a") -> shapes.Shot:
    """A shot with both frames if it is done."""
    frame = {"url": f"http://x/media/{number}.png", "sha256": str(number), "width": 1920, "height": 1080}
    takes = [a_take("done", opening=frame, last_frame=frame)] if status == "done" else []
    return a_shot(f"s{number}", status, *takes, scene=scene, picked=1 if takes else None)


def png(width: int = 320, height: int = 180) -> bytes:
    """A red picture."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(file, "PNG")
    return file.getvalue()


def test_a_long_film_shows_the_shots_around_the_first_that_is_open() -> None:
    """Twelve of two hundred, in a picture of a bounded size even if each has a scene of its own."""
    shots = [shot(number, "done" if number < 100 else "pending", scene=f"scene{number}") for number in range(200)]
    strip = draw_strip(a_run("running", *shots), lambda _: png(), Thumbnails())

    assert strip.shots == tuple(f"s{number}" for number in range(94, 106))
    assert strip.frames == 12
    assert Image.open(io.BytesIO(strip.png)).size == (1204, 1548)


def test_a_picture_that_cannot_be_fetched_leaves_an_empty_box_and_is_requested_again() -> None:
    """Gone, broken, or no picture at all: the strip is there, without it; next time it may be."""
    run = a_run("running", shot(1, "done"))
    thumbnails = Thumbnails()
    for content in (None, b"", b"<html>", png()[:60]):
        assert draw_strip(run, lambda _, content=content: content, thumbnails).frames == 0
    assert draw_strip(run, lambda _: png(), thumbnails).frames == 2
    assert draw_strip(run, lambda _: None, thumbnails).frames == 2
