"""A client that openapi-python-client makes from the document compiles and completes an order's way over HTTP."""

import asyncio
import compileall
import json
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from tests.conformance.test_schemathesis import a_world

PROGRAM = """
import sys
from made import AuthenticatedClient
from made.api.orders import cancel_order, get_order, open_order
from made.api.results import list_results
from made.api.studies import list_studies
from made.models import OrderAsked, OrderView, Problem

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
(row,) = list_studies.sync(client=client).items
order = open_order.sync(client=client, body=OrderAsked(study=row.study, products=["dti"], priority=0), idempotency_key="once")
assert isinstance(order, OrderView), order
again = open_order.sync(client=client, body=OrderAsked(study=row.study, products=["dti"], priority=0), idempotency_key="once")
assert again.order == order.order
assert get_order.sync(order.order, client=client).study == row.study
assert isinstance(get_order.sync("ffffffff", client=client), Problem)
assert [one.report for one in list_results.sync(client=client).items]
assert cancel_order.sync(order.order, client=client).state == "CANCELLED"
print("done")
"""


async def _run(*argv: str, folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, stderr=STDOUT, cwd=folder)
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said[-3000:]
    return said


async def test_a_generated_client_compiles_and_works_on_an_order(tmp_path: Path) -> None:
    """Issue 8: a generated client compiles and completes an order."""
    async with a_world(tmp_path) as world:
        (tmp_path / "openapi.json").write_text(json.dumps(world.document))
        made = tmp_path / "made"
        generator = str(Path(sys.executable).parent / "openapi-python-client")
        said = await _run(
            *(generator, "generate", "--path", "openapi.json", "--meta", "none", "--output-path", str(made)), folder=tmp_path
        )
        assert "Error" not in said, said
        assert compileall.compile_dir(made, quiet=1)
        await world.house.records.run("UPDATE orders SET state = 'CANCELLED' WHERE id = {}", world.order)
        (tmp_path / "program.py").write_text(PROGRAM)
        token = await world.bearer("admin")
        assert (await _run(sys.executable, "program.py", world.url, token, folder=tmp_path)).endswith("done\n")
