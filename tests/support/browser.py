"""A headless Chromium of a test's own, driven over the DevTools protocol."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.waiting import until

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        # What the page asked for and was answered: the address and the status.
        self.answers: list[tuple[str, int]] = []
        # The status of each document, by what the browser calls its loading.
        self._documents: dict[str, int] = {}
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def listen(self) -> None:
        """Takes in what the browser says, until it ends."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
            elif said["method"] == "Network.responseReceived":
                answer = said["params"]["response"]
                self.answers.append((answer["url"], answer["status"]))
                if said["params"]["type"] == "Document":
                    self._documents[said["params"]["loaderId"]] = answer["status"]

    async def ask(self, method: str, **parameters: Any) -> Any:
        """One command of the protocol; fails with what the browser says against it."""
        number = next(self._numbers)
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        said = await asyncio.wait_for(answer, 30)
        assert "error" not in said, f"{method}: {said['error']}"
        return said["result"]

    async def open(self, url: str) -> int:
        """Goes to an address; the status of the page that came in the end, redirects followed."""
        loading = (await self.ask("Page.navigate", url=url))["loaderId"]
        status = await until(lambda: self._documents.get(loading), f"an answer of {url}")
        await until(lambda: self.run("document.readyState === 'complete'"), f"{url} to be loaded")
        return status or 0

    async def run(self, script: str) -> Any:
        """The value of a script in the page, awaited if it is a promise; None while there is no page."""
        said = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, f"{script}: {said['exceptionDetails']}"
        return said["result"].get("value")


@asynccontextmanager
async def browser_page(home: Path, *names: str) -> AsyncIterator[Page]:
    """A tab of a browser that keeps its things in `home` and finds the host `names` on this machine."""
    program = next(found for name in BROWSERS if (found := shutil.which(name)))
    rules = ", ".join(f"MAP {name} 127.0.0.1" for name in names)
    process = await asyncio.create_subprocess_exec(
        program,
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--disable-background-networking", "--no-proxy-server"),
        *("--remote-debugging-port=0", f"--user-data-dir={home}", f"--host-resolver-rules={rules}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        told = home / "DevToolsActivePort"
        await until(lambda: told.exists() and told.read_text().count("\n"), "the browser to start", 60)
        port = int(told.read_text().split()[0])
        async with aiohttp.ClientSession() as http:
            async with http.put(f"http://127.0.0.1:{port}/json/new?about:blank") as made:
                address = (await made.json(content_type=None))["webSocketDebuggerUrl"]
            async with http.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                for domain in ("Page", "Network", "Runtime"):
                    await page.ask(f"{domain}.enable")
                yield page
                listening.cancel()
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)
