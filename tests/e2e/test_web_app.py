"""A real Gradio app in a real browser, opened by a link: below the gateway's path and on its own host."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from libs.web_links import signature
from tests.support.browser import Page, browser_page
from tests.support.embedded import EmbeddedEasel, done, embedded_easel
from tests.support.waiting import until

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "studio"

# In the page: what a user does, and what an app does behind a user's back. A page that is still being drawn
# may not hear a click yet, so the answer comes back as it is after a second, to be asked for again.
TYPE_AND_CLICK = """
((text, wanted) => new Promise(resolve => {
  const box = document.querySelector('#text textarea'), button = document.querySelector('#turn');
  const answer = () => document.querySelector('#answer textarea')?.value;
  if (!box || !button) return resolve('not drawn yet');
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(box, text);
  box.dispatchEvent(new Event('input', {bubbles: true}));
  button.click();
  const looking = setInterval(() => answer() === wanted && done(), 20);
  const giving_up = setTimeout(() => done(), 1000);
  const done = () => { clearInterval(looking); clearTimeout(giving_up); resolve(answer()); };
}))
"""
ASK_BY_WEB_SOCKET = """
new Promise((resolve, reject) => {
  const at = new URL('live', location.href);
  at.protocol = 'ws';
  const socket = new WebSocket(at);
  socket.onopen = () => socket.send('live');
  socket.onmessage = message => { resolve(message.data); socket.close(); };
  socket.onerror = () => reject(new Error('refused'));
})
"""


pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    with embedded_easel(
        tmp_path_factory.mktemp("easel"), "--bucket", f"easel-examples={EXAMPLES}"
    ) as running:
        created = running.easel("create", str(EXAMPLES / "webapp" / "service.json"), "--wait", within=400)
        done(created)
        yield running


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browser_page(tmp_path, "*.easel.local") as opened:
        yield opened


def base(easel: EmbeddedEasel, host: str = "") -> str:
    gateway = urlsplit(easel.context.gateway)
    return f"http://{host or gateway.hostname}:{gateway.port}"


def expired_link(easel: EmbeddedEasel) -> str:
    """One that was good a second ago."""
    token = done(easel.easel("token", "service", NAME)).stdout.strip()
    ended = str(int(time.time()) - 1)
    shown = urlencode({"until": ended, "sig": signature(token, NAME, ended)})
    return f"{base(easel)}/easel/open/{NAME}?{shown}"


async def used(page: Page, text: str) -> None:
    """Types and clicks until the answer is shown."""
    wanted = text[::-1]

    async def shown() -> bool:
        return bool(await page.run(f"{TYPE_AND_CLICK}({text!r}, {wanted!r})") == wanted)

    await until(shown, "the answer to be shown", 60)


@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    ("options", "host", "path"),
    [((), "", f"/api/predict/{NAME}/"), (("--host",), f"{NAME}.easel.local", "/")],
    ids=["by path", "own host"],
)
async def test_a_link_opens_the_app_which_works_and_can_be_loaded_again(
    easel: EmbeddedEasel, page: Page, options: tuple[str, ...], host: str, path: str
) -> None:
    link = done(easel.easel("open", NAME, "--print", *options)).stdout.strip()
    await page.open(link)
    where = await page.run("location.href")
    await used(page, "first")
    by_web_socket = await page.run(ASK_BY_WEB_SOCKET)
    await page.open(base(easel, host) + path)
    await used(page, "again")

    assert where == base(easel, host) + path
    assert by_web_socket == "evil"
    refused = {url for url, status in page.answers if status in (401, 403)}
    # Browsers ask for a manifest without showing a cookie.
    assert {url for url in refused if not url.endswith("/manifest.json")} == set()


@pytest.mark.timeout(500)
async def test_without_a_good_link_nothing_of_the_app_is_shown(easel: EmbeddedEasel, page: Page) -> None:
    no_cookie = await page.open(f"{base(easel)}/api/predict/{NAME}/")
    expired = await page.open(expired_link(easel))
    text = await page.run("document.body.innerText")
    still_no_cookie = await page.open(f"{base(easel)}/api/predict/{NAME}/")

    assert (no_cookie, expired, still_no_cookie) == (401, 403, 401)
    assert "this link has expired" in text
