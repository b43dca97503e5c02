"""
What others do with a clip that has been downloaded: three commands that people paste, and three libraries.

    python last_frame_peers.py LIBRARY

run by the Python of ``.venv/bench``, reads lines ``CLIP<tab>PNG`` and answers each with the milliseconds it took: a
library is warm, as in a worker, while a command starts again each time.
"""

import sys
import time
from collections.abc import Callable

FRAMES = 121
COMMANDS = {
    "ffmpeg -sseof -1 -update 1": ["-sseof", "-1", "-i", "{clip}", "-update", "1", "{png}"],
    "ffmpeg -sseof -0.1 -update 1": ["-sseof", "-0.1", "-i", "{clip}", "-update", "1", "{png}"],
    "ffmpeg -vf select (number known)": ["-i", "{clip}", "-vf", "select=eq(n\\,{last})", "-frames:v", "1", "{png}"],
}


def use_pyav(clip: str, png: str) -> None:
    """Decode everything and keep the last frame."""
    import av

    with av.open(clip) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            last = frame
    last.to_image().save(png)


def use_opencv(clip: str, png: str) -> None:
    """Jump to the last frame by its number."""
    import cv2

    capture = cv2.VideoCapture(clip)
    capture.set(cv2.CAP_PROP_POS_FRAMES, capture.get(cv2.CAP_PROP_FRAME_COUNT) - 1)
    is_there, frame = capture.read()
    capture.release()
    if is_there:
        cv2.imwrite(png, frame)


def use_moviepy(clip: str, png: str) -> None:
    """The frame before the end."""
    from moviepy import VideoFileClip

    with VideoFileClip(clip) as video:
        video.save_frame(png, t=video.duration - 1 / video.fps)


LIBRARIES: dict[str, Callable[[str, str], None]] = {
    "PyAV, full decode": use_pyav,
    "OpenCV": use_opencv,
    "moviepy": use_moviepy,
}


def main() -> None:
    """Answer until there are no more lines."""
    use = LIBRARIES[sys.argv[1]]
    for line in sys.stdin:
        clip, png = line.rstrip("\n").split("\t")
        began = time.perf_counter()
        use(clip, png)
        print((time.perf_counter() - began) * 1000, flush=True)


if __name__ == "__main__":
    main()
