"""The pages of flows: a text beside its picture and its findings, of which nothing is ever run."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cli.help import texts
from console.app import shown
from console.flows.page import EXAMPLE, MOST_CHARS
from tests.harness.console import Person, csrf_of, person
from tests.orchestration.house import Agents, House, flow, house

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD = "apiVersion: passavant/v1\nkind: Flow\nname: job\nflow:\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    agents = Agents(draft=lambda _: "x")
    folder = tmp_path_factory.mktemp("flows")
    async with house(folder, [flow({"parallel": ["draft", "draft"]})], agents) as found:
        with shown(found.gateway.gateway, texts()):
            yield found


@pytest_asyncio.fixture(loop_scope="module")
async def vera(home: House) -> AsyncIterator[Person]:
    async with person(home.gateway, "vera") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def arno(home: House) -> AsyncIterator[Person]:
    async with person(home.gateway, "arno") as found:
        yield found


async def drafted(who: Person, text: str) -> str:
    page = await who.get("/runs/flows/draft")
    looked = await who.send(page, "/runs/flows/draft", text=text)
    assert looked.status_code == 200, looked.text
    return looked.text.partition('<div id="drawn">')[2]


async def test_the_flows_of_a_gateway_are_shown_with_their_pictures(vera: Person) -> None:
    assert "/runs/flows?name=job" in (await vera.get("/runs/flows")).text
    page = (await vera.get("/runs/flows?name=job")).text
    assert page.count(">draft<") == 2
    assert "nothing stands in its way" in page


@pytest.mark.parametrize("name", ["nothing", "%3Cscript%3E", "draft"])
async def test_a_flow_that_is_not_there_is_not_found(vera: Person, name: str) -> None:
    page = await vera.get(f"/runs/flows?name={name}")
    assert page.status_code == 404
    assert "<script>" not in page.text


async def test_a_draft_is_drawn_beside_its_text(arno: Person) -> None:
    page = await drafted(arno, f"{HEAD}  sequential: [draft, desk.pay]\n")
    assert "<svg" in page
    assert ">desk.pay<" in page


async def test_a_draft_is_held_against_the_policy_in_force(arno: Person) -> None:
    page = await drafted(arno, f"{HEAD}  sequential: [draft, desk.burn]\n")
    assert "flow.unknown-tool" in page
    assert "desk.burn" in page
    assert "flow.agent" in await drafted(arno, EXAMPLE)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param(HEAD + "  sequential: [draft\n", "draft.flow.yaml:6:1", id="no-yaml"),
        pytest.param(HEAD + "  sequence: [draft]\n", "draft.flow.yaml:5:", id="no-such-kind"),
        pytest.param(HEAD.replace("job", "Job!") + "  draft\n", ":3:7", id="name"),
        pytest.param(HEAD + "  wait: 5\n", "draft.flow.yaml:", id="type"),
        pytest.param("", "draft.flow.yaml", id="empty"),
        pytest.param("[" * 3000, "draft.flow.yaml", id="deep"),
        pytest.param(HEAD + "  draft\nname: other\n", "draft.flow.yaml:6:1", id="twice"),
        pytest.param("a: &a [x]\nb: *a\n", "draft.flow.yaml", id="aliases"),
        pytest.param("!!python/object/apply:os.system [id]\n", "draft.flow.yaml", id="tags"),
        pytest.param(
            HEAD + "  router: {conditions: [{when: 'args.x ==', to: draft}]}\n", "when", id="when"
        ),
        pytest.param(HEAD + "  draft\n\x00", "draft.flow.yaml", id="control"),
        pytest.param("<script>alert(1)</script>", "draft.flow.yaml", id="markup"),
    ],
)
async def test_what_is_no_flow_yet_says_where_it_is_wrong(
    arno: Person, text: str, place: str
) -> None:
    page = await drafted(arno, text)
    assert "This is no flow yet" in page
    assert place in page
    assert "<svg" not in page
    assert "<script>alert" not in page


async def test_a_question_is_text(arno: Person) -> None:
    question = r'"</text></svg><script>alert(1)</script>\u202e\u200b"'
    page = await drafted(arno, f"{HEAD}  approve: {{by: editors, question: {question}}}\n")
    assert "<svg" in page
    assert "<script>alert" not in page
    assert not set("\u202e\u200b") & set(page)


async def test_a_draft_is_never_run_or_recorded(home: House, arno: Person) -> None:
    page = await arno.get("/runs/flows/draft")
    before = home.gateway.size
    await arno.send(page, "/runs/flows/draft", text=f"{HEAD}  draft\n")
    assert home.gateway.entries(since=before) == []
    assert home.service.flows().keys() == {"job"}


async def test_whoever_may_only_look_sees_how_one_is_written(home: House, vera: Person) -> None:
    page = await vera.get("/runs/flows/draft")
    assert "<textarea" not in page.text
    assert "<svg" in page.text
    sent = await vera.post("/runs/flows/draft", {"csrf": csrf_of(page), "text": "x"})
    assert sent.status_code == 403


async def test_a_draft_has_an_end(arno: Person) -> None:
    page = await arno.get("/runs/flows/draft")
    fields = {"csrf": csrf_of(page), "text": "#" * (MOST_CHARS + 1)}
    assert (await arno.post("/runs/flows/draft", fields)).status_code == 400
    assert (await arno.post("/runs/flows/draft", {"text": EXAMPLE})).status_code == 403
