"""Take the picture of the report that the README shows.

Run it after `make demo`:

    .venv/bin/python docs/photograph_report.py [results/report.html] [docs/images/report.jpg]
"""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH = 1180
MARGIN = 24
QUALITY = 84


def main(page_path: Path, picture: Path) -> None:
    """Photograph the first screen of the page and, below it, the open player."""
    with sync_playwright() as playwright:
        installed = next(filter(None, map(shutil.which, CHROMIUM)), None)
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        page.goto(page_path.resolve().as_uri())
        page.wait_for_selector("[data-filled=ready] canvas")
        page.wait_for_timeout(500)
        first = bottom_of(page, ".tiles")
        card = bottom_of(page, "[data-filled=ready] > summary") - 70
        parts = [(0, first), (card, bottom_of(page, "[data-filled=ready] .player"))]
        shots = [photograph(page, top, bottom) for top, bottom in parts]
        browser.close()
    cv2.imwrite(str(picture), cv2.vconcat(shots), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def bottom_of(page: Page, selector: str) -> float:
    """Find where an element of the page ends, in pixels from the page's top."""
    box = page.locator(selector).first.bounding_box()
    assert box is not None, selector
    return box["y"] + box["height"]


def photograph(page: Page, top: float, bottom: float) -> np.ndarray:
    """Take the page from one height to another, and a little below."""
    clip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top + MARGIN}
    data = np.frombuffer(page.screenshot(full_page=True, clip=clip), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*(given + [Path("results/report.html"), Path("docs/images/report.jpg")][len(given) :]))
