"""A headless Chromium that looks at one file, and tells what went wrong meanwhile."""
import base64
import contextlib
import json

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

TWO_FRAMES = "requestAnimationFrame(() => requestAnimationFrame(arguments[arguments.length - 1]))"


class Page:
    def __init__(self, driver):
        self.driver = driver

    def open(self, path, width, dark=False, scripts=True):
        command = self.driver.execute_cdp_cmd
        command("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700})
        command("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        command("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get("file://" + path)
        if scripts:
            self.frames()

    def frames(self):
        self.driver.execute_async_script(TWO_FRAMES)

    def ask(self, script, *words):
        return self.driver.execute_script(script, *words)

    # Errors of the console since the page was opened.
    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    # What was asked for since then; the page itself is the first.
    def requests(self):
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]

    def key(self, key, code=None, shift=False):
        for kind in ("keyDown", "keyUp"):
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": code or key, "modifiers": 8 if shift else 0,
                                                                   "text": key if len(key) == 1 and kind == "keyDown" else ""})
        self.frames()

    def mouse(self, kind, x, y, **more):
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y} | more)

    def pdf(self):
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])

    def screenshot(self, path):
        size = self.ask("return [innerWidth, Math.min(document.documentElement.scrollHeight, 12000)]")
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}})
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def browser():
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    try:
        yield Page(driver)
    finally:
        driver.quit()
