#!/usr/bin/env python3
"""Is the site of `elt docs generate` all that it should be, in a real browser?

    cargo build --release
    python3 tests/interop/docs.py --elt "${CARGO_TARGET_DIR:-target}/release/elt" --shots /tmp/shots

Finds Chromium, or installs Debian's, makes a virtual environment with the pinned packages, once, and starts `docs_site.py`.
Where no browser can be had it says so loudly, and does without.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from run import HERE, packages_of

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> int:
    """Finds a browser, and has the site looked at."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "elt"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--elt", type=Path, required=True, help="the program")
    parser.add_argument("--project", type=Path, default=HERE.parents[1], help="the bundled project")
    parser.add_argument("--shots", type=Path, default=cache / "docs-shots", help="where pictures go")
    arguments = parser.parse_args()
    browser = os.environ.get("ELT_BROWSER") or found() or installed()
    if browser is None:
        print("=" * 80)
        print("No Chromium is here, and none can be installed: THE SITE IS NOT LOOKED AT")
        print("=" * 80, flush=True)
        return 0
    python = packages_of(cache / "docs-venv", "requirements-docs.txt")
    arguments.shots.mkdir(parents=True, exist_ok=True)
    command = [python, "-B", HERE / "docs_site.py", arguments.elt.resolve(), arguments.project.resolve(), browser, arguments.shots]
    return subprocess.run(command, check=False).returncode


def found() -> str | None:
    """A Chromium that is here."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def installed() -> str | None:
    """Debian's Chromium, if this is Debian and its packages may be installed."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return None
    print("installing chromium", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "check": False}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    subprocess.run(["apt-get", "install", "-yqq", "--no-install-recommends", "chromium", "fonts-dejavu-core"], **quiet)
    return found()


if __name__ == "__main__":
    sys.exit(main())
