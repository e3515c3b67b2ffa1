"""Find the broken links of a web site: each page is visited once, at most 20 at a time.

    pip install nadoo-flow httpx
    python crawler.py https://docs.example.com/

It prints each broken link with the first page that it is on, and ends with status 1 if there is
one. Ctrl-C ends it after the pages that are being read, or after 10 seconds.
"""

import asyncio
import signal
import sys
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

from nadoo_flow import ExpandNode, FunctionNode, NodeError
from nadoo_flow.policies import retry, timeout

MOST_PAGES = 100_000


class Link(NamedTuple):
    url: str
    page: str  # on which it was found first


class LinkParser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        if tag == "a" and (href := dict(attributes).get("href")):
            self.found.append(href)


def resolve(page, href):
    try:
        return urldefrag(urljoin(page, href)).url
    except ValueError:
        return ""  # as nothing that is on the site


def is_on_site(page, url):
    return urlsplit(page)[:2] == urlsplit(url)[:2]


def is_final(error):
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 429


def make_fetch(client):
    async def fetch(url):
        async with client.stream("GET", url) as response:
            if response.is_redirect:
                return [response.headers["location"]]  # it may lead out of the site
            response.raise_for_status()
            if "html" not in response.headers.get("content-type", ""):
                return []
            await response.aread()
        parser = LinkParser()
        parser.feed(response.text)
        return parser.found

    return FunctionNode(fetch).pipe(timeout(10), retry(attempts=3, give_up_on=is_final))


def make_crawler(fetch, read, broken):
    async def find_links(link):
        try:
            hrefs = await fetch.run(link.url)
        except NodeError as error:
            reason = error.error.splitlines()[0]
            print(f"{link.url} is broken, on {link.page}: {reason}", flush=True)
            broken.append(link)
            return []
        read.append(link)
        urls = {resolve(link.url, href) for href in hrefs}
        return [Link(url, link.url) for url in sorted(urls) if is_on_site(link.url, url)]

    return ExpandNode(
        "crawl", find_links, max_concurrency=20, key=lambda link: link.url, max_items=MOST_PAGES
    )


async def main(start):
    read, broken = [], []
    async with (
        httpx.AsyncClient() as client,
        make_crawler(make_fetch(client), read, broken).stream([Link(start, start)]) as links,
    ):
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, links.drain, 10)
        async for _ in links:  # each when it is found
            pass
    print(f"{len(read)} pages were read; broken links: {len(broken)}", file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1])))
