"""`python -m tests.report.screenshots FOLDER`: take the README's pictures of a report, over a made-up month, in Chromium."""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from localguard.report.figures import Scope
from localguard.report.page import page
from localguard.report.reading import read
from tests.report.made_log import told, write

WIDTH, HEIGHT = 1100, 1330


def main(folder: Path) -> None:
    """Write `report-light.png` and `report-dark.png`."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        log, file = Path(name) / "audit.db", Path(name) / "report.html"
        write(log, told(3000))
        scope = Scope("2026-03-01T00:00:00", "2026-03-31T00:00:00Z")
        file.write_text(page(read(log, scope, version="", made="2026-03-31T00:00:00Z")), "utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            tab.goto(file.as_uri())
            tab.locator("#left").evaluate("section => window.scrollTo(0, 0)")
            bottom = tab.locator("#left .figure").bounding_box()
            height = round(bottom["y"] + bottom["height"] + 16) if bottom else HEIGHT
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": height}
            taken = Image.open(io.BytesIO(tab.screenshot(full_page=True, clip=clip)))  # type: ignore[arg-type]
            taken.convert("RGB").quantize(64).save(folder / f"report-{scheme}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
