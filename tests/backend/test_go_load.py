"""The Go server under load: hostile files, slow and many clients, signals; nothing is lost."""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import copytree

import crafted
import golden
import numpy as np
import pytest
import wire

from cnnlab.artifact import model_folder
from cnnlab.engine import keras
from cnnlab.images import MAX_BYTES
from cnnlab.serving.predictor import Predictor
from cnnlab.serving.server.server_process import ServerProcess

pytestmark = pytest.mark.slow
SIZE = 24
PHOTOS = 6
PATIENCE = 600.0
TOLERANCE = 1e-5
ROUNDS = 3
SLACK_MB = 64  # one leaked image of each round would be more
SLOW = 300
Start = Callable[..., ServerProcess]


def network(seed: int) -> keras.Model:
    layers, draw = keras.layers, keras.initializers.RandomNormal
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(5, "softmax", kernel_initializer=draw(stddev=0.2, seed=seed)),
        ]
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """Two model folders, which answer differently."""
    place = tmp_path_factory.mktemp("models")
    for seed in (1, 2):
        names = [f"class {number} of {seed}" for number in range(5)]
        model_folder.save(
            network(seed), place / str(seed), class_names=names, run_id="load", card="#"
        )
    return [place / "1", place / "2"]


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    rng = np.random.default_rng(3)
    return [
        crafted.encoded(golden.photograph(rng, 900, 700 + number), "JPEG")
        for number in range(PHOTOS)
    ]


class Oracle:
    """What Python answers for the photographs, by model."""

    def __init__(self, folders: list[Path], photos: list[bytes]) -> None:
        predictors = [Predictor(folder) for folder in folders]
        self.models = [predictor.model_id for predictor in predictors]
        self.answers = {
            predictor.model_id: [predictor.predict(content) for content in photos]
            for predictor in predictors
        }

    def check(self, answer: wire.Answer, photo: int) -> str:
        """Fail unless an answer is that of the model that it names; return the model."""
        assert answer.status == 200, answer
        expected = self.answers[answer.body["model_id"]][photo]
        assert answer.body["label"] == expected.label
        assert abs(answer.body["probability"] - expected.probability) <= TOLERANCE
        return answer.body["model_id"]


@pytest.fixture(scope="module")
def oracle(folders, photos) -> Oracle:
    return Oracle(folders, photos)


@pytest.fixture
def start(server_program, folders) -> Iterator[Start]:
    """Start servers that end with the test."""
    running: list[ServerProcess] = []

    def started(*flags: str, folder: Path = folders[0]) -> ServerProcess:
        running.append(ServerProcess(folder, *flags, program=server_program))
        return running[-1]

    yield started
    for server in running:
        server.stop()


def resident(server: ServerProcess) -> float:
    """Return the memory that a server holds now, in MB."""
    lines = Path(f"/proc/{server._process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 2**10


def in_one_loop(work) -> None:
    """Run clients, bounded in time."""
    asyncio.run(asyncio.wait_for(work, PATIENCE))


def another(photo: bytes, number: int) -> bytes:
    """The same picture in other bytes: those behind its end count for the cache only."""
    return photo + number.to_bytes(8, "big")


async def figure(server: ServerProcess, name: str) -> float:
    return (await asyncio.to_thread(server.metrics)).get(name, 0.0)


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that comes."""
    while not await holds():
        await asyncio.sleep(0.02)


def mutated(rng: np.random.Generator, whole: list[bytes], count: int) -> list[bytes]:
    """Bytes changed, cut out, repeated or spliced, anywhere."""
    found = []
    for _ in range(count):
        one, other = (whole[index] for index in rng.integers(0, len(whole), 2))
        places = np.sort(rng.integers(0, len(one), 2)).tolist()
        middle = (rng.bytes(places[1] - places[0]), b"", 2 * one[slice(*places)], other)
        found.append(one[: places[0]] + middle[rng.integers(4)] + one[places[1] :])
        if rng.integers(2):  # a few bytes only
            spoilt = bytearray(one)
            for place in rng.integers(0, len(one), rng.integers(1, 9)):
                spoilt[place] = rng.integers(256)
            found[-1] = bytes(spoilt)
    return found


def test_no_file_brings_it_down_or_fills_its_memory(start) -> None:
    whole = [content for content, _ in crafted.files().values()]
    read = (b"\xff\xd8\xff", b"\x89PNG")
    small = [one for one in whole if one.startswith(read) and len(one) < 50_000]
    asked = [*whole, *mutated(np.random.default_rng(5), small, 300)]
    server = start("--cache-bytes=0", "--timeout=600s", "--workers=2")
    statuses: Counter[int] = Counter()

    async def client(contents: list[bytes]) -> None:
        for content in contents:
            answer = await wire.ask_once(server.port, wire.request(content))
            statuses[answer.status] += 1
            assert ("label" in answer.body) == (answer.status == 200)

    async def everybody() -> None:
        await asyncio.gather(*(client(asked[first::8]) for first in range(8)))

    held = []
    for _ in range(ROUNDS):
        in_one_loop(everybody())
        held.append(resident(server))
    assert set(statuses) == {200, 400, 413, 415, 422}
    assert sum(statuses.values()) == ROUNDS * len(asked)
    assert held[-1] < held[0] + SLACK_MB


def test_slow_clients_do_not_hold_up_others(start, photos, oracle) -> None:
    server = start("--read-timeout=6s")
    starts = (
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nX-",
        wire.head("Content-Length: 99999"),
        b"",
    )

    async def everybody() -> None:
        slow = [asyncio.create_task(wire.trickle(server.port, starts[n % 3])) for n in range(SLOW)]

        async def held_up() -> bool:
            return await figure(server, "cnnlab_requests_in_flight") > SLOW // 3

        await until(held_up)
        for number in range(4 * PHOTOS):
            asked = wire.request(another(photos[number % PHOTOS], number))
            oracle.check(await wire.ask_once(server.port, asked), number % PHOTOS)
        for said in await asyncio.gather(*slow):  # each is sent away some time
            assert said[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 400")

    in_one_loop(everybody())


def test_ten_times_the_rated_load_is_answered_or_told_to_try_again(start, photos, oracle) -> None:
    workers, queue, each = 1, 4, 4
    server = start(f"--workers={workers}", f"--queue={queue}")
    clients = 10 * (workers + queue)
    statuses: Counter[int] = Counter()
    together = asyncio.Barrier(clients)

    async def client(name: int) -> None:
        async with wire.connected(server.port) as connection:
            await together.wait()
            for turn in range(each):
                photo = (name + turn) % PHOTOS
                asked = wire.request(another(photos[photo], each * name + turn))
                answer = await wire.ask(connection, asked)
                statuses[answer.status] += 1
                if answer.status == 200:
                    oracle.check(answer, photo)
                    continue
                assert answer.body["error"]["code"] == "overloaded"
                assert answer.headers["retry-after"] == "1"

    async def everybody() -> None:
        await asyncio.gather(*(client(name) for name in range(clients)))
        oracle.check(await wire.ask_once(server.port, wire.request(photos[0])), 0)  # it recovers

    in_one_loop(everybody())
    assert set(statuses) == {200, 503}
    assert sum(statuses.values()) == clients * each
    figures = server.metrics()
    assert figures['cnnlab_requests_total{code="503",route="/v1/predict"}'] == statuses[503]
    # Whoever is refused costs the network nothing.
    assert figures["cnnlab_model_run_images_sum"] == statuses[200] + 1
    assert figures["cnnlab_queue_depth"] == 0


def test_the_end_loses_nothing_in_flight(start, photos, oracle) -> None:
    server = start("--workers=1")
    accepted = 40
    closed = asyncio.Event()

    async def accepted_before(name: int) -> None:
        """Have half a request accepted, and send the rest when the door is closed."""
        asked = wire.request(another(photos[name % PHOTOS], name))
        async with wire.connected(server.port) as connection:
            connection[1].write(asked[: len(asked) // 2])
            await closed.wait()
            oracle.check(await wire.ask(connection, asked[len(asked) // 2 :]), name % PHOTOS)

    async def again_and_again() -> None:
        """Ask until the door is closed: each time there is an answer, or nothing at all."""
        with suppress(ConnectionError):
            while True:
                try:
                    answer = await wire.ask_once(server.port, wire.request(photos[0]))
                except asyncio.IncompleteReadError as error:
                    if error.partial:
                        raise  # half an answer
                else:
                    oracle.check(answer, 0)

    async def all_accepted() -> bool:
        return await figure(server, "cnnlab_requests_in_flight") > accepted

    async def everybody() -> None:
        waiting = [asyncio.create_task(accepted_before(name)) for name in range(accepted)]
        await until(all_accepted)
        others = [asyncio.create_task(again_and_again()) for _ in range(8)]
        await asyncio.sleep(0.1)
        server._process.send_signal(signal.SIGTERM)
        await asyncio.gather(*others)
        closed.set()
        await asyncio.gather(*waiting)

    in_one_loop(everybody())
    assert server._process.wait(PATIENCE) == 0


def test_five_hundred_who_ask_the_same_share_one_run(start, photos, oracle) -> None:
    server = start()
    together = asyncio.Barrier(500)

    async def client() -> None:
        async with wire.connected(server.port) as connection:
            await together.wait()
            oracle.check(await wire.ask(connection, wire.request(photos[0])), 0)

    async def everybody() -> None:
        await asyncio.gather(*(client() for _ in range(500)))

    in_one_loop(everybody())
    assert server.metrics()["cnnlab_model_run_images_sum"] == 1


def test_models_are_swapped_under_load_without_a_lost_or_stale_answer(
    start, folders, photos, oracle, tmp_path
) -> None:
    link = tmp_path / "model"
    link.symlink_to(folders[0])
    server = start(folder=link)
    done = asyncio.Event()
    models: Counter[str] = Counter()

    async def client(name: int) -> None:
        async with wire.connected(server.port) as connection:
            number = name << 32
            while not done.is_set():
                number += 1
                photo = number % PHOTOS
                new = number % 4 == 0  # the others come from the cache
                content = another(photos[photo], number) if new else photos[photo]
                models[oracle.check(await wire.ask(connection, wire.request(content)), photo)] += 1

    async def swap(turn: int) -> None:
        """Point to the other model; once it is loaded, nobody hears of the first."""
        point(link, folders[turn % 2])
        server._process.send_signal(signal.SIGHUP)

        async def loaded() -> bool:
            return await figure(server, 'cnnlab_reloads_total{result="ok"}') == turn

        await until(loaded)
        for photo, content in enumerate(photos):
            answer = await wire.ask_once(server.port, wire.request(content))
            assert oracle.check(answer, photo) == oracle.models[turn % 2]

    async def everybody() -> None:
        running = [asyncio.create_task(client(name)) for name in range(4)]
        for turn in range(1, 7):
            await swap(turn)
        done.set()
        await asyncio.gather(*running)

    in_one_loop(everybody())
    assert set(models) == set(oracle.models)


def point(link: Path, folder: Path) -> None:
    """Let a link point elsewhere, in one step."""
    link.with_suffix(".new").symlink_to(folder)
    link.with_suffix(".new").replace(link)


def test_a_damaged_model_is_refused_and_the_old_one_goes_on(
    start, server_program, folders, photos, oracle, tmp_path
) -> None:
    damaged = tmp_path / "damaged"
    copytree(folders[1], damaged)
    weights = next((damaged / "saved_model" / "variables").glob("*.data*"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    command = [server_program, "--model", damaged, "--addr", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert '"ready"' not in done.stderr
    *_, line = done.stderr.splitlines()
    assert line.startswith("cnnlab-server: ")
    assert weights.name in line

    link = tmp_path / "model"
    link.symlink_to(folders[0])
    server = start(folder=link)
    point(link, damaged)
    server._process.send_signal(signal.SIGHUP)

    async def refused() -> bool:
        return await figure(server, 'cnnlab_reloads_total{result="refused"}') == 1

    in_one_loop(until(refused))
    answer = asyncio.run(wire.ask_once(server.port, wire.request(photos[0])))
    assert oracle.check(answer, 0) == oracle.models[0]


def test_a_body_in_pieces_is_cut_off_at_the_limit(start) -> None:
    server = start()
    piece = b"10000\r\n" + bytes(2**16) + b"\r\n"
    asked = wire.head("Transfer-Encoding: chunked") + piece * (MAX_BYTES // 2**16)
    for end, code in ((b"", "unknown_format"), (b"1\r\n\0\r\n", "too_many_bytes")):
        answer = asyncio.run(wire.ask_once(server.port, asked + end + b"0\r\n\r\n"))
        assert answer.body["error"]["code"] == code
        assert (answer.status == 413) == bool(end)


def test_the_token_opens(start, photos, oracle, tmp_path) -> None:
    (tmp_path / "token").write_text("open sesame\n")
    server = start(f"--token-file={tmp_path / 'token'}")
    for header, status in (("", 401), ("Bearer open", 401), ("Bearer open sesame", 200)):
        headers = [f"Authorization: {header}"] if header else []
        asked = wire.request(photos[0], *headers)
        answer = asyncio.run(wire.ask_once(server.port, asked))
        assert answer.status == status
    oracle.check(answer, 0)
