"""A client that openapi-python-client makes from the document compiles and takes an order to its report over HTTP."""

import compileall
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.journeys.world import Visitor, a_world, ready
from tests.phantoms import PhantomStudy
from tests.servers import HOST, until

PROGRAM = """
import sys, threading
from made import AuthenticatedClient
from made.api.orders import get_order, open_order
from made.api.results import download_report, list_results
from made.api.studies import list_studies
from made.models import OrderAsked, OrderView, Problem

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2], timeout=30)
(row,) = list_studies.sync(client=client).items
assert row.order is None, row
asked = OrderAsked(study=row.study, products=["dti"], priority=0)
order = open_order.sync(client=client, body=asked, idempotency_key="once")
assert isinstance(order, OrderView), order
assert open_order.sync(client=client, body=asked, idempotency_key="once").order == order.order
assert isinstance(get_order.sync("ffffffff", client=client), Problem)
pause = threading.Event()
for _ in range(600):
    order = get_order.sync(order.order, client=client)
    if order.state not in ("QC", "QUEUED", "DEIDENTIFIED", "PROCESSING", "PROCESSED", "REPORTED"):
        break
    pause.wait(0.2)
assert order.state == "DELIVERED", order
(result,) = list_results.sync(client=client).items
assert result.order == order.order
assert download_report.sync_detailed(result.report, "pdf", client=client).content.startswith(b"%PDF")
print("done")
"""


def _run(*argv: str, folder: Path) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def test_a_generated_client_takes_an_order_to_its_report(tmp_path: Path, phantom: PhantomStudy) -> None:
    """UI-05: from the document alone: compiled, then study, order under an idempotency key, result and PDF."""
    with a_world(tmp_path / "world", {"receive": {"open_orders": False}}) as world:
        for word in ("receive", "api", "work"):
            world.start(word)
        ready(world)
        url = f"http://{HOST}:{world.api_port}"
        with urllib.request.urlopen(f"{url}/schema/openapi.json", timeout=30) as answer:
            document = json.load(answer)
        (tmp_path / "openapi.json").write_text(json.dumps(document))
        generator = str(Path(sys.executable).parent / "openapi-python-client")
        options = ("generate", "--path", "openapi.json", "--meta", "none", "--output-path", "made")
        assert "Error" not in _run(generator, *options, folder=tmp_path)
        assert compileall.compile_dir(tmp_path / "made", quiet=1)
        world.send(phantom.folder)
        visitor = Visitor(world)
        until(lambda: [one["state"] for one in visitor.get("/api/studies")["items"]] == ["STABLE"], "a stable study")
        token = visitor.post("/api/tokens", {"name": "his", "role": "service"})["secret"]
        (tmp_path / "program.py").write_text(PROGRAM)
        assert _run(sys.executable, "program.py", url, token, folder=tmp_path).endswith("done\n")
