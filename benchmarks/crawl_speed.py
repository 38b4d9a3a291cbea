"""What a picture costs: our crawl, with every check on, against the tools that people use, which check little.

    python benchmarks/crawl_speed.py [--photos 2000] [--rounds 3] [--only ours,files] [--no-img2dataset] [--json]

Two thousand photographs on a server on loopback, each round every contender once, in turn. Each is a process of its own
and counted with all its children: CPU seconds in user and system mode, start included.

- bare:             an asyncio loop with aiohttp: fetch, write to a file; the least that can be done
- files:            Scrapy with its stock FilesPipeline
- images:           Scrapy with its stock ImagesPipeline, which decodes every picture and saves it anew
- img2dataset:      as it is told to keep the bytes (--disable_all_reencoding), 16 threads
- img2dataset 256:  as it comes: resized to 256 pixels
- ours:             the source `urls`, as `dreamcrawl crawl` runs it: robots.txt and the other opt-outs, the address
                    guard, early look at size and type, SHA-256, records, everything on disk before it counts

Then the mixed site, of which three in ten are of no use (portraits where landscapes are asked for, opted out, no
picture at all): bytes that the server sent for each picture that was wanted. Then a second crawl of the same keywords:
requests. Then 10,000 and 100,000 candidates: memory.

img2dataset is installed by pip into a folder of its own (--tools, kept for the next time).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from crawl_site import WANTED_WIDTH, mixed_kind

CONTENDERS = ("bare", "files", "images", "img2dataset", "img2dataset 256", "ours")
IMG2DATASET = "img2dataset==1.47.0"


@dataclass
class Cost:
    """What one run of one contender took.

    Attributes:
        cpu_seconds: Of the process and all its children.
        pictures: Files that it kept.
        sent_bytes: By the server, bodies only.
        requests: Kind of path -> how many.
    """

    cpu_seconds: float
    seconds: float
    peak_mib: float
    pictures: int
    sent_bytes: int
    requests: dict[str, int]


def main() -> None:
    """Run the contenders in turn and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="names of contenders, with commas")
    parser.add_argument("--candidates", type=int, default=100_000, help="for memory; 0: leave it out")
    parser.add_argument("--folder", type=Path, help="for the photographs; kept. Default: a temporary one")
    parser.add_argument("--tools", type=Path, default=ROOT / ".venv" / "bench-tools")
    parser.add_argument("--no-img2dataset", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--options", default="{}", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.list, arguments.out, **json.loads(arguments.options))
        return
    names = arguments.only.split(",") if arguments.only else list(CONTENDERS)
    tools = None
    if any(name.startswith("img2dataset") for name in names):
        tools = None if arguments.no_img2dataset else img2dataset_python(arguments.tools)
        if tools is None:
            names = [name for name in names if not name.startswith("img2dataset")]
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch) / "photos"
        with served(folder, arguments.photos) as (site, total_bytes):
            bench = Bench(site, arguments.photos, Path(scratch), tools, show=not arguments.json)
            bench.say(f"{arguments.photos} photographs of {total_bytes / arguments.photos / 1000:.0f} KB on average")
            report = {
                "speed": bench.speed(names, rounds=arguments.rounds),
                "mixed": bench.mixed(names),
                "second": bench.second(),
            }
            if arguments.candidates:
                report["memory"] = bench.memory(arguments.candidates)
    if arguments.json:
        print(json.dumps(report, indent=1))


class Bench:
    """The measurements over one server."""

    def __init__(self, site: str, photos: int, scratch: Path, tools: Path | None, *, show: bool) -> None:
        self._site, self._photos, self._scratch, self._tools, self._show = site, photos, scratch, tools, show

    def say(self, line: str) -> None:
        """Print, unless JSON was asked for."""
        if self._show:
            print(line, flush=True)

    def speed(self, names: list[str], *, rounds: int) -> dict[str, Any]:
        """CPU milliseconds a picture."""
        addresses = self._list([f"{self._site}/photo/{number:05}.jpg" for number in range(self._photos)])
        costs: dict[str, list[Cost]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                costs[name].append(self.run(name, addresses))
        self.say(
            f"\n{'':17}{'CPU ms/picture':>15}{'(least, most)':>17}{'pictures/s':>12}{'peak MiB':>10}{'kept':>7}"
            "  ours = 1"
        )
        medians = {name: statistics.median(_each(cost) for cost in of) for name, of in costs.items()}
        for name, of in costs.items():
            spread = f"({min(map(_each, of)):.2f}, {max(map(_each, of)):.2f})"
            rate = statistics.median(cost.pictures / cost.seconds for cost in of)
            ratio = f"{medians[name] / medians['ours']:.2f}" if "ours" in medians else ""
            peak, kept = max(cost.peak_mib for cost in of), of[-1].pictures
            self.say(f"{name:17}{medians[name]:15.2f}{spread:>17}{rate:12.0f}{peak:10.0f}{kept:7}  {ratio}")
        return {name: [asdict(cost) for cost in of] for name, of in costs.items()}

    def mixed(self, names: list[str]) -> dict[str, Any]:
        """Bytes for each wanted picture, where three in ten are of no use."""
        numbers = range(min(self._photos, 1000))
        addresses = self._list([f"{self._site}/mixed/{number:05}.jpg" for number in numbers])
        wanted = sum(mixed_kind(number) == "wanted" for number in numbers)
        self.say(
            f"\nmixed site, {len(numbers)} candidates, {wanted} of them wanted: bytes sent for each wanted picture"
        )
        costs = {}
        for name in names:
            costs[name] = cost = self.run(name, addresses, mixed=True)
            self.say(f"{name:17}{cost.sent_bytes / wanted / 1000:10.1f} KB   {cost.pictures} files kept")
        return {name: asdict(cost) for name, cost in costs.items()}

    def second(self) -> dict[str, Any]:
        """Requests of a first and a second crawl of the same keyword on the same site, both ingested."""
        reports = [self.run("ours site", self._scratch, keep=True) for _ in range(2)]
        first, second = (cost.requests for cost in reports)
        self.say(f"\nthe site by keyword, first crawl:  {_requests(first)}")
        self.say(f"the same again, all known:         {_requests(second)}")
        return {"first": first, "second": second}

    def memory(self, most: int) -> dict[str, float]:
        """Peak memory of our process over candidates that need no request."""
        peaks = {}
        for count in (most // 10, most):
            path = self._scratch / f"candidates-{count}.csv"
            rows = (
                f"{self._site}/photo/{number}.jpg?{number},a photograph {number},20,20\n" for number in range(count)
            )
            path.write_text("url,caption,width,height\n" + "".join(rows))
            cost = self.run("ours", path)
            peaks[str(count)] = cost.peak_mib
            self.say(
                f"{count:7} candidates: peak {cost.peak_mib:.0f} MiB, {cost.cpu_seconds / count * 1000:.2f} CPU ms each"
            )
        return peaks

    def run(self, name: str, addresses: Path, *, mixed: bool = False, keep: bool = False) -> Cost:
        """One run of one contender in a process of its own."""
        out = self._scratch / "out"
        if not keep:
            shutil.rmtree(out, ignore_errors=True)
        out.mkdir(exist_ok=True)
        fetch(f"{self._site}/stats/reset")
        options = {"site": self._site, "mixed": mixed, "tools": str(self._tools) if self._tools else None}
        command = [sys.executable, __file__, "--worker", name, "--list", str(addresses), "--out", str(out)]
        started = time.monotonic()
        process = subprocess.Popen(
            [*command, "--options", json.dumps(options)],
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("BENCH_DEBUG") else subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{name} failed; run again with BENCH_DEBUG=1 to see why")
        stats = json.loads(fetch(f"{self._site}/stats"))
        kept = _kept(out)
        return Cost(
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            seconds=seconds,
            peak_mib=usage.ru_maxrss / 1024,
            pictures=kept,
            sent_bytes=stats["sent_bytes"],
            requests=stats["requests"],
        )

    def _list(self, addresses: list[str]) -> Path:
        path = self._scratch / "addresses.txt"
        path.write_text("\n".join(addresses) + "\n")
        return path


def work(name: str, addresses: Path, out: Path, *, site: str, mixed: bool, tools: str | None) -> None:
    """One contender: fetch every address of a list into a folder."""
    if name == "bare":
        bare(addresses, out)
    elif name in {"files", "images"}:
        scrapy_pipeline(name, addresses, out, mixed=mixed)
    elif name.startswith("img2dataset"):
        assert tools is not None
        img2dataset(tools, addresses, out, resize=name.endswith("256"), mixed=mixed)
    elif name == "ours":
        ours(addresses, out, site=site, mixed=mixed)
    else:
        ours_site(out, site=site)


def bare(addresses: Path, out: Path) -> None:
    """Fetch, write to a file, 16 at once."""
    import asyncio

    import aiohttp

    waiting = iter(addresses.read_text().split())

    async def fetch_all() -> None:
        async with aiohttp.ClientSession() as session:

            async def fetch_some() -> None:
                for address in waiting:
                    async with session.get(address) as response:
                        (out / address.rpartition("/")[2]).write_bytes(await response.read())

            await asyncio.gather(*(fetch_some() for _ in range(16)))

    asyncio.run(fetch_all())


def scrapy_pipeline(name: str, addresses: Path, out: Path, *, mixed: bool) -> None:
    """Scrapy's own pipelines with Scrapy's own settings."""
    from scrapy import Spider
    from scrapy.crawler import AsyncCrawlerProcess

    kind, wanted = name.capitalize(), addresses.read_text().split()

    class ListSpider(Spider):
        name = "list"

        async def start(self) -> Any:
            for address in wanted:
                yield {f"{kind[:-1].lower()}_urls": [address]}

    settings = {
        "ITEM_PIPELINES": {f"scrapy.pipelines.{name}.{kind}Pipeline": 1},
        f"{kind.upper()}_STORE": str(out),
        "LOG_LEVEL": "ERROR",
    }
    if mixed and name == "images":
        settings["IMAGES_MIN_WIDTH"] = WANTED_WIDTH
    process = AsyncCrawlerProcess(settings)
    process.crawl(ListSpider)
    process.start()


def img2dataset(tools: str, addresses: Path, out: Path, *, resize: bool, mixed: bool) -> None:
    """img2dataset on the same list."""
    flags = ["--url_list", str(addresses), "--output_folder", str(out), "--output_format", "files"]
    flags += ["--processes_count", "1", "--thread_count", "16", "--enable_wandb", "False"]
    flags += [] if resize else ["--disable_all_reencoding", "True"]
    if mixed:
        flags += ["--min_image_size", "480"]
    subprocess.run([tools, "-m", "img2dataset.main", *flags], check=True)


def ours(addresses: Path, out: Path, *, site: str, mixed: bool) -> None:
    """Our crawl of a list, with every check on."""
    from crawler.filters import Filters
    from crawler.job import CrawlRequest
    from crawler.run import crawl

    filters = Filters(orientation="landscape", min_width=WANTED_WIDTH) if mixed else Filters(min_width=64)
    request = CrawlRequest(
        keywords=(),
        source="urls",
        argument=str(addresses),
        limit=1_000_000,
        contact="bench@example.org",
        concurrency_per_host=16,
        filters=filters,
        allow=(site.removeprefix("http://"),),
    )
    crawl(request, inbox_parent=out, crawl_id="bench", about={}, catalog=None)


def ours_site(out: Path, *, site: str) -> None:
    """Our crawl of the site by keyword, and ingest, in a workspace that is kept from call to call."""
    settings = {**os.environ, "DREAMCRAWL_CRAWL_CONCURRENCY_PER_HOST": "16", "PYTHONPATH": str(ROOT)}
    base = [sys.executable, "-m", "flows"]
    place = ["--workspace", str(out / "workspace")]
    crawl = ["crawl", "photograph", "--source", f"website={site}", "--limit", "100000"]
    for command in (crawl, ["ingest"]):
        subprocess.run([*base, *command, *place], check=True, env=settings)


def img2dataset_python(folder: Path) -> Path | None:
    """The Python of an environment with img2dataset, made on the first call; None where that fails."""
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    print("installing img2dataset, once", file=sys.stderr, flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", IMG2DATASET], check=True)
    except subprocess.CalledProcessError as error:
        print(f"img2dataset is left out: {error}", file=sys.stderr)
        return None
    (folder / "ready").touch()
    return python


@contextlib.contextmanager
def served(folder: Path, photos: int) -> Iterator[tuple[str, int]]:
    """The site in a process of its own; gives its address and the size of all photographs."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks" / "crawl_site.py"), str(folder), "--photos", str(photos)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port, total = process.stdout.readline().split()
        yield f"http://127.0.0.1:{port}", int(total)
    finally:
        process.terminate()
        process.wait()


def fetch(address: str) -> bytes:
    """The body at an address of the server."""
    with urllib.request.urlopen(address) as response:  # our own server
        return bytes(response.read())


def _kept(out: Path) -> int:
    """Pictures in a contender's folder: files that begin as JPEG does, or the fetched ones of our inbox."""
    if (out / "bench" / "sealed.json").exists():
        return int(json.loads((out / "bench" / "sealed.json").read_text())["report"]["fetched"])
    return sum(_is_jpeg(path) for path in out.rglob("*.jpg"))


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == b"\xff\xd8\xff"


def _each(cost: Cost) -> float:
    return cost.cpu_seconds / max(cost.pictures, 1) * 1000


def _requests(requests: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(requests.items()))


if __name__ == "__main__":
    main()
