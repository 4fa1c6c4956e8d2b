#!/usr/bin/env python3
"""Does the shell behave at a terminal?

    python3 tests/interop/terminal.py target/release/elt

Types into a shell on a pseudo-terminal, and looks at the screen as a terminal would show it. Called by `run.py`.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte

PATIENCE = 30.0  # a debug build on a busy machine
checks = 0


class Shell:
    """A shell on a terminal of its own, and the screen of that terminal."""

    def __init__(self, elt: Path, folder: Path, columns: int = 80, lines: int = 24, **env: str) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=2000)
        self.stream = pyte.ByteStream(self.screen)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            own = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm", "PAGER": "cat", "NO_COLOR": "1"}
            os.execve(elt, [str(elt)], own | env)
        self.size(columns, lines)
        self.see("release 1>")

    def size(self, columns: int, lines: int) -> None:
        """The window is drawn to another size."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def read(self, seconds: float) -> bool:
        """Takes in what the shell writes; says whether it wrote anything."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            self.stream.feed(os.read(self.fd, 65536))
        except OSError:
            return False
        return True

    def shown(self) -> str:
        """The screen, and what has left it at the top."""
        above = ["".join(line[x].data for x in sorted(line)).rstrip() for line in self.screen.history.top]
        return "\n".join(above + [line.rstrip() for line in self.screen.display]).rstrip()

    def type(self, text: str) -> None:
        """Keys, as they are pressed."""
        os.write(self.fd, text.encode())

    def see(self, wanted: str, since: str = "") -> str:
        """Waits until something stands on the screen, below what stood there before."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            shown = self.shown()
            if wanted in shown[len(since):] if shown.startswith(since) else wanted in shown:
                while self.read(0.05):
                    pass
                return self.shown()
            self.read(0.2)
        sys.exit(f"{wanted!r} is not on the screen:\n{self.shown()}")

    def enter(self, text: str, wanted: str, then: str = "> ") -> str:
        """A line, what comes of it, and the next prompt."""
        before = self.shown()
        self.type(text + "\r")
        self.see(wanted, before)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            last = self.screen.display[self.screen.cursor.y]
            if then in last and self.screen.cursor.x >= last.index(then):
                return self.shown()
            self.read(0.1)
        sys.exit(f"the prompt does not come back:\n{self.shown()}")

    def clear(self) -> None:
        """Ctrl-C at the prompt, and the next prompt."""
        self.type("\x03")
        time.sleep(0.3)
        while self.read(0.2):
            pass

    def leave(self) -> int:
        """Ctrl-D, and the exit code."""
        self.type("\x04")
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self.read(0.1)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        sys.exit("Ctrl-D does not end the shell")


def check(what: str, is_so: bool, shown: str = "") -> None:
    """Counts a promise, or ends the run."""
    global checks
    checks += 1
    if not is_so:
        sys.exit(f"NOT SO: {what}\n{shown}")


def project(elt: Path, folder: Path) -> Path:
    """A small project, built once."""
    subprocess.run([elt, "init", "shop"], cwd=folder, check=True, capture_output=True)
    shop = folder / "shop"
    subprocess.run([elt, "build"], cwd=shop, check=True, capture_output=True)
    return shop


def typing(elt: Path, shop: Path) -> None:
    """Lines, their end, their correction."""
    shell = Shell(elt, shop)
    check("the prompt names the lake and its release", "shop@release 1>" in shell.shown(), shell.shown())
    shown = shell.enter("select 40 + 2 as answer;", "1 row")
    check("a box with names and types", "│ answer │" in shown and "│     42 │" in shown, shown)
    shell.type("select 1 as one,\r")
    shell.type("  'a;b' as two")
    shell.type("\x1b[A" + "\x05" + " 7 as more,")  # up into the first line, to its end
    shell.type("\x1b[B" + "\x05")
    shown = shell.enter(";", "1 row")
    check("a statement of two lines is edited as one", "more │ two" in shown, shown)
    shown = shell.enter("selct 1;", "here")
    check("a mistake has a mark under its word", "──┬──" in shown, shown)
    shell.type("select 'unfinished")
    shell.clear()
    shown = shell.enter("select 2 as two;", "  two │")
    check("Ctrl-C clears the line", "│      2 │" in shown, shown)
    shell.type("\x1b[200~select 3 as a;\nselect 4 as b;\n\x1b[201~\r")
    shown = shell.see("      4 │")
    check("what is pasted is run as it stands", "      3 │" in shown, shown)
    shell.type("\x12" + "answer")  # Ctrl-R
    shell.see("answer")
    shown = shell.enter("", "│     42 │")
    check("the history is searched", shown.count("│     42 │") == 2, shown)
    check("Ctrl-D leaves with 0", shell.leave() == 0)
    shell = Shell(elt, shop, EDITOR="sed -i s/1/41/", VISUAL="")
    shown = shell.enter("select 1 as one \\e", "│     41 │")
    check("what is being typed goes to the editor, and is run", "one" in shown, shown)
    shell.type("select 2,\r 1 as two\r")
    shown = shell.enter("\\e", "│     41 │")
    check("also from below it", "two" in shown, shown)
    check("Ctrl-D leaves with 0", shell.leave() == 0)


def completing(elt: Path, shop: Path) -> None:
    """Tab."""
    shell = Shell(elt, shop)
    shell.type("select * from dai\t")
    shown = shell.see("from daily_sales")
    shell.type(" d where d.am\t")
    shown = shell.see("d.amount")
    shown = shell.enter(" > 0;", "rows")
    check("a table and a column are completed", "daily_sales d where d.amount > 0" in shown, shown)
    shell.type("with big as (select amount as money from daily_sales) select b.mo\t from big b;")
    shell.type("\x01" + "\x1b[C" * 63 + "\t")
    shell.type("\x05\r")
    shell.see("money")
    shell.type("from '")
    shell.type("inb\t")
    shown = shell.see("'inbox/")
    check("a path is completed in quotes", "from 'inbox/" in shown, shown)
    shell.clear()
    shell.type("\\hi\t")
    shell.see("\\history")
    shell.clear()
    check("it leaves", shell.leave() == 0)


def cancelling(elt: Path, shop: Path) -> None:
    """Ctrl-C."""
    shell = Shell(elt, shop)
    shell.type("select count(*) from range(0, 3000000) a, range(0, 3000000) b where a.value + b.value = 1;\r")
    shown = shell.see("rows read")  # the progress line, after two seconds
    begun = time.monotonic()
    shell.type("\x03")
    shell.see("cancelled")
    took = time.monotonic() - begun
    check(f"Ctrl-C cancels within a blink: {took:.2f} s", took < 2.0, shown)
    shown = shell.enter("select 5 as five;", "      5 │")
    check("the shell goes on", "five" in shown, shown)
    check("it leaves", shell.leave() == 0)


def paging(elt: Path, shop: Path) -> None:
    """More than the screen holds."""
    shell = Shell(elt, shop, PAGER="", ELT_PAGER="sed 's/^/P:/'")
    shown = shell.enter("select value from range(0, 3);", "3 rows")
    check("what fits is not paged", "P:" not in shown, shown)
    shown = shell.enter("select value from range(0, 100);", "P:100 rows (first 40 shown)")
    check("what does not goes to the pager", "P:│" in shown, shown)
    shell.enter("\\pager off", "pager: off")
    before = shell.shown()
    shell.type("select value from range(0, 101);\r")
    shown = shell.see("101 rows (first 40 shown)", before)
    check("the pager can be switched off", "P:101" not in shown, shown)
    check("it leaves", shell.leave() == 0)
    own = Shell(elt, shop, PATH="/nowhere", ELT_PAGER="")
    own.enter("\\pager on", "pager: on, with Enter")
    shown = own.enter("select value from range(0, 100);", "-- more", "-- more")
    check("without a program Enter shows more", "100 rows" not in shown, shown)
    shown = own.enter("q", "release 1>")
    check("and q ends it", "100 rows (" not in shown, shown)
    check("it leaves", own.leave() == 0)


def resizing(elt: Path, shop: Path) -> None:
    """Narrow and wide."""
    shell = Shell(elt, shop)
    query = "select 'a name that is rather long' as a, 'and another of them' as b, 'c' as c;"
    shown = shell.enter(query, "1 row")
    check("80 columns are enough", "a name that is rather long" in shown.split("1 row")[0].split("c;")[-1], shown)
    shell.size(40, 24)
    shown = shell.enter(query, "1 row")
    narrow = shown.rsplit("┌", 1)[1]
    check("40 columns shorten texts", "…" in narrow and max(map(len, narrow.split("\n"))) <= 40, shown)
    shell.enter("\\x auto", "too wide")
    shown = shell.enter(query, "[ row 1 ]")
    check("\\x auto makes lines of what is too wide", "a │ a name that is rather long" in shown, shown)
    check("it leaves", shell.leave() == 0)


def working(elt: Path, shop: Path) -> None:
    """The control room."""
    shell = Shell(elt, shop)
    shell.enter("create table counted as select 1 as id, 'a' as name;", "CREATE TABLE")
    shell.enter("update counted set name = 'b';", "UPDATE")
    shown = shell.enter("\\diff counted --key id", "changed in 1")
    check("\\diff tells what changed", "name: a → b" in shown, shown)
    shown = shell.enter("\\build", "nothing to build")
    shown = shell.enter("\\rollback 1", "published release")
    shown = shell.enter("\\runs", "rows")
    shown = shell.enter("select 1 as x \\gx", "x │ 1")
    shown = shell.enter("select * from (values ('a', 3), ('b', 6)) as t (k, n) \\chart bar", "2 rows")
    check("a chart", "b 6 │████" in shown, shown)
    check("it leaves", shell.leave() == 0)


def main() -> int:
    """All of it."""
    elt = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        shop = project(elt, Path(folder))
        for part in (typing, completing, cancelling, paging, resizing, working):
            part(elt, shop)
    print(f"terminal: {checks} checks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
