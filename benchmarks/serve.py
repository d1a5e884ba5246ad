"""How many answers a second does the Go server give, beside FastAPI and beside the bare graph?

Everything runs interleaved on this machine's loopback, because its speed drifts: compare ratios,
and only those of one run. CPU time is what other work disturbs least.

    python benchmarks/serve.py --size 96 --rounds 5

The reference network of random weights, saved as an artifact, answers for a generated JPEG
photograph. The client is backend/cmd/load, which costs a fraction of what a client in Python does:

- cached: the same photograph again and again, 8 clients; the server has one core, the client
  another one;
- alone: photographs never seen, one client, all cores; beside it the bare graph in this process,
  the signatures ``prepare`` and ``predict`` without any check or server;
- crowd: photographs never seen, 8 clients, all cores.

The rival is a minimal FastAPI application under uvicorn (uvloop, httptools, no access log) which
calls ``predict_bytes`` in a thread and keeps answers in a dict by SHA-256.

Then ten times as many requests a second as the server on one core can answer: how fast are
refusals, and how soon is it as before?
"""

import argparse
import hashlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from predict import photo, saved, spread

from cnnlab.engine import tf
from cnnlab.serving.server.server_process import ServerProcess, exchange

ROOT = Path(__file__).resolve().parent.parent
CORES = sorted(os.sched_getaffinity(0))
CLIENTS, CROWD = 8, 400
TIMES = 10  # the rated load
OVERLOAD_SECONDS = 5
CALM = 10  # answers in a row that are as fast as before
AIMS = {"per_second": 10_000, "p99_ms": 5.0, "bare": 1.15, "refused_ms": 50.0, "recovery_s": 5.0}
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A server that answers, and the process whose time counts."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Return the processor seconds that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def on(cores: list[int]) -> Iterator[None]:
    """Let what is started within the block have these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def built(folder: Path) -> tuple[Path, Path]:
    """Return the server and the client, built from the sources as they are."""
    for name in ("cnnlab-server", "load"):
        command = [ROOT / "backend" / "go.sh", "build", "-o", folder / name, f"./cmd/{name}"]
        subprocess.run(command, check=True)
    return folder / "cnnlab-server", folder / "load"


@contextmanager
def own(program: Path, model: Path, cores: list[int]) -> Iterator[Server]:
    with on(cores):
        backend = ServerProcess(model, program=program)
    with backend:
        yield Server(backend.port, backend._process.pid)


@contextmanager
def rival(model: Path, cores: list[int]) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--child", str(model), str(port)]
    with on(cores):
        process = subprocess.Popen(command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None:
                    raise SystemExit("the rival does not start") from None
                time.sleep(0.1)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def child(model: Path, port: int) -> None:
    """Serve as little as answers: FastAPI around the SavedModel."""
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.concurrency import run_in_threadpool

    graph = tf.saved_model.load(str(model / "saved_model"))
    ask, known, app = graph.signatures["predict_bytes"], {}, FastAPI()

    def run(content: bytes) -> list[float]:
        return ask(image_bytes=tf.constant([content]))["probabilities"].numpy()[0].tolist()

    @app.post("/v1/predict")
    async def predict(request: Request) -> dict:
        content = await request.body()
        name = hashlib.sha256(content).hexdigest()
        if name not in known:
            known[name] = await run_in_threadpool(run, content)
        row = known[name]
        best = max(row)
        return {"label": f"class {row.index(best)}", "probability": best, "sha256": name}

    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", http="httptools",
                access_log=False, log_level="warning")  # fmt: skip


@dataclass
class Client:
    """The load generator and what it sends."""

    program: Path
    photo: Path

    def load(self, server: Server, *flags: str, cores: list[int] = CORES) -> dict:
        """Send requests and return how many were answered, how fast and at which cost."""
        command = [self.program, "--addr", f"127.0.0.1:{server.port}", *flags, self.photo]
        before = server.cpu()
        with on(cores):
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        answered = sum(one["count"] for one in found["statuses"].values())
        found["cpu_ms"] = 1e3 * (server.cpu() - before) / answered
        return found

    def answers(self, server: Server, *flags: str, cores: list[int] = CORES) -> dict[str, float]:
        """Send requests that all must be answered."""
        found = self.load(server, *flags, cores=cores)
        if found["failed"] or set(found["statuses"]) != {"200"}:
            raise SystemExit(f"not all were answered: {found}")
        row = found["statuses"]["200"]
        return {"per_second": row["count"] / found["seconds"], "p50_ms": row["p50_ms"],
                "p99_ms": row["p99_ms"], "cpu_ms": found["cpu_ms"]}  # fmt: skip


def bare(model: Path, content: bytes) -> Callable[[int], dict[str, float]]:
    """Return what asks the graph in this process so many times."""
    loaded = tf.saved_model.load(str(model / "saved_model"))
    graph = loaded.signatures

    def ask(count: int) -> dict[str, float]:
        _ = loaded  # the signatures alone do not keep it
        times, cpu = [], time.process_time()
        for _ in range(count):
            start = time.perf_counter()
            pixels = graph["prepare"](image_bytes=tf.constant(content))["pixels"]
            graph["predict"](pixels=pixels[None])["probabilities"].numpy()
            times.append(1e3 * (time.perf_counter() - start))
        return {"per_second": 1e3 * count / sum(times), "p50_ms": float(np.median(times)),
                "p99_ms": float(np.quantile(times, 0.99)),
                "cpu_ms": 1e3 * (time.process_time() - cpu) / count}  # fmt: skip

    return ask


def ways(
    client: Client, narrow: dict[str, Server], wide: dict[str, Server], model: Path, requests: int
) -> dict[tuple[str, str], Callable[[], dict[str, float]]]:
    """Return all that is compared: (case, who answers) → one round of it."""
    few, crowd = str(requests), ["--clients", str(CLIENTS), "--requests", str(4 * requests)]
    found = {}
    for name in narrow:
        many = str((1000 if name == "cnnlab" else 150) * requests)  # the rival is slower
        found["cached", name] = lambda name=name, many=many: client.answers(
            narrow[name], "--clients", str(CLIENTS), "--requests", many, cores=CORES[-1:]
        )
        found["alone", name] = lambda name=name: client.answers(
            wide[name], "--unique", "--requests", few
        )
        found["crowd", name] = lambda name=name: client.answers(wide[name], "--unique", *crowd)
    ask = bare(model, client.photo.read_bytes())
    found["alone", "bare graph"] = lambda: ask(requests)
    return found


def measure(found: dict, rounds: int) -> list[dict]:
    """Return a row for each case and each who answers: a list of every figure, one a round."""
    rows = {key: {"case": key[0], "by": key[1]} for key in found}
    for run in found.values():
        run()  # all are warm now
    draw = np.random.default_rng(0)
    keys = list(found)
    for _ in range(rounds):
        for index in draw.permutation(len(keys)).tolist():
            for name, value in found[keys[index]]().items():
                rows[keys[index]].setdefault(name, []).append(value)
    return list(rows.values())


def overload(client: Client, server: Server, requests: int) -> dict:
    """Ask far too much; return what was answered, and when the server was as before.

    The clients have a core of their own, or their waiting for one would look like the server's.
    """
    few, crowd = str(requests), ["--clients", str(CLIENTS), "--requests", str(4 * requests)]
    usual_ms = client.answers(server, "--unique", "--requests", few)["p99_ms"]
    rate = TIMES * client.answers(server, "--unique", *crowd, cores=CORES[-1:])["per_second"]
    count = int(rate * OVERLOAD_SECONDS)
    found = client.load(server, "--unique", "--rate", f"{rate:.0f}", "--clients", str(CROWD),
                        "--requests", str(count), cores=CORES[-1:])  # fmt: skip
    over = time.perf_counter()
    content, calm, recovered = client.photo.read_bytes(), 0, 0.0
    while calm < CALM and time.perf_counter() - over < 60:
        start = time.perf_counter()
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
            status, _ = exchange(connection, "POST", "/v1/predict", content + os.urandom(8))
        good = status == 200 and 1e3 * (time.perf_counter() - start) <= 2 * usual_ms
        calm = calm + 1 if good else 0
        recovered = recovered if calm > 1 else start - over
    return {"rate": rate, "sent_per_second": count / found["seconds"], "usual_ms": usual_ms,
            "recovery_s": recovered if calm == CALM else float("inf"), **found}  # fmt: skip


def middle(rows: list[dict], case: str, by: str, name: str) -> float:
    return statistics.median(figures(rows, case, by, name))


def figures(rows: list[dict], case: str, by: str, name: str) -> list[float]:
    return next(row[name] for row in rows if (row["case"], row["by"]) == (case, by))


def ratios(rows: list[dict], case: str, by: str, name: str) -> list[float]:
    """Return cnnlab's figure in multiples of another's, round by round."""
    pairs = zip(figures(rows, case, "cnnlab", name), figures(rows, case, by, name), strict=True)
    return [ours / theirs for ours, theirs in pairs]


def verdict(says: str, value: float, aim: float, most: bool = True) -> None:
    met = "met" if (value <= aim if most else value >= aim) else "NOT met"
    print(f"- {says}: {value:.4g}, aim {aim:g}: {met}")


def show(rows: list[dict], overloaded: dict) -> None:
    """Print the tables, and whether the aims are met."""
    print("\nMedian (lowest–highest) of the rounds.\n")
    print("| case | by | answers a second | p50, ms | p99, ms | CPU an answer, ms |")
    print("|---" * 6 + "|")
    for row in sorted(rows, key=lambda row: row["case"]):
        cells = [spread(row[name], digits) for name, digits in
                 (("per_second", 0), ("p50_ms", 2), ("p99_ms", 2), ("cpu_ms", 3))]  # fmt: skip
        print("| " + " | ".join([row["case"], row["by"], *cells]) + " |")
    print()
    for case, by, name in (("cached", "FastAPI", "per_second"), ("cached", "FastAPI", "cpu_ms"),
                           ("alone", "FastAPI", "p50_ms"), ("crowd", "FastAPI", "per_second"),
                           ("crowd", "FastAPI", "cpu_ms"), ("alone", "bare graph", "p50_ms"),
                           ("alone", "bare graph", "cpu_ms")):  # fmt: skip
        print(f"- {case}, {name}: {spread(ratios(rows, case, by, name))} times {by}'s")
    refused = overloaded["statuses"]["503"]
    print(f"- overload: {json.dumps(overloaded)}\n")
    verdict("cached answers a second", middle(rows, "cached", "cnnlab", "per_second"),
            AIMS["per_second"], most=False)  # fmt: skip
    verdict("cached answers a CPU second", 1e3 / middle(rows, "cached", "cnnlab", "cpu_ms"),
            AIMS["per_second"], most=False)  # fmt: skip
    verdict("cached p99, ms", middle(rows, "cached", "cnnlab", "p99_ms"), AIMS["p99_ms"])
    beside = statistics.median(ratios(rows, "alone", "bare graph", "p50_ms"))
    verdict("times the bare graph", beside, AIMS["bare"])
    verdict("99 % of the refusals within, ms", refused["p99_ms"], AIMS["refused_ms"])
    verdict("as before after, s", overloaded["recovery_s"], AIMS["recovery_s"])


def run(options: argparse.Namespace, scratch: Path) -> tuple[list[dict], dict]:
    """Start all servers and measure them."""
    model = saved(scratch / "model", options.size)
    (scratch / "photo.jpg").write_bytes(photo(*options.photo))
    program, load = built(scratch)
    client = Client(load, scratch / "photo.jpg")
    with ExitStack() as servers:
        narrow, wide = (
            {
                "cnnlab": servers.enter_context(own(program, model, cores)),
                "FastAPI": servers.enter_context(rival(model, cores)),
            }
            for cores in (CORES[:1], CORES)
        )
        rows = measure(ways(client, narrow, wide, model, options.requests), options.rounds)
        return rows, overload(client, narrow["cnnlab"], options.requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96, help="pixels a side of the network")
    parser.add_argument("--photo", type=int, nargs=2, default=(256, 256), help="width and height")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=40, help="of one client in a round")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(Path(options.child[0]), int(options.child[1]))
        return
    about = {name: getattr(options, name) for name in ("size", "photo", "rounds", "requests")}
    about |= {"seed": 0, "cores": len(CORES), "machine": platform.machine(),
              "python": platform.python_version(), "tensorflow": tf.__version__,
              "load_before": os.getloadavg()[0]}  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        rows, overloaded = run(options, Path(scratch))
    about["load_after"] = os.getloadavg()[0]
    print(about)
    show(rows, overloaded)
    found = {"about": about, "rows": rows, "overload": overloaded}
    options.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
