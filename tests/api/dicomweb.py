"""DICOMweb over a network: the API on a port, a phantom to send, and bodies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pydicom
from dicomweb_client.api import DICOMwebClient

from appliance.access.tokens import create_token
from appliance.moments import now_ms
from tests.api.conftest import Door, served
from tests.phantoms import PhantomStudy, a_small_diffusion_study


@dataclass
class Web:
    """The API on a port, and a phantom to send."""

    door: Door
    url: str
    phantom: PhantomStudy
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """Of a user's token."""
        return {"Authorization": f"Bearer {self.token}"}

    def client(self) -> DICOMwebClient:
        """dicomweb-client."""
        return DICOMwebClient(f"{self.url}/dicom-web", headers=self.headers)

    def datasets(self) -> list[pydicom.Dataset]:
        """The phantom's instances."""
        return [pydicom.dcmread(path) for path in self.phantom.files]

    async def filed(self, count: int) -> str:
        """Our identifier of the study once so many instances are filed."""
        async with asyncio.timeout(60):
            while True:
                rows = await self.door.house.records.run("SELECT id, instances FROM studies ORDER BY id DESC LIMIT 1")
                if rows and rows[0]["instances"] == count:
                    return str(rows[0]["id"])
                await asyncio.sleep(0.05)

    async def send(self, body: bytes, kind: str, path: str = "studies") -> httpx.Response:
        """A STOW of raw bytes."""
        async with httpx.AsyncClient(timeout=60) as client:
            where = f"{self.url}/dicom-web/{path}"
            return await client.post(where, content=body, headers={**self.headers, "Content-Type": kind})


@asynccontextmanager
async def a_web(door: Door, folder: Path) -> AsyncIterator[Web]:
    """Served for the time of a block."""
    phantom = a_small_diffusion_study(folder / "phantom")
    token = (await create_token(door.house.keys, "viewer", "user", created_by="test", now=now_ms())).secret
    async with served(door.app) as url:
        yield Web(door, url, phantom, token)
        await door.app.state.postbox.close()


def multipart(files: list[bytes], boundary: str = "b0undary") -> tuple[bytes, str]:
    """A multipart body and its content type."""
    body = b"".join(f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + one + b"\r\n" for one in files)
    return body + f"--{boundary}--\r\n".encode(), f'multipart/related; type="application/dicom"; boundary={boundary}'
