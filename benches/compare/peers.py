"""Which programs are compared, in which versions, and where they live."""

import os
import subprocess
import sys
from pathlib import Path

#: The packages of each peer's virtual environment.
PACKAGES = {
    "duckdb": ["duckdb==2.0.1", "pyarrow==26.0.1"],
    "duckdb-1.5": ["duckdb==1.5.5", "duckdb-extension-delta==1.5.5", "duckdb-extension-ducklake==1.5.5", "duckdb-extension-tpch==1.5.5", "pyarrow==26.0.1"],
    "polars": ["polars==2.1.0", "deltalake==1.6.6", "pyarrow==26.0.1"],
    "deltalake": ["deltalake==1.6.6", "pyarrow==26.0.1"],
    "datafusion": ["datafusion==55.0.0", "deltalake==1.6.6", "pyarrow==26.0.1"],
    "sail": ["pysail==0.7.2", "pyspark-client==4.0.0", "pandas", "pyarrow"],
    "chdb": ["chdb==4.4.0"],
    "dbt": ["dbt-core==1.11.2", "dbt-duckdb==1.10.0"],
    "tools": ["tpchgen-cli==4.0.0", "duckdb==1.5.5", "duckdb-extension-tpch==1.5.5", "pyarrow==26.0.1", "deltalake==1.6.6"],
    "flight": ["adbc-driver-flightsql==1.13.0", "adbc-driver-manager==1.13.0", "pyarrow==26.0.1", "duckdb==2.0.1"],
}


def venvs() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "elt" / "compare"


def python(peer: str) -> Path:
    """The interpreter that has a peer's packages; makes its environment the first time."""
    venv, packages = venvs() / peer, PACKAGES[peer]
    note = venv / "packages"
    if not note.exists() or note.read_text() != "\n".join(packages):
        print(f"installing {', '.join(packages)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
        note.write_text("\n".join(packages))
    return venv / "bin" / "python"


def versions() -> str:
    """What is compared, in a line."""
    return ", ".join(packages[0].replace("==", " ") for peer, packages in PACKAGES.items() if peer not in ("tools", "flight"))
