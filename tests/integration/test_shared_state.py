"""A state in PostgreSQL that several bridges share: one owns it, and nobody else can write, whatever is lost on the way."""

import asyncio
import os
import shutil
import time
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest
from support.database_wire import DatabaseWire
from support.patience import patience
from support.postgresql import postgresql, what_is_missing
from support.shared_state import MEMBER, state_settings
from support.tls import Authority
from support.until import eventually
from support.values import commit, model, onto, transition

from bridge.control.socket_messages import Request, decode_answer, encode_request, encode_result
from bridge.errors import OwnerUnavailable, StateError, StateNewer, StateUnwritable
from bridge.store.postgresql.order_book import OrderBook
from bridge.store.postgresql.shared_state import Replica, StateDatabase, make_tables

SHORT = "2s"


@pytest.fixture
def url(cluster) -> str:
    return cluster.state_url("states")


@pytest.fixture
def wire(cluster):
    wire = DatabaseWire(cluster.folder)
    yield wire
    wire.stop()


@pytest.fixture
def through(cluster, wire):
    """The settings of a new state that is reached through the wire."""
    return state_settings(cluster.state_url("states", str(wire.folder)), lease=SHORT)


@asynccontextmanager
async def owner(settings):
    async with Replica.joined(settings, MEMBER) as replica:
        async with asyncio.timeout(patience()):
            while not await replica.take():  # noqa: ASYNC110 - the database has no event
                await asyncio.sleep(0.05)
        yield replica, await replica.load()


def execute(cluster, settings, statement: str) -> list[tuple]:
    with psycopg.connect(cluster.state_url("states"), autocommit=True) as connection:
        cursor = connection.execute(statement.format(schema=settings.schema))
        return cursor.fetchall() if cursor.description else []


def known(settings) -> list[str]:
    return sorted(key for key, _ in StateDatabase(settings).documents().items("models"))


async def test_of_many_that_want_it_at_once_one_owns_it(url) -> None:
    settings = state_settings(url)
    async with Replica.joined(settings, MEMBER) as first:
        for _ in range(20):
            others = [Replica.joined(settings, MEMBER) for _ in range(6)]
            replicas = [await one.__aenter__() for one in others]
            assert sum(await asyncio.gather(*(one.take() for one in replicas))) == 1
            for one in others:
                await one.__aexit__(None, None, None)
        assert await first.take()


async def test_who_was_declared_dead_writes_nothing_more_and_knows(url, cluster) -> None:
    settings = state_settings(url)
    async with owner(settings) as (old, state):
        await state.commit_poll(commit(models=[model("a")]))
        execute(cluster, settings, "UPDATE {schema}.members SET expires_at = now() - interval '1 s'")
        async with owner(settings) as (_, fresh):
            with pytest.raises(StateUnwritable, match="another bridge owns it"):
                await state.commit_poll(onto(state, commit(models=[model("b")])))
            assert old.membership.ended.is_set()
            assert not state.is_owned()
            await fresh.commit_poll(onto(fresh, commit(models=[model("c")])))
    assert known(settings) == ["a", "c"]


async def test_an_owner_that_left_and_came_back_cannot_go_on_with_what_it_read_before(url, cluster) -> None:
    settings = state_settings(url)
    async with owner(settings) as (old, state):
        execute(cluster, settings, "UPDATE {schema}.duties SET term = term + 1")
        with pytest.raises(StateUnwritable):
            await state.commit_poll(commit(models=[model("a")]))
        assert old.refused_commits == 1
    assert known(settings) == []


async def test_what_another_wrote_under_the_same_term_is_not_overwritten(url, cluster) -> None:
    settings = state_settings(url)
    async with owner(settings) as (_, state):
        execute(cluster, settings, "UPDATE {schema}.meta SET revision = revision + 1")
        with pytest.raises(StateUnwritable):
            await state.commit_poll(commit(models=[model("a")]))
    assert known(settings) == []


async def test_a_commit_whose_answer_is_lost_takes_effect_once_and_goes_on(through, wire) -> None:
    async with owner(through) as (_, state):
        for number, name in enumerate("abc", start=1):
            wire.lose_answer_to("swap AS")
            entries = await state.commit_poll(onto(state, commit(transition(number), models=[model(name)])))
            assert wire.has_lost.is_set()
            assert [one.id for one in entries] == [number]
        assert [one.id for one in state.pending()] == [1, 2, 3]
    assert known(through) == ["a", "b", "c"]


async def test_a_commit_waits_out_a_broken_connection(through, wire) -> None:
    async with owner(through) as (_, state):
        await state.commit_poll(commit(models=[model("a")]))
        wire.cut()
        await state.commit_poll(onto(state, commit(models=[model("b")])))
    assert known(through) == ["a", "b"]


async def test_cut_off_from_the_database_a_commit_ends_with_the_lease_and_the_loop_never_stops(
    through, wire
) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    async with owner(through) as (replica, state):
        await state.commit_poll(commit(models=[model("a")]))
        turning = asyncio.create_task(turn())
        wire.hang()
        began = time.monotonic()
        with pytest.raises(StateUnwritable):
            await state.commit_poll(onto(state, commit(models=[model("b")])))
        took = time.monotonic() - began
        turning.cancel()
        assert not state.is_owned()
        await asyncio.wait_for(replica.membership.ended.wait(), patience())
        wire.mend()
    assert turns > took * 20
    assert took < 2 * replica.membership.lease_s + patience() / 60


async def test_who_is_cut_off_is_succeeded_within_a_lease_and_cannot_write_when_it_is_back(
    through, wire, cluster
) -> None:
    direct = through.model_copy(update={"url": cluster.state_url("states")})
    async with owner(through) as (_, state):
        await state.commit_poll(commit(models=[model("a")]))
        wire.hang()
        async with owner(direct) as (_, fresh):
            wire.mend()
            with pytest.raises(StateUnwritable):
                await state.commit_poll(onto(state, commit(models=[model("b")])))
            await fresh.commit_poll(onto(fresh, commit(models=[model("c")])))
    assert known(direct) == ["a", "c"]


async def test_a_cancelled_commit_is_durable_and_known_or_neither(through, wire) -> None:
    async with owner(through) as (_, state):
        await state.commit_poll(commit(models=[model("a")]))
        for number, after_ms in enumerate((0, 1, 2, 5, 20)):
            name = f"m{number}"
            wire.hang()
            task = asyncio.create_task(state.commit_poll(onto(state, commit(models=[model(name)]))))
            await asyncio.sleep(after_ms / 1000)
            task.cancel()
            wire.mend()
            with suppress(asyncio.CancelledError):
                await task
            assert sorted(state.known()) == known(through)
        await state.commit_poll(onto(state, commit(models=[model("z")])))
    assert "z" in known(through)


async def test_commits_that_are_asked_for_at_once_are_made_one_after_the_other(url) -> None:
    async with owner(state_settings(url)) as (_, state):
        await state.commit_poll(commit(transition(1), models=[model()]))
        (entry,) = state.pending()
        made = await asyncio.gather(*(state.enqueue([entry, entry]) for _ in range(20)))
    numbers = [one.id for group in made for one in group]
    assert sorted(numbers) == list(range(2, 42))


async def test_an_order_is_answered_by_the_owner(url) -> None:
    settings = state_settings(url)
    async with owner(settings) as (replica, _):
        book = OrderBook(replica.database, replica.membership.id)
        request = encode_request(Request("poll", {"with": "a \ud800 name"}))
        asking = asyncio.create_task(
            asyncio.to_thread(StateDatabase(settings).ask_owner, request, patience())
        )
        orders: list = []
        while not orders:
            orders = await book.take()
            await asyncio.sleep(0.02)
        ((order, asked),) = orders
        assert await book.take() == []
        await book.answer(order, encode_result({"done": "it"}))
        answer = await asking
        book.close()
    assert asked == request
    assert decode_answer(answer) == {"done": "it"}


async def test_an_order_that_nobody_takes_is_withdrawn(url, cluster) -> None:
    settings = state_settings(url)
    async with owner(settings):
        with pytest.raises(OwnerUnavailable, match="none took the order"):
            await asyncio.to_thread(
                StateDatabase(settings).ask_owner, encode_request(Request("poll", {})), 0.3
            )
    assert execute(cluster, settings, "SELECT count(*) FROM {schema}.orders") == [(0,)]


async def test_an_order_whose_owner_ends_is_told_so_at_once(url) -> None:
    settings = state_settings(url)
    request = encode_request(Request("poll", {}))
    async with owner(settings) as (replica, _):
        book = OrderBook(replica.database, replica.membership.id)
        asking = asyncio.create_task(
            asyncio.to_thread(StateDatabase(settings).ask_owner, request, patience())
        )
        while not await book.take():  # noqa: ASYNC110 - the database has no event
            await asyncio.sleep(0.02)
        book.close()
    with pytest.raises(OwnerUnavailable, match="ended before it had answered"):
        await asking


async def test_only_the_owner_takes_orders(url) -> None:
    settings = state_settings(url)
    async with owner(settings), Replica.joined(settings, MEMBER) as standby:
        book = OrderBook(standby.database, standby.membership.id)
        asking = asyncio.create_task(
            asyncio.to_thread(StateDatabase(settings).ask_owner, encode_request(Request("poll", {})), 0.5)
        )
        await asyncio.sleep(0.2)
        assert await book.take() == []
        book.close()
        with pytest.raises(OwnerUnavailable):
            await asking


async def test_a_state_of_a_later_version_is_refused_and_left_alone(url, cluster) -> None:
    settings = state_settings(url)
    async with owner(settings):
        pass
    execute(cluster, settings, "UPDATE {schema}.meta SET format = 99")
    with pytest.raises(StateNewer, match="has format 99"):
        async with owner(settings):
            pass
    with pytest.raises(StateNewer):
        StateDatabase(settings).documents()


async def test_members_are_listed_with_their_owner(url) -> None:
    settings = state_settings(url)
    async with owner(settings), Replica.joined(settings, MEMBER):
        members = await asyncio.to_thread(StateDatabase(settings).members)
    assert [one.is_owner for one in members] == [True, False]
    assert {(one.name, one.version, one.configuration) for one in members} == {("host:1", "1.0", "digest")}
    assert StateDatabase(settings).members() == []


def test_a_database_that_loses_commits_or_takes_none_is_refused_in_words(cluster) -> None:
    cluster.create("careless")
    cluster.tell("postgres", "ALTER DATABASE careless SET synchronous_commit = off;")
    careless = state_settings(cluster.state_url("careless"))
    with pytest.raises(StateUnwritable, match="synchronous_commit is off"):
        StateDatabase(careless).check()
    with pytest.raises(StateUnwritable, match="cannot be used"):
        StateDatabase(state_settings(cluster.state_url("missing"))).check()


def test_a_role_without_rights_is_told_what_to_grant(cluster) -> None:
    cluster.tell("states", "CREATE ROLE poor LOGIN;")
    poor = state_settings(cluster.state_url("states").replace("//", "//poor@", 1).replace("@postgres@", "@"))
    try:
        with pytest.raises(StateError, match="GRANT CREATE ON DATABASE"):
            StateDatabase(poor).check()
    finally:
        cluster.tell("states", "DROP ROLE poor;")


async def test_two_states_in_one_database_know_nothing_of_each_other(url) -> None:
    one, other = state_settings(url), state_settings(url)
    async with owner(one) as (_, first), owner(other) as (_, second):
        await first.commit_poll(commit(models=[model("a")]))
        assert list(second.known()) == []
    assert (known(one), known(other)) == (["a"], [])


async def test_an_owner_that_is_stopped_gives_no_sign_of_life_and_is_not_trusted(through, wire) -> None:
    async with owner(through) as (replica, state):
        wire.hang()
        await eventually(lambda: not state.is_owned())
        wire.mend()
        await eventually(lambda: replica.membership.ended.is_set() or state.is_owned())


async def test_a_commit_that_the_database_refuses_is_told_at_once_and_the_ownership_stays(
    url, cluster
) -> None:
    settings = state_settings(url)
    async with owner(settings) as (replica, state):
        await state.commit_poll(commit(models=[model("a")]))
        execute(
            cluster, settings, "ALTER TABLE {schema}.documents ADD CONSTRAINT full_disk CHECK (key <> 'b')"
        )
        with pytest.raises(StateUnwritable, match="full_disk"):
            await state.commit_poll(onto(state, commit(models=[model("b")])))
        assert not replica.membership.ended.is_set()
        execute(cluster, settings, "ALTER TABLE {schema}.documents DROP CONSTRAINT full_disk")
        await state.commit_poll(onto(state, commit(models=[model("b")])))
    assert known(settings) == ["a", "b"]


async def test_a_commit_that_is_slow_and_asked_for_again_is_no_refusal(cluster) -> None:
    settings = state_settings(cluster.state_url("states"), lease="3s")
    async with owner(settings) as (replica, state):
        await state.commit_poll(commit(models=[model("a")]))
        with psycopg.connect(cluster.state_url("states")) as other:
            other.execute(f"SELECT 1 FROM {settings.schema}.meta FOR UPDATE")  # noqa: S608 - the test's own name
            slow = asyncio.create_task(state.commit_poll(onto(state, commit(models=[model("b")]))))
            await asyncio.sleep(1.5)  # longer than a try may take: a second one waits behind the first
            other.rollback()
            await slow
        assert replica.refused_commits == 0
        assert state.is_owned()
    assert known(settings) == ["a", "b"]


async def test_an_order_whose_command_lost_the_database_is_withdrawn_or_said_to_be_in_doubt(
    through, wire, cluster
) -> None:
    direct = through.model_copy(update={"url": cluster.state_url("states")})
    request = encode_request(Request("poll", {}))
    async with owner(direct) as (replica, _):
        asking = asyncio.create_task(asyncio.to_thread(StateDatabase(through).ask_owner, request, patience()))
        await asyncio.sleep(0.5)
        wire.cut()
        with pytest.raises(StateUnwritable):
            await asking
        assert execute(cluster, direct, "SELECT count(*) FROM {schema}.orders") == [(0,)]

        book = OrderBook(replica.database, replica.membership.id)
        asking = asyncio.create_task(asyncio.to_thread(StateDatabase(through).ask_owner, request, patience()))
        while not await book.take():  # noqa: ASYNC110 - the database has no event
            await asyncio.sleep(0.02)
        wire.cut()
        with pytest.raises(OwnerUnavailable, match="may have been carried out"):
            await asking
        book.close()


@pytest.mark.parametrize(
    "url", ["postgresql://b@h/db%ff", "postgresql://b@db..example.com/x", "postgresql://?port=x"]
)
def test_an_address_that_cannot_be_used_is_told_in_a_sentence(url) -> None:
    with pytest.raises(StateUnwritable, match="cannot be used"):
        StateDatabase(state_settings(url)).check()


async def test_a_role_that_may_make_no_tables_works_with_those_that_are_there(url, cluster) -> None:
    settings = state_settings(url)
    await make_tables(settings)
    await make_tables(settings)
    cluster.tell(
        "states",
        f"CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA {settings.schema} TO plain; "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {settings.schema} TO plain;",
    )
    plain = settings.model_copy(update={"url": "postgresql://plain@" + settings.url.partition("@")[2]})
    try:
        await asyncio.to_thread(StateDatabase(plain).check)
        async with owner(plain) as (_, state):
            await state.commit_poll(commit(models=[model("a")]))
        assert known(plain) == ["a"]
        with pytest.raises(StateUnwritable, match="permission denied"):
            await make_tables(state_settings(plain.url))
    finally:
        cluster.tell("states", "DROP OWNED BY plain; DROP ROLE plain;")


ADDRESS = f"127.1.{os.getpid() // 254 % 256}.{os.getpid() % 254 + 1}"
"""On loopback, of this process alone: PostgreSQL names its socket by its port, so that has to be the usual one."""


@pytest.fixture
def guarded(tmp_path):
    """A PostgreSQL that asks for passwords, and over TCP for TLS as well; and who signed its certificate."""
    if what_is_missing():
        pytest.skip(what_is_missing())
    authority = Authority(tmp_path)
    with postgresql() as cluster:
        data = cluster.folder / "data"
        for source, name in zip(
            authority.issue("server", "localhost"), ("server.crt", "server.key"), strict=True
        ):
            shutil.copy(source, data / name)
            shutil.chown(data / name, data.owner(), data.group())
            (data / name).chmod(0o600)
        (data / "pg_hba.conf").write_text(
            f"local all {data.owner()} trust\nlocal all all scram-sha-256\n"
            f"hostssl all all {ADDRESS}/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        with (data / "postgresql.conf").open("a") as file:
            file.write("ssl = on\n")
        cluster.addresses = ADDRESS
        cluster.restart()
        cluster.create("states")
        cluster.tell(
            "states", "CREATE ROLE bridge LOGIN PASSWORD 'first'; GRANT CREATE ON DATABASE states TO bridge;"
        )
        yield cluster, authority


def secret_file(path, value: str) -> dict[str, str]:
    path.write_text(value)
    return {"file": str(path)}


async def test_a_password_that_rotates_needs_no_restart_and_is_shown_nowhere(guarded, tmp_path) -> None:
    cluster, _ = guarded
    url = f"postgresql://bridge@/states?host={cluster.folder}"
    password = secret_file(tmp_path / "password", "first")
    settings = state_settings(url, password=password, lease="3s")
    async with owner(settings) as (_, state):
        await state.commit_poll(commit(models=[model("a")]))
        cluster.tell("states", "ALTER ROLE bridge PASSWORD 'second';")
        secret_file(tmp_path / "password", "second")
        cluster.tell(
            "states", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bridge';"
        )
        await state.commit_poll(onto(state, commit(models=[model("b")])))
        await asyncio.sleep(1.5)
        assert state.is_owned()
    secret_file(tmp_path / "password", "wrong")
    with pytest.raises(StateUnwritable, match="password authentication failed") as refused:
        StateDatabase(settings).check()
    assert "wrong" not in str(refused.value).replace("wrong password", "")
    (tmp_path / "password").unlink()
    with pytest.raises(StateUnwritable, match=r"state\.password"):
        StateDatabase(settings).check()


async def test_a_server_is_verified_by_its_certificate_and_name(guarded, tmp_path) -> None:
    _, authority = guarded
    password = secret_file(tmp_path / "password", "first")
    over = f"hostaddr={ADDRESS}&sslrootcert={authority.ca_file}"

    def to(host: str) -> object:
        return state_settings(
            f"postgresql://bridge@{host}/states?{over}", password=password, sslmode="verify-full"
        )

    async with owner(to("localhost")) as (_, state):
        await state.commit_poll(commit(models=[model("a")]))
    with pytest.raises(StateUnwritable, match="does not match host name"):
        StateDatabase(to("another.example.com")).check()
    (tmp_path / "stranger").mkdir()
    stranger = Authority(tmp_path / "stranger")
    over = f"hostaddr={ADDRESS}&sslrootcert={stranger.ca_file}"
    with pytest.raises(StateUnwritable, match="certificate verify failed"):
        StateDatabase(to("localhost")).check()
