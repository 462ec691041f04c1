"""The report page as people use it: opened from disk in a headless browser, played, sorted, zoomed.

Skipped where there is no Chromium; ``playwright install chromium`` brings one.
"""

import base64
import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_fixture import METHODS, FixtureSettings, write_results
from visualmic.report.page import build_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLAYER = "visualmic.players.get('chips')"


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=installed,
                args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
            )
        except sync_api.Error as error:
            pytest.skip(f"no Chromium here: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = FixtureSettings(recordings=4, duration_s=1.5, models=True)
    folder = write_results(tmp_path_factory.mktemp("browser") / "results", settings)
    build_report(folder, folder / "report.html", quiet=True)
    return folder


class Visit:
    """A page, with what it complained of and what it asked for."""

    def __init__(self, browser: "sync_api.Browser", path: Path, **options: object) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("[data-filled=ready]")

    def _console(self, message: "sync_api.ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def until(self, expression: str) -> None:
        # Playwright's own waiting needs eval, which the page's policy forbids.
        end = time.monotonic() + 10
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            self.page.wait_for_timeout(20)

    def outside(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture
def visit(browser: "sync_api.Browser", results: Path) -> Iterator[Visit]:
    visit = Visit(browser, results / "report.html", viewport={"width": 1280, "height": 900})
    yield visit
    visit.context.close()
    assert visit.complaints == []
    assert visit.outside() == []


def test_a_switch_while_it_plays_keeps_the_position(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Play chips", exact=True).click()
    visit.until(f"{PLAYER}.transport.now() > 0.15")
    sources = page.evaluate(f"{PLAYER}.transport.sources.length")
    before, after = page.evaluate(
        f"""() => {{
          const before = {PLAYER}.transport.now();
          document.querySelector('#card-chips .pick input[value=lucas-kanade]').click();
          return [before, {PLAYER}.transport.now()];
        }}"""
    )
    assert page.evaluate(f"{PLAYER}.transport.active") == "lucas-kanade"
    assert page.evaluate(f"{PLAYER}.transport.isPlaying")
    assert before <= after < before + 0.1
    # Every track plays along from one start; the switch only opens another gain.
    assert sources == len(METHODS) + 2
    visit.until(
        f"{PLAYER}.transport.sources.every(({{gain, track}}) =>"
        " (gain.gain.value > 0.05) === (track.key === 'lucas-kanade'))"
    )
    page.get_by_role("button", name="Pause chips", exact=True).click()
    held = page.evaluate(f"{PLAYER}.transport.now()")
    page.wait_for_timeout(120)
    assert page.evaluate(f"{PLAYER}.transport.now()") == held


def test_what_is_played_is_the_sound_of_the_track(visit: Visit) -> None:
    # The raised samples, at the places of the original ones, are the original ones.
    worst = visit.page.evaluate(
        f"""() => {{
          const track = {PLAYER}.tracks.find(({{key}}) => key === 'pyramid');
          const raised = visualmic.raised(track.samples, 11);
          let worst = 0;
          track.samples.forEach((value, i) => {{
            worst = Math.max(worst, Math.abs(raised[11 * i] - value));
          }});
          return worst;
        }}"""
    )
    assert worst < 1e-4


def test_samples_are_read_with_their_sign(visit: Visit) -> None:
    values = [-32768, -1, 0, 1, 255, 256, 32767]
    pcm = base64.b64encode(struct.pack("<7h", *values)).decode()
    decoded = visit.page.evaluate("pcm => [...visualmic.decode({pcm}).samples]", pcm)
    assert [round(32768 * value) for value in decoded] == values


def test_a_raised_tone_has_no_images(visit: Visit) -> None:
    level = visit.page.evaluate(
        """() => {
          const rate = 2200, factor = 11, tone = 700;
          const wave = (_, i) => Math.sin(2 * Math.PI * tone * i / rate);
          const samples = Float32Array.from({length: 4400}, wave);
          const raised = visualmic.raised(samples, factor);
          const real = raised.slice(4096, 4096 + 16384), imaginary = new Float32Array(16384);
          real.forEach((_, i) => { real[i] *= 0.5 - 0.5 * Math.cos(2 * Math.PI * i / 16384); });
          visualmic.fft(real, imaginary);
          const power = (hz) => { const k = Math.round(hz / (rate * factor) * 16384);
            return real[k] ** 2 + imaginary[k] ** 2; };
          return 10 * Math.log10(power(rate - tone) / power(tone));
        }"""
    )
    assert level < -60


def test_the_spectrogram_shows_a_tone_at_its_frequency_and_level(visit: Visit) -> None:
    place, peak = visit.page.evaluate(
        """() => {
          const rate = 2200;
          const wave = (_, i) => Math.sin(2 * Math.PI * 330 * i / rate);
          const samples = Float32Array.from({length: 2200}, wave);
          const track = {samples, rate, rms: Math.SQRT1_2, start_s: 0};
          const view = {from: 0, to: 1, low: 0, high: 1100};
          const level = visualmic.spectrogram(track, view, 40, 55, 0.09).slice(20 * 55, 21 * 55);
          const best = level.indexOf(Math.max(...level));
          return [(best + 0.5) / 55 * 1100, level[best]];
        }"""
    )
    assert place == pytest.approx(330, abs=1)
    # A tone that holds all of the sound's power is at 0 dB.
    assert peak == pytest.approx(0.0, abs=0.2)


def test_tables_sort_both_ways_and_say_so(visit: Visit) -> None:
    page = visit.page
    head = page.locator("#overview th").filter(has_text="Pearson")
    cells = f"#overview tbody tr td:nth-child({1 + head.evaluate('head => head.cellIndex')})"

    def values() -> list[str]:
        return page.locator(cells).evaluate_all("cells => cells.map(c => c.dataset.value)")

    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = [float(value) for value in values() if value]
    assert falling == sorted(falling, reverse=True)
    # The recording without a reference has no score and stays last either way.
    assert values()[-1] == ""
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(value) for value in values() if value] == falling[::-1]
    assert values()[-1] == ""


def test_the_filter_leaves_what_fits(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Find").fill("foil")
    assert page.locator("#overview tbody tr:visible").count() == 1
    assert page.locator("details.card:visible").count() == 1
    assert page.locator("#shown").inner_text() == "1 of 4 shown"
    page.get_by_label("Find").fill("")
    page.get_by_label("only with warnings").check()
    assert page.locator("details.card:visible .name").all_inner_texts() == ["foil"]
    page.get_by_label("only with warnings").uncheck()
    page.get_by_label("Role").select_option("listen")
    assert page.locator("details.card:visible .name").all_inner_texts() == ["plant"]


def test_a_drag_zooms_and_whole_comes_back(visit: Visit) -> None:
    page = visit.page
    plot = page.locator("#card-chips .plot").nth(1)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    before = page.locator("#card-chips canvas").first.screenshot()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.75 * box["height"], steps=4)
    page.mouse.up()
    view = page.evaluate(f"{PLAYER}.lanes.view")
    assert view["from"] == pytest.approx(0.25 * 1.5, abs=0.01)
    assert view["to"] == pytest.approx(0.5 * 1.5, abs=0.01)
    assert view["low"] == pytest.approx(0.25 * 1100, abs=15)
    assert view["high"] == pytest.approx(0.75 * 1100, abs=15)
    page.wait_for_timeout(80)
    assert page.locator("#card-chips canvas").first.screenshot() != before
    page.get_by_role("button", name="Whole").click()
    assert page.evaluate(f"{PLAYER}.lanes.view") == {"from": 0, "to": 1.5, "low": 0, "high": 1100}


def test_a_click_on_a_picture_goes_there(visit: Visit) -> None:
    page = visit.page
    plot = page.locator("#card-chips .plot").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 20)
    assert page.evaluate(f"{PLAYER}.transport.now()") == pytest.approx(0.75, abs=0.01)
    head = page.locator("#card-chips .playhead").bounding_box()
    assert head["x"] == pytest.approx(box["x"] + 0.5 * box["width"], abs=3)


def test_everything_works_from_the_keyboard(visit: Visit) -> None:
    page = visit.page
    lanes = page.locator("#card-chips .lanes")
    lanes.focus()
    page.keyboard.press("3")
    # The reference comes first, then the best method.
    assert page.evaluate(f"{PLAYER}.transport.active") == "pyramid-denoised"
    page.keyboard.press("+")
    view = page.evaluate(f"{PLAYER}.lanes.view")
    assert view["to"] - view["from"] == pytest.approx(0.75)
    page.keyboard.press("0")
    assert page.evaluate(f"{PLAYER}.lanes.view")["to"] == 1.5
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{PLAYER}.transport.now()") == pytest.approx(0.075)
    page.keyboard.press(" ")
    assert page.evaluate(f"{PLAYER}.transport.isPlaying")
    page.keyboard.press(" ")
    assert not page.evaluate(f"{PLAYER}.transport.isPlaying")
    # A card opens by its summary, as any disclosure does.
    page.locator("#card-foil > summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#card-foil[data-filled=ready]")


def test_another_card_stops_the_first(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Play chips", exact=True).click()
    page.get_by_role("link", name="plant", exact=True).click()
    page.wait_for_selector("#card-plant[data-filled=ready]")
    page.get_by_role("button", name="Play plant", exact=True).click()
    assert not page.evaluate(f"{PLAYER}.transport.isPlaying")
    assert page.evaluate("visualmic.players.get('plant').transport.isPlaying")


def test_each_view_is_drawn(visit: Visit) -> None:
    page = visit.page
    canvas = page.locator("#card-chips canvas").nth(1)
    seen = set()
    for mode in ("Spectrogram", "Waveform", "Difference"):
        page.locator("#card-chips .modes").get_by_text(mode).click()
        page.wait_for_timeout(80)
        seen.add(canvas.screenshot())
    assert len(seen) == 3


def test_the_sound_is_saved_as_a_wav(visit: Visit, tmp_path: Path) -> None:
    import soundfile

    page = visit.page
    page.get_by_role("radio", name="Lucas–Kanade").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the sound you hear as WAV").click()
    assert download.value.suggested_filename == "chips_lucas-kanade.wav"
    download.value.save_as(tmp_path / "saved.wav")
    samples, rate = soundfile.read(tmp_path / "saved.wav")
    assert rate == 8800
    assert samples.size / rate == pytest.approx(1.5)


def test_colours_follow_the_system_and_the_button(browser, results: Path) -> None:
    visit = Visit(browser, results / "report.html", color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = visit.page.evaluate(background)
    button = visit.page.locator("#theme")
    button.click()
    light = visit.page.evaluate(background)
    assert visit.page.evaluate("document.documentElement.dataset.theme") == "light"
    button.click()
    assert visit.page.evaluate(background) == dark != light
    assert button.get_attribute("aria-label") == "Colours: dark"
    visit.context.close()
    assert visit.complaints == []


@pytest.mark.parametrize("width", [390, 768])
def test_nothing_is_wider_than_a_phone(browser, results: Path, width: int) -> None:
    visit = Visit(browser, results / "report.html", viewport={"width": width, "height": 844})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    plot = visit.page.locator("#card-chips .plot").first
    before = plot.bounding_box()["width"]
    visit.page.set_viewport_size({"width": width + 100, "height": 844})
    visit.page.wait_for_timeout(80)
    assert plot.bounding_box()["width"] > before
    # The picture is drawn anew for its new width.
    ratio = plot.locator("canvas").evaluate(
        "c => c.width / c.clientWidth / Math.min(2, devicePixelRatio)"
    )
    assert ratio == pytest.approx(1.0, abs=0.01)
    visit.context.close()
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_accessibility_rules_pass(browser, results: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not here")
    visit = Visit(browser, results / "report.html", color_scheme=scheme)
    visit.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    visit.until("document.querySelectorAll('[data-filled=ready]').length === 4")
    found = axe.Axe().run(visit.page)
    visit.context.close()
    assert found.violations_count == 0, found.generate_report()


def test_a_folder_page_loads_each_card_when_it_is_opened(browser, results: Path) -> None:
    output = results / "folder.html"
    build_report(results, output, one_file_bytes=10_000, quiet=True)
    visit = Visit(browser, output)
    loaded = [url for url in visit.requests if url.endswith(".js")]
    assert len(loaded) == 1
    visit.page.locator("#card-foil > summary").click()
    visit.page.wait_for_selector("#card-foil[data-filled=ready]")
    assert len([url for url in visit.requests if url.endswith(".js")]) == 2
    assert visit.outside() == []
    assert visit.complaints == []
    for path in (results / "folder_files").glob("plant*.js"):
        path.unlink()
    visit.page.locator("#card-plant > summary").click()
    visit.page.get_by_text("keep it beside this page").first.wait_for()
    visit.context.close()


def test_a_link_to_a_recording_opens_it(browser, results: Path) -> None:
    visit = Visit(browser, results / "report.html")
    visit.page.goto((results / "report.html").as_uri() + "#card-foil")
    visit.page.reload()
    visit.page.wait_for_selector("#card-foil[data-filled=ready]")
    visit.context.close()
    assert visit.complaints == []
