"""Opens the site, clicks and types through it, and looks at what is there.

    docs_site.py ELT PROJECT BROWSER FOLDER_OF_PICTURES

Called by `docs.py`. Ends with the first thing that is not as it should be; a word in the browser's console, an error of a
script or a request for anything but the site's own files is one.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 800}
BIG = 10_000
TRICKY = "What **it** is. <img src=x onerror=\"window.had=1\"><script>window.had=1</script> [x](javascript:window.had=1) ![far](https://example.com/a.png)"
checks = 0


def check(what: str, is_so: object, shown: object = "") -> None:
    """Counts a promise, or ends the run."""
    global checks
    checks += 1
    if not is_so:
        sys.exit(f"NOT SO: {what}\n{shown}")


class Site:
    """The site in a window of its own, in one theme."""

    def __init__(self, browser: Browser, address: str, shots: Path, theme: str = "light", size: dict = WIDE) -> None:
        self.address, self.shots, self.theme = address, shots, theme
        self.context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce", offline=address.startswith("file:"))
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda said: self.wrong.append(f"console: {said.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}\n{error.stack}"))
        self.page.on("request", self.asked)
        self.page.set_default_timeout(8000)

    def asked(self, request) -> None:
        """Nothing is asked for but the page and what lies beside it."""
        base = self.address.rsplit("/", 1)[0]
        if not request.url.startswith((base, "data:")):
            self.wrong.append(f"request: {request.url}")

    def go(self, place: str = "#/") -> "Site":
        """Opens a place of the site, as by a link that was kept."""
        self.page.goto("about:blank")
        self.page.goto(self.address + place)
        self.page.wait_for_selector(".page")
        return self

    def until(self, what: str) -> None:
        """Waits until something is so in the page, whose policy lets nobody else look."""
        for _ in range(200):
            if self.page.evaluate(f"Boolean({what})"):
                return
            self.page.wait_for_timeout(40)
        sys.exit(f"never so: {what}")

    def comes(self, what: str, title: str) -> None:
        """A page of that title is shown, in a moment."""
        for _ in range(100):
            if self.page.locator("h1").count() and self.text("h1") == title:
                break
            self.page.wait_for_timeout(40)
        check(what, self.page.locator("h1").count() and self.text("h1") == title, f"{title}: {self.page.url}")

    def text(self, selector: str) -> str:
        """What stands there."""
        return self.page.inner_text(selector)

    def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
        self.page.wait_for_timeout(60)

    def shot(self, name: str) -> None:
        """A picture, for people."""
        self.page.wait_for_timeout(120)
        self.page.screenshot(path=self.shots / f"{name}-{self.theme}.png")

    def barriers(self, where: str) -> None:
        """Nothing keeps those out who do not see, or use no mouse."""
        found = [one for one in Axe().run(self.page).response["violations"] if one["impact"] in ("serious", "critical")]
        told = [f"{one['id']}: {one['help']}: " + "; ".join(node["html"][:160] for node in one["nodes"][:3]) for one in found]
        check(f"no barriers in {where} ({self.theme})", not found, "\n".join(told))

    def end(self) -> None:
        """Nothing went wrong meanwhile."""
        check(f"nothing goes wrong ({self.theme}, {self.address.split(':')[0]})", not self.wrong, "\n".join(self.wrong[:5]))
        self.context.close()


def generate(elt: Path, project: Path, folder: Path) -> Path:
    """A copy of the bundled project, built twice and documented; gives the target path."""
    for name in ("dbt_project.yml", "models", "sql", "tests/data"):
        copy = shutil.copytree if (project / name).is_dir() else shutil.copy
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy(project / name, folder / name)
    (folder / "models/tricky.sql").write_text("select 1 as one")
    (folder / "models/tricky.yml").write_text(json.dumps({
        "models": [{"name": "tricky", "description": TRICKY}],
        "exposures": [{"name": "punctuality", "type": "dashboard", "owner": {"name": "Ann"}, "depends_on": ["ref('carrier_months')"]}],
    }))
    for arguments in (["build"], ["build", "--full"], ["docs", "generate", "--static"]):
        done = subprocess.run([elt, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        check(f"elt {' '.join(arguments)}", done.returncode == 0, done.stderr)
    return folder / ".elt/target"


def reading(site: Site) -> None:
    """The overview, and a node from its name to its history."""
    page = site.go().page
    site.comes("the overview has the project's name", "nycflights")
    check("and how its tests ended", "passed" in site.text(".page") and "What does not pass" in site.text(".page"))
    site.shot("overview")
    site.barriers("the overview")
    site.press("/")
    page.keyboard.type("punctuality rank")
    page.wait_for_selector(".hit")
    check("a column is found", "carrier_months" in site.text(".sheet-list"), site.text(".sheet-list"))
    site.shot("search")
    site.barriers("search")
    page.fill(".sheet-seek input", "fct flihgts")  # a slip of the pen
    page.wait_for_selector(".hit")
    site.press("Enter")
    site.comes("Enter opens what was found", "fct_flights")
    check("it has a description and columns", "scheduled departure" in site.text(".page") and "flight_id" in site.text(".page"))
    check("and facts", "80,789" in site.text(".page"), site.text(".page"))
    site.shot("node")
    site.barriers("a node")
    site.press("]")
    page.wait_for_selector(".code .token.keyword")
    check("SQL has colours, and Jinja others", page.locator(".token.jinja").count() > 3)
    page.click(".code a >> text=stg_flights")
    site.comes("what it refers to is a link", "stg_flights")
    page.go_back()
    site.comes("and back", "fct_flights")
    page.click("text=Compiled")
    check("the compiled SQL is there", "main.stg_flights" in site.text(".code-text"), site.text(".code-text"))
    site.shot("code")
    site.press("]")
    page.wait_for_selector("td .type")
    check("a column's origin is told", "stg_flights.carrier" in site.text(".page"), site.text(".page"))
    site.shot("columns")
    site.go("#/node/model.nycflights.fct_flights/tests")
    check("tests have results", "passed" in site.text(".page") and "unique" in site.text(".page"))
    site.shot("tests-of-a-node")
    site.go("#/node/model.nycflights.carrier_months/history")
    page.wait_for_selector(".u-over")
    check("versions are told", page.locator(".scroll tbody tr").count() == 2, site.text(".page"))
    site.shot("history")
    site.go("#/node/model.nycflights.fct_flights/runs")
    page.wait_for_selector(".u-over")
    check("runs are told", page.locator(".scroll tbody tr").count() == 2, site.text(".page"))
    site.shot("runs-of-a-node")
    site.go("#/node/model.nycflights.tricky")
    check("Markdown is set", page.locator(".words strong").inner_text() == "it")
    check("and can do nothing", not page.evaluate("window.had") and page.locator(".words img, .words script").count() == 0)
    check("its links are none that run", page.locator(".words a[href^=javascript]").count() == 0)


def lineage(site: Site) -> None:
    """The graph: whole, around a node, down to a column; by mouse and by keys."""
    page = site.go("#/lineage").page
    site.until("window.elt.graph")
    nodes = page.evaluate("elt.graph.nodes")
    check("the whole graph is drawn", nodes > 15, nodes)
    site.shot("lineage")
    site.barriers("lineage")
    page.focus(".graph canvas.main")
    site.press("ArrowRight", "ArrowRight")
    check("arrows choose a node", page.locator(".graph-side").count() == 1)
    chosen = site.text(".graph-side header a")
    site.press("f")
    page.wait_for_timeout(200)
    site.until("location.hash.includes('focus=')")
    check("f looks at its neighbours", "focus=" in page.url and page.evaluate("elt.graph.nodes") < nodes, page.url)
    site.press("Enter")
    site.comes("Enter opens it", chosen)
    site.go("#/lineage?focus=model.nycflights.fct_flights&columns=1")
    site.shot("neighbours")
    page.click("[aria-label='more upstream']")
    site.until("location.hash.includes('up=3')")
    check("depth is kept in the address", "up=3" in page.url, page.url)
    site.go("#/node/model.nycflights.carrier_months/columns")
    page.click("text=on_time_share")
    site.until("window.elt.graph && location.hash.includes('lineage')")
    site.shot("column")
    check("a column is followed to its source", page.evaluate("elt.graph.nodes") == 4, page.evaluate("elt.graph.nodes"))
    page.focus(".graph canvas.main")
    site.press("Escape")
    check("Esc lets go of it", "column" not in page.url, page.url)
    site.go("#/node/model.nycflights.stg_flights/lineage")
    site.until("window.elt.graph")
    site.shot("lineage-of-a-node")
    box = page.locator(".graph canvas.main").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 90, steps=5)
    page.mouse.up()


def happening(site: Site) -> None:
    """Runs, one run, tests, releases."""
    page = site.go("#/runs").page
    check("the grid has models and runs", page.locator(".grid-row").count() > 8 and page.locator(".grid-bar").count() == 2)
    site.shot("runs")
    site.barriers("runs")
    page.get_by_label("Only what failed or warned").check()
    page.get_by_label("Tests").check()
    check("it can be narrowed", 0 < page.locator(".grid-row").count() < 20, page.locator(".grid-row").count())
    page.locator(".grid-bar").last.click()
    page.wait_for_selector(".gantt")
    check("a run has its steps", "Steps" in site.text(".page") and page.locator(".gantt .track").count() > 5)
    site.shot("run")
    site.barriers("a run")
    site.press("g", "t")
    site.comes("g t goes to tests", "Tests")
    page.click("role=tab[name^='Warned']")
    site.until("location.hash.includes('warn')")
    page.wait_for_timeout(60)
    check("tests that warned", page.locator(".scroll tbody tr").count() == 7, page.locator("tbody tr").count())
    site.shot("tests")
    site.press("g", "e")
    site.comes("g e goes to releases", "Releases")
    check("releases", "what readers see" in site.text(".page"))
    site.shot("releases")
    site.barriers("releases")
    for kind in ("model", "source", "exposure", "macro"):
        site.go(f"#/list/kind/{kind}")
        check(f"a list of kind {kind}", page.locator(".scroll tbody tr").count() > 0)
    site.shot("list")


def keys(site: Site) -> None:
    """Without a mouse."""
    page = site.go().page
    site.press("j", "j", "j", "Enter", "j", "Enter")
    check("j and Enter go through the tree", page.locator(".tree-row.at").count() == 1)
    for _ in range(12):
        site.press("j", "o")
        if "#/node/" in page.url:
            break
    check("o opens a node", page.url.count("#/node/") == 1, page.url)
    site.press("?")
    check("? tells the keys", "in the graph" in site.text("[role=dialog]"))
    site.shot("keys")
    site.press("Escape")
    check("Esc closes it", page.locator("[role=dialog]").count() == 0)
    before = page.evaluate("document.documentElement.dataset.theme")
    site.press("d")
    check("d turns the lights", page.evaluate("document.documentElement.dataset.theme") != before)
    site.press("d")
    where = page.url
    page.reload()
    check("an address leads back", page.url == where and page.locator("h1").count() == 1)
    site.go("#/node/model.nycflights.nothing")
    check("what is not there is said", "Not here" in site.text(".page"))


def narrow(site: Site) -> None:
    """On a telephone."""
    for place, name in (("#/", "overview"), ("#/node/model.nycflights.fct_flights", "node"), ("#/lineage", "lineage"), ("#/runs", "runs")):
        page = site.go(place).page
        wide = page.evaluate("document.documentElement.scrollWidth")
        check(f"{name} fits a narrow window", wide <= NARROW["width"], wide)
        site.shot(f"narrow-{name}")
    page.click("[aria-label=Tree]")
    check("the tree comes when it is called", page.locator(".side.shown").count() == 1)


def alone(site: Site) -> None:
    """One file, and nothing beside it."""
    page = site.go("#/node/model.nycflights.fct_flights/code").page
    page.wait_for_selector(".code .token.keyword")
    check("static_index.html has its SQL in itself", "is_incremental" in site.text(".code-text"))


def big(site: Site) -> None:
    """Many nodes; says how long things take."""
    begun = time.monotonic()
    page = site.go("#/").page
    page.wait_for_selector("h1")
    opened = time.monotonic() - begun
    begun = time.monotonic()
    page.click("text=Lineage")
    site.until("window.elt.graph")
    drawn = time.monotonic() - begun
    graph = page.evaluate("elt.graph")
    check("every node is in the graph", graph["nodes"] == BIG, graph)
    site.shot("big-lineage")
    frames = page.evaluate(
        """() => new Promise((done) => {
            const canvas = document.querySelector(".graph canvas.main");
            const box = canvas.getBoundingClientRect();
            const times = [];
            let last = performance.now(), left = 40;
            const step = (now) => {
                times.push(now - last);
                last = now;
                if (!left--) return done(times.slice(1).sort((a, b) => a - b));
                canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: left > 20 ? -60 : 60, clientX: box.x + 500, clientY: box.y + 300, cancelable: true }));
                requestAnimationFrame(step);
            };
            requestAnimationFrame(step);
        })"""
    )
    page.wait_for_timeout(300)
    page.locator(".graph canvas.main").click(position={"x": 240, "y": 300})
    begun = time.monotonic()
    site.press("/")
    page.keyboard.type("orders_77")
    page.wait_for_selector(".hit")
    found = time.monotonic() - begun
    site.shot("big-search")
    site.press("Enter")
    site.press("g", "r")
    page.wait_for_selector(".grid-row")
    check("only rows in sight are there", page.locator(".grid-row").count() < 120)
    site.shot("big-runs")
    layout = page.evaluate("elt.layoutTime")
    print(
        f"{BIG:,} nodes, {graph['edges']:,} edges: opened in {opened:.2f} s, lineage in {drawn:.2f} s (layout {layout / 1000:.2f} s, "
        f"drawing {graph['drawn'] / 1000:.3f} s), a frame of zooming {frames[len(frames) // 2]:.0f} ms in the middle and "
        f"{frames[-2]:.0f} ms at worst, first search {found:.2f} s",
        flush=True,
    )


def many(target: Path, folder: Path) -> Path:
    """The page with the data of a project that is made up: so many nodes in twelve layers, and forty runs."""
    chance, layers = random.Random(7), 12
    (folder / "docs").mkdir(parents=True)
    shutil.copy(target / "index.html", folder)
    nodes = []
    for at in range(BIG):
        layer = at * layers // BIG
        low, high = max(0, (layer - 1) * BIG // layers), layer * BIG // layers
        parents = [chance.randrange(low, high) for _ in range(chance.choice([1, 1, 2, 2, 3]))] if layer else []
        name = f"{('src', 'stg', 'int', 'fct', 'dim', 'rpt')[layer % 6]}_{chance.choice(['orders', 'people', 'events', 'stock'])}_{at}"
        nodes.append({
            "id": f"model.big.{name}", "kind": "model" if layer else "source", "name": name, "package": "big", "source_name": "raw",
            "path": f"models/layer_{layer}/{name}.sql", "description": f"What {name} holds.", "parents": sorted(set(parents)),
            "relation": f"main.{name}", "made": "table", "columns": [["id", "BIGINT", "Its key."], ["amount", "DECIMAL(18,2)"]],
        })
    runs = []
    for number in range(40):
        ran = [at for at in range(BIG) if chance.random() < 0.2]
        status = lambda: chance.choices(["success", "error", "skipped"], [97, 1, 2])[0]  # noqa: E731
        steps = [[at, status(), round(chance.expovariate(1), 3), round(chance.random() * 60, 2)] for at in ran]
        runs.append({"id": f"run-{number}", "command": "build", "at": f"2026-01-{28 - number % 28:02}T0{number % 10}:00:00Z", "took": 60 + number, "user": "ci", "release": 40 - number, "unchanged": 0, "gone": 0, "steps": steps})
    about = {"project": "big", "at": "2026-02-01T00:00:00Z", "elt": "0", "dbt": "1", "target": "prod", "release": 40, "runs": 40, "overview": None}
    document = {"format": 1, "about": about, "nodes": nodes, "runs": runs, "releases": []}
    (folder / "docs/data.js").write_text(f"window.elt_docs = {json.dumps(document)};")
    return folder


def served(elt: Path, folder: Path, browser: Browser, shots: Path) -> None:
    """By `elt docs serve`."""
    command = [elt, "docs", "serve", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        address = server.stderr.readline().split()[-1]
        site = Site(browser, f"{address}/", shots)
        site.go("#/node/model.nycflights.fct_flights/code").page.wait_for_selector(".code .token.keyword")
        site.comes("the site is served", "fct_flights")
        site.end()
        server.terminate()
        check("and stops when it is told", server.wait(10) == 0, server.returncode)


def main() -> int:
    """All of it."""
    elt, project, program, shots = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        target = generate(elt, project, Path(scratch) / "project")
        # Root has no sandbox to put pages into.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        address = (target / "index.html").as_uri()
        for theme in ("light", "dark"):
            site = Site(browser, address, shots, theme)
            for part in (reading, lineage, happening, keys):
                part(site)
            site.end()
        site = Site(browser, address, shots, size=NARROW)
        narrow(site)
        site.end()
        elsewhere = Path(scratch) / "alone"
        elsewhere.mkdir()
        shutil.copy(target / "static_index.html", elsewhere)
        site = Site(browser, (elsewhere / "static_index.html").as_uri(), shots)
        alone(site)
        site.end()
        site = Site(browser, (many(target, Path(scratch) / "big") / "index.html").as_uri(), shots)
        big(site)
        site.end()
        served(elt, Path(scratch) / "project", browser, shots)
        version = browser.version
        browser.close()
    print(f"docs: {checks} checks in Chromium {version}; pictures are in {shots}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
