"""The player in a browser: what is seen at every step is what the engine computed, and everybody can use it."""

import json
import random
import re

import pytest

import tinygrad_sm as tg
from tests.helpers.browser import Watched, chromium
from tests.helpers.drawings import random_graph
from tinygrad_sm.viz.drawings.labels import number
from tinygrad_sm.viz.drawings.themes import contrast
from tinygrad_sm.viz.examples import EXAMPLES
from tinygrad_sm.viz.players.playing import player
from tinygrad_sm.viz.scenes.expansion import expanded
from tinygrad_sm.viz.scenes.flow import flow_of
from tinygrad_sm.viz.scenes.scene import Names, scene_of

pytestmark = pytest.mark.heavy

ALL_STOPS = "Number(document.getElementById('slider').max)"
# Everything that a person could see or hear, and the state of what can be set.
SEEN = (
    """() => document.querySelector('.app').outerHTML + [...document.querySelectorAll('input, select')].map((x) => x.value)"""
)


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a player, and afterwards sees that it asked for nothing and did not complain."""
    watched = []

    def open_page(playing, place="", **options):
        path = playing.save(tmp_path / f"{len(watched)}.html")
        watched.append((Watched(browser, **options), path.as_uri()))
        watched[-1][0].page.goto(path.as_uri() + place)
        return watched[-1][0].page

    yield open_page
    for each, address in watched:
        assert {url.partition("#")[0] for url in each.requests} == {address}
        assert each.complaints == []
        each.context.close()


def example(name, **keywords):
    value, names = EXAMPLES[name]()
    return player(value, names=names, **keywords)


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def text(page, selector):
    return page.locator(selector).text_content()


def stops(page):
    """Goes through all stops from the first to the last."""
    press(page, "Home")
    for i in range(page.evaluate(ALL_STOPS)):
        if i:
            press(page, "ArrowRight")
        yield i


# --- the numbers


def running(output, names):
    """What stands in the gradient cells after each contribution, by the id of the node: summed here, apart from the player."""
    scene = scene_of(output, names=names)
    flow = flow_of(scene, output)
    due = {me: sum(edge.tail == me and edge.id in flow.contributions for edge in scene.edges) for me in scene.nodes}
    cells = {scene.id_of(output): number(float(flow.gradients[scene.id_of(output)]))}
    states, sums, came = [dict(cells)], {}, dict.fromkeys(scene.nodes, 0)
    for me in flow.order:
        for edge in scene.nodes[me].operands:
            if edge.id in flow.contributions:
                to = edge.tail
                amount = flow.contributions[edge.id]
                sums[to] = sums[to] + amount if to in sums else amount
                came[to] += 1
                if getattr(amount, "shape", ()) == ():
                    cells[to] = number(float(sums[to])) + (f" ({came[to]}/{due[to]})" if came[to] < due[to] else "")
                brought = flow.contributions[edge.id]
                if getattr(brought, "shape", ()) == ():
                    text = number(float(brought))
                    cells[edge.id] = text if text[0] == "-" else f"+{text}"
                states.append(dict(cells))
    return scene, states


READ_CELLS = """(key) => Object.fromEntries([...document.querySelectorAll(`#view-${key} .node`)].map((node) => {
  const cell = document.getElementById(node.id.replace(/^(\\w+)-/, '$1-a_') + '_grad');
  return [node.id.replace(/^\\w+-/, ''), cell ? cell.textContent : ''];
}).concat([...document.querySelectorAll(`#view-${key} [id$="_cell"]`)].map((cell) => {
  const text = cell.querySelector('.reserved');
  return [cell.id.replace(/^\\w+-a_(.*)_cell$/, '$1'), text ? text.textContent : ''];
})).filter(([, text]) => text))"""
READ_VALUES = """(key) => Object.fromEntries([...document.querySelectorAll(`#view-${key} .node`)].map((node) => {
  const cell = document.getElementById(node.id.replace(/^(\\w+)-/, '$1-a_') + '_value');
  return [node.id.replace(/^\\w+-/, ''), getComputedStyle(cell).visibility === 'visible' ? cell.textContent : ''];
}))"""


@pytest.mark.parametrize("case", ["square", "neuron", "second-derivative", 3, 17])
def test_every_stop_shows_the_numbers_of_the_engine(opened, case):
    output, names = EXAMPLES[case]() if isinstance(case, str) else (random_graph(case), {})
    scene, states = running(output, Names(names)) if output.shape == () else (None, None)
    playing = player(output, names=names, expand=False)
    page = opened(playing)
    press(page, ".")
    known = {me for me, node in scene.nodes.items() if node.is_leaf}
    ops = iter([me for me, node in scene.nodes.items() if not node.is_leaf])
    at = iter(states)
    for _ in stops(page):
        heading = text(page, "#heading")
        kind = heading.partition(":")[0]
        if kind == "Forward":
            known.add(next(ops))
        shown = page.evaluate(READ_VALUES, "fused")
        for me, node in scene.nodes.items():
            if node.data is not None and (node.value is None or node.value.shape == ()) and not hasattr(node.data, "tolist"):
                assert shown[me] == (number(node.data) if me in known else "")
        if kind in ("Seed", "Backward"):
            expected = next(at)
            cells = page.evaluate(READ_CELLS, "fused")
            scalars = {me for me, node in scene.nodes.items() if node.value is not None and node.value.shape == ()}
            scalars |= {edge.id for edge in scene.edges}
            assert {me: x for me, x in cells.items() if me in scalars} == {me: x for me, x in expected.items() if me in scalars}
    assert next(at, None) is None and next(ops, None) is None


@pytest.mark.parametrize("name", ["cross-entropy", "mlp"])
def test_every_sentence_and_every_array_is_shown(opened, name):
    playing = example(name)
    page = opened(playing)
    data = json.loads(page.locator("#data").text_content())
    for view in data["views"]:
        page.get_by_role("button", name=view["title"], exact=True).click()
        at = iter(view["steps"])
        for _ in stops(page):
            step = next(at)
            assert text(page, "#text") == step["text"]
            assert text(page, "#heading").startswith(step["heading"])
        for node in view["nodes"]:  # at the end every gradient is there, entry by entry
            if node["gradient"] is None:
                continue
            held = data["quantities"][node["gradient"]]
            for i, entry in enumerate(held.get("texts", ()) if len(held["shape"]) else ()):
                cell = page.locator(f"#{view['key']}-a_{node['id']}_grad_{i}")
                if cell.count() and cell.locator("text").count():
                    assert cell.text_content() == entry


def test_gradients_at_the_end_are_those_of_backward(opened):
    output, names = EXAMPLES["cross-entropy"]()
    page = opened(player(output, names=names))
    press(page, "End")
    output.backward()
    texts = [page.locator(f"#fused-a_n0_grad_{i}").text_content() for i in range(3)]
    assert texts == [number(x) for x in names["logits"].grad.tolist()]


# --- stepping


@pytest.mark.parametrize(
    ("name", "view"), [("square", None), ("cross-entropy", "Both"), ("mlp", "Composed"), ("attention", None)]
)
@pytest.mark.parametrize("fine", [False, True])
def test_forward_and_back_restores_the_page_exactly(opened, name, view, fine):
    page = opened(example(name))
    if view:
        page.get_by_role("button", name=view, exact=True).click()
    if fine:
        press(page, ".")
    seen = [page.evaluate(SEEN) for _ in stops(page)]
    assert len({*seen}) == len(seen)  # every stop shows something else
    for expected in reversed(seen[:-1]):
        press(page, "ArrowLeft")
        assert page.evaluate(SEEN) == expected
    order = random.Random(0)
    for i in order.sample(range(len(seen)), min(12, len(seen))):
        page.evaluate(
            "(i) => { const s = document.getElementById('slider'); s.value = i; s.dispatchEvent(new Event('input')); }", i + 1
        )
        assert page.evaluate(SEEN) == seen[i]


def test_nothing_jumps_while_stepping(opened):
    page = opened(example("mlp"))
    where = """() => ['.bar', '.stage', '.controls', '.panel', '#slider', '#next', '#working']
      .map((s) => document.querySelector(s).getBoundingClientRect().toJSON())"""
    sizes = "() => [...document.querySelectorAll('.view:not([hidden]) .halo')].map((x) => JSON.stringify(x.getBBox().width))"
    columns = (
        "() => [...document.querySelectorAll('#working > table > tr > th')].map((x) => x.getBoundingClientRect().toJSON())"
    )
    press(page, ".")
    places, tables = set(), {}
    for _ in stops(page):
        places.add(json.dumps([page.evaluate(where), page.evaluate(sizes)]))
        tables.setdefault(text(page, "#heading"), set()).add(json.dumps(page.evaluate(columns)))
    assert len(places) == 1
    assert {len(found) for found in tables.values()} == {1}  # nor does the table, while the operands of a node go by


def test_a_graph_of_300_nodes_steps_in_less_than_50_ms(opened):
    choose = random.Random(1)
    values = [tg.Value(choose.random(), name=f"x{i}") for i in range(20)]
    for leaf in [*values, *[None] * 260]:
        other = leaf or choose.choice(values[-9:])
        values.append(
            choose.choice((values[-1] * other, values[-1] + other, values[-1] - 0.5 * other))
            if leaf
            else tg.tanh(values[-1] + other)
        )
    page = opened(player(values[-1], max_nodes=10_000))
    assert page.locator(".node").count() >= 300
    times = page.evaluate(
        """() => { const times = [], next = document.getElementById('next');
        while (!next.disabled) {
          const start = performance.now(); next.click(); document.body.offsetHeight; times.push(performance.now() - start);
        }
        return times.sort((a, b) => a - b); }"""
    )
    assert len(times) > 500
    print(f"median {times[len(times) // 2]:.1f} ms, longest {times[-1]:.1f} ms")
    assert times[len(times) // 2] < 50


def test_it_plays_and_pauses_by_itself(opened):
    page = opened(example("square"))
    page.clock.install()
    press(page, "Space")
    assert page.get_by_role("button", name="Pause").count() == 1
    page.clock.run_for(2500)
    assert text(page, "#count") == "Step 3 of 7"
    press(page, "Space")
    page.clock.run_for(5000)
    assert text(page, "#count") == "Step 3 of 7"
    page.select_option("#speed", "4")
    press(page, "Space")
    page.clock.run_for(20_000)
    assert text(page, "#count") == "Step 7 of 7" and page.get_by_role("button", name="Play", exact=True).count() == 1
    press(page, "Space")  # from the end it begins again
    assert text(page, "#count") == "Step 1 of 7"


# --- two forms in step


def test_the_fused_node_is_in_focus_while_its_primitives_play(opened):
    page = opened(example("cross-entropy"))
    press(page, "e")
    data = json.loads(page.locator("#data").text_content())
    steps = data["views"][1]["steps"]
    at = iter(steps)
    for i in stops(page):
        step = next(at)
        active = page.evaluate("() => [...document.querySelectorAll('.node.active')].map((node) => node.id)")
        if step["node"] is None:
            assert active == []
        else:
            assert active == [f"fused-{data['partners']['composed'][step['node']]}", f"composed-{step['node']}"]
        done = [k for k, until in enumerate(data["until"]) if until <= i][-1]  # what the fused graph shows as done
        fused = page.evaluate(READ_CELLS, "fused")
        assert bool(fused) == (done >= [x["kind"] for x in data["views"][0]["steps"]].index("seed"))
    assert "inside cross_entropy" in " ".join(text(page, "#heading") for _ in stops(page))


def test_changing_the_view_stays_at_the_same_place(opened):
    page = opened(example("cross-entropy"))
    press(page, "b", "e")
    assert text(page, "#heading").startswith("Seed") and text(page, "#count") == "Step 15 of 29"
    press(page, "e")
    assert text(page, "#count") == "Step 3 of 5"
    press(page, "End", "e")
    assert text(page, "#count") == "Step 29 of 29"


def test_the_largest_difference_is_shown_and_checked(opened):
    output, names = EXAMPLES["attention"]()
    twin = expanded(output).output
    page = opened(player(output, names=names))
    largest = max(
        abs(a - b)
        for x in (names["query"], names["key"], names["value"])
        for a, b in zip(*(tg.nd.reshape(tg.grad(form, x), (-1,)).tolist() for form in (output, twin)), strict=True)
    )
    press(page, "e")
    assert f"largest difference {number(max(largest, abs(output.item() - twin.item())), 2)}" in text(
        page, "#view-composed figcaption"
    )
    press(page, "g")
    assert page.locator("#checks").is_visible() and "gradient of key" in text(page, "#checks")


# --- everybody


def test_every_key_does_what_it_says(opened):
    page = opened(example("cross-entropy"))
    where = lambda: (text(page, "#count"), text(page, "#heading"))  # noqa: E731
    assert where() == ("Step 1 of 5", "Start")
    press(page, "l")
    assert where()[0] == "Step 2 of 5"
    press(page, "h", "End")
    assert where() == ("Step 5 of 5", "End")
    press(page, "Home", "b")
    assert where()[1] == "Seed: loss"
    press(page, "f")
    assert where()[1] == "Forward: loss"
    press(page, "e", "e", "Control+l", "Alt+ArrowRight", "Meta+b")
    assert where()[1] == "Forward: loss"
    press(page, "t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    size = page.locator("#view-fused svg").get_attribute("width")
    press(page, "-")
    assert float(page.locator("#view-fused svg").get_attribute("width")[:-2]) < float(size[:-2])
    press(page, "0")
    press(page, "?")
    assert page.locator("#keys").is_visible()
    press(page, "ArrowRight")
    assert where()[1] == "Forward: loss"  # the page below stands still
    press(page, "Escape")
    assert not page.locator("#keys").is_visible()
    press(page, ".")
    assert page.locator("#by-edge").get_attribute("aria-pressed") == "true"


def test_the_contributions_to_one_node_one_after_the_other(opened):
    page = opened(example("square"))
    press(page, "b", "ArrowRight", ".")
    assert "1 of 3" in text(page, "#text")
    press(page, "n")
    assert "2 of 3" in text(page, "#text")
    press(page, "n", "n")
    assert "3 of 3" in text(page, "#text")
    press(page, "p", "p", "p")
    assert "1 of 3" in text(page, "#text")


def test_the_keyboard_alone_reaches_everything_in_order(opened):
    page = opened(example("neuron"))
    press(page, "ArrowRight")
    reached = []
    for _ in range(80):
        press(page, "Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if reached[-1] == "BODY":
            break
    controls = (
        "first previous play next slider by-node by-edge speed smaller fit larger last check theme help search skip split "
        "working".split()
    )
    assert {*controls} <= {*reached} and "SUMMARY" in reached
    page.locator("#skip").focus()
    press(page, "Enter")
    assert page.evaluate("document.activeElement.id") == "play"
    nodes = [me for me in reached if me.startswith("fused-")]
    data = json.loads(page.locator("#data").text_content())
    assert nodes == [f"fused-{node['id']}" for node in data["views"][0]["nodes"]]
    last = nodes[-2]
    page.locator(f"#{last}").focus()
    press(page, "Enter")
    assert text(page, "#heading").startswith("Forward") and "active" in page.locator(f"#{last}").get_attribute("class")


def test_searching(opened):
    page = opened(example("neuron"))
    press(page, "/")
    page.keyboard.type("multiply")
    assert text(page, "#found") == "1 of 2" and page.locator(".node.found").count() == 2
    press(page, "Enter")
    assert text(page, "#heading") == "Forward: multiply #1"
    press(page, "Enter")
    assert text(page, "#heading") == "Forward: multiply #2" and text(page, "#found") == "2 of 2"
    page.keyboard.type("xyz")
    assert text(page, "#found") == "none"
    press(page, "Escape")
    assert page.locator(".node.found").count() == 0
    press(page, "ArrowLeft")
    assert text(page, "#heading") == "Forward: multiply #1"


def test_words_for_those_who_listen(opened):
    page = opened(example("square"))
    assert page.locator("#text").get_attribute("role") == "status"
    press(page, "b", "ArrowRight")
    assert page.locator("#slider").get_attribute("aria-valuetext") == "Backward: y, 5 of 7"
    labels = [page.locator(f"#fused-n{i}").get_attribute("aria-label") for i in range(3)]
    assert labels == [
        "x, value 3, gradient 1, 1 of 3 so far",
        "multiply, value 9, gradient 1",
        "y, add, value 12, gradient 1",
    ]
    assert page.get_by_role("button").count() >= 14
    for button in page.get_by_role("button").all():
        assert button.get_attribute("aria-label") or button.text_content().strip()


def test_entries_of_heat_maps_are_read_out(opened):
    page = opened(example("cross-entropy"))
    press(page, "End")
    page.locator("#fused-a_n0_value_1").hover()
    output, names = EXAMPLES["cross-entropy"]()
    gradient = tg.grad(output, names["logits"]).tolist()
    assert text(page, "#readout") == f"logits[1]: value 1.0, gradient {gradient[1]!r}"
    press(page, "Home")
    page.locator("#fused-a_n0_value_2").hover()
    assert text(page, "#readout") == "logits[2]: value 0.5, gradient not yet"
    grid = page.locator("#working [role=grid]").first
    grid.locator("[tabindex='0']").focus()
    assert text(page, "#readout") == "logits[0] = 2.0"
    press(page, "ArrowRight")
    assert text(page, "#readout") == "logits[1] = 1.0" and text(page, "#count") == "Step 1 of 5"


def test_links_to_a_step(opened):
    from playwright.sync_api import expect

    page = opened(example("cross-entropy"), place="#s=21.2&v=composed")
    assert text(page, "#heading") == "Backward: subtract #2, inside cross_entropy" and "to log1p" in text(page, "#text")
    assert page.locator("#view-fused").is_hidden()
    page.evaluate("location.hash = '#s=2&v=fused'")
    expect(page.locator("#heading")).to_have_text("Forward: loss")
    press(page, "ArrowRight")
    expect(page).to_have_url(re.compile("#s=3&v=fused&e=1$"))
    page.evaluate("location.hash = '#s=9999&v=nowhere'")
    expect(page.locator("#heading")).to_have_text("End")


# --- the room on the page

ROOM = """() => ({
  page: document.documentElement.scrollHeight, window: innerHeight, stage: document.getElementById('stage').offsetHeight,
  views: [...document.querySelectorAll('.view:not([hidden])')].map((view) => {
    const port = view.querySelector('.scroll').getBoundingClientRect(), svg = view.querySelector('svg').getBoundingClientRect();
    const box = ({ left, right, top, bottom }) => ({ left, right, top, bottom });
    const halos = [...view.querySelectorAll('.node.active > .halo')];
    return { height: view.offsetHeight, zoom: 3 * svg.width / view.querySelector('svg').viewBox.baseVal.width / 4,
      port: box(port), svg: box(svg), active: halos.map((halo) => box(halo.getBoundingClientRect())) };
  })
})"""


def within(inner, outer):
    slack = 1.5
    return all(inner[k] >= outer[k] - slack for k in ("left", "top")) and all(
        inner[k] <= outer[k] + slack for k in ("right", "bottom")
    )


@pytest.mark.parametrize(
    ("width", "height", "least"), [(1400, 850, 0.61), (1280, 800, 0.6), (900, 720, 0.58), (3840, 2160, 0.7)]
)
def test_the_graph_has_most_of_the_page_and_nothing_else_scrolls(opened, width, height, least):
    room = opened(example("mlp"), viewport={"width": width, "height": height}).evaluate(ROOM)
    assert room["stage"] / height > least and room["page"] == height


@pytest.mark.parametrize("name", ["square", "cross-entropy", "attention"])
def test_a_graph_that_can_be_read_is_seen_whole_and_in_the_middle(opened, name):
    page = opened(example(name), viewport={"width": 1400, "height": 850})
    (view,) = page.evaluate(ROOM)["views"]
    port, svg = view["port"], view["svg"]
    assert within(svg, port) and 0.5 <= view["zoom"] <= 1.26
    for low, high in (("left", "right"), ("top", "bottom")):
        assert svg[low] - port[low] == pytest.approx(port[high] - svg[high], abs=2)


@pytest.mark.parametrize(("name", "width", "height"), [("mlp", 1400, 850), ("mlp", 900, 720), ("distillation", 1280, 800)])
def test_the_node_in_focus_is_seen_whole_at_every_stop(opened, name, width, height):
    page = opened(example(name), viewport={"width": width, "height": height})
    for view in ("Fused", "Both", "Composed"):
        page.get_by_role("button", name=view, exact=True).click()
        seen = 0
        for _ in stops(page):
            for each in page.evaluate(ROOM)["views"]:
                assert each["zoom"] > 0.39
                seen += len(each["active"])
                assert all(within(box, each["port"]) for box in each["active"]), text(page, "#heading")
        assert seen > 6


def test_of_two_graphs_each_gets_its_share(opened):
    page = opened(example("mlp"), viewport={"width": 1400, "height": 1000})
    press(page, "e")
    heights = [view["height"] for view in page.evaluate(ROOM)["views"]]
    assert heights[1] > 1.2 * heights[0] and min(heights) > 0.27 * sum(heights)


def test_fit_and_zoom(opened):
    page = opened(example("mlp"), place="#v=composed")
    zoom = lambda: page.evaluate(ROOM)["views"][0]["zoom"]  # noqa: E731
    reading = zoom()
    assert reading == pytest.approx(0.75, abs=0.01)
    press(page, "0")  # once more shows the whole
    whole = page.evaluate(ROOM)["views"][0]
    assert within(whole["svg"], whole["port"]) and whole["zoom"] < 0.5
    press(page, "0")
    assert zoom() == reading
    press(page, "+")
    assert zoom() == pytest.approx(reading * 1.25, rel=0.01)
    page.set_viewport_size({"width": 1000, "height": 700})
    page.wait_for_timeout(100)
    assert zoom() == pytest.approx(reading * 1.25, rel=0.01)  # what somebody has chosen stays
    press(page, "0")
    assert zoom() == pytest.approx(reading, abs=0.01)


def test_the_line_above_the_numbers_moves(opened):
    page = opened(example("mlp"))
    heights = lambda: [page.locator(x).bounding_box()["height"] for x in ("#panel", "#stage")]  # noqa: E731
    before = heights()
    line = page.locator("#split")
    assert line.get_attribute("aria-valuenow") == str(round(before[0]))
    line.focus()
    press(page, "ArrowUp", "ArrowUp")
    assert heights() == [before[0] + 48, before[1] - 48] and line.get_attribute("aria-valuenow") == str(round(before[0]) + 48)
    press(page, *["ArrowUp"] * 40)
    assert heights()[1] == pytest.approx(160, abs=2)
    press(page, *["ArrowDown"] * 40)
    assert heights()[0] == 100 and text(page, "#count") == "Step 1 of 11"
    at = line.bounding_box()
    page.mouse.move(500, at["y"])
    page.mouse.down()
    page.mouse.move(500, at["y"] - 90)
    page.mouse.up()
    page.mouse.move(500, 200)
    assert heights()[0] == pytest.approx(190, abs=2)


def test_wide_numbers_scroll_and_fade_where_they_go_on(opened):
    x = tg.Value([[0.123456 * i * (-1) ** i for i in range(8)]] * 3, name="a long name of weights")
    page = opened(player(tg.sum(tg.tanh(x) * 0.54321)))
    working = page.locator("#working")
    wide = "(x) => [x.classList.contains('more'), x.scrollWidth > x.clientWidth, x.scrollLeft]"
    assert working.evaluate(wide) == [False, False, 0]
    press(page, "End", "ArrowLeft")
    assert working.evaluate(wide) == [True, True, 0]
    working.focus()
    count = text(page, "#count")
    press(page, *["ArrowRight"] * 60)
    page.wait_for_timeout(300)
    after = working.evaluate(wide)
    assert after[:2] == [False, True] and after[2] > 0 and text(page, "#count") == count
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# --- how it looks

BOXES = """() => [...document.querySelectorAll('.view:not([hidden]) text')].map((text) => {
  const box = text.getBBox(), cell = text.closest('[id*="-a_"]'), node = text.closest('.node, .cluster');
  const before_it = text.previousElementSibling;
  const filled = cell && !/-a_[a-z]+\\d+$/.test(cell.id) ? cell.querySelector(':scope > polygon') : null;
  const shape = before_it && before_it.matches('rect') ? before_it : filled;
  const shapes = ['polygon', 'path'].flatMap((tag) => [`:scope > g > ${tag}`, `:scope > ${tag}`]).join();
  const own = node ? [...node.querySelectorAll(shapes)] : [];
  const outline = own.length ? own[0].getBBox() : null;
  const inside = shape ? shape.getBBox() : outline;
  const label = text.parentNode.previousElementSibling;
  const before = text.classList.contains('reserved') && !shape && label && label.tagName === 'text' ? label.getBBox() : null;
  const ends = (box) => (box ? [box.x, box.x + box.width] : [null, null]);
  return [text.textContent, ...ends(box), ...ends(inside), ends(before)[1]];
}).filter((x) => x[0].trim())"""


@pytest.mark.parametrize("case", ["square", "neuron", "cross-entropy", "mlp", "attention", 5])
def test_no_text_is_wider_than_its_cell(opened, case):
    playing = example(case) if isinstance(case, str) else player(random_graph(case))
    page = opened(playing)
    press(page, ".")
    if page.get_by_role("button", name="Composed").count():
        page.get_by_role("button", name="Composed").click()
    checked = 0
    for i in stops(page):
        if i % 5 and i > 20:
            continue
        for written, left, right, low, high, before in page.evaluate(BOXES):
            if low is not None:
                assert left > low + 0.9 and right < high - 0.9, (written, left, right, low, high)
                checked += 1
            if before is not None:
                assert left > before, (written, left, before)
    assert checked > 20
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    narrow = "() => [...document.querySelectorAll('button, .count, h1')].filter((x) => x.scrollWidth > x.clientWidth + 1)"
    assert page.evaluate(f"({narrow})().map((x) => x.textContent)") == []


COLOURS = """() => {
  const channels = (colour) => [...colour.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const found = [];
  const walker = document.createTreeWalker(document.querySelector('dialog[open]') || document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, holder = node.parentElement;
    if (!node.textContent.trim() || holder.closest('script, style, [hidden], option')) continue;
    const style = getComputedStyle(holder);
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (style.visibility === 'hidden' || !box.width || !holder.checkVisibility({ contentVisibilityAuto: true })) continue;
    let behind = null;
    if (holder.closest('svg')) {
      const svg = holder.closest('svg');
      const middle = [box.x + box.width / 2, box.y + box.height / 2];
      const at = new DOMPoint(...middle).matrixTransform(holder.getScreenCTM().inverse());
      for (const shape of (holder.closest('.node, .cluster') || svg).querySelectorAll('polygon, path, rect')) {
        const fill = getComputedStyle(shape).fill; // of several the last one is on top
        if (fill !== 'none' && !fill.startsWith('rgba(0, 0, 0, 0') && shape.isPointInFill(at)) behind = fill;
      }
    }
    const start = holder.closest('svg') ? holder.closest('svg').parentElement : holder;
    for (let above = start; above && !behind; above = above.parentElement) {
      const colour = getComputedStyle(above).backgroundColor;
      if (channels(colour)[3] > 0.99) behind = colour;
    }
    let opacity = 1;
    for (let above = holder; above; above = above.parentElement) opacity *= Number(getComputedStyle(above).opacity);
    const ink = holder.closest('svg') ? style.fill : style.color;
    found.push([node.textContent.trim().slice(0, 40), channels(ink), channels(behind || 'rgb(255,255,255)'), opacity]);
  }
  return found;
}"""


def hexadecimal(channels):
    return "#" + "".join(f"{round(x):02x}" for x in channels[:3])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["cross-entropy", "mlp"])
def test_the_contrast_of_all_text_is_enough(opened, name, theme):
    page = opened(example(name, theme=theme))
    press(page, "e")
    count = page.evaluate(ALL_STOPS)
    pairs = set()
    for i in {0, 1, count // 3, count // 2 + 1, count - 2, count - 1}:
        page.evaluate(
            "(i) => { const s = document.getElementById('slider'); s.value = i; s.dispatchEvent(new Event('input')); }", i + 1
        )
        found = page.evaluate(COLOURS)
        assert len(found) > 60
        for written, ink, paper, opacity in found:
            assert opacity == 1 and ink[3] == 1, written
            assert contrast(hexadecimal(ink), hexadecimal(paper)) >= 4.5, (written, hexadecimal(ink), hexadecimal(paper))
            pairs.add((hexadecimal(ink), hexadecimal(paper)))
    assert len(pairs) > 12
    for key in ("?", "g"):
        press(page, key)
        for written, ink, paper, _ in page.evaluate(COLOURS):
            assert contrast(hexadecimal(ink), hexadecimal(paper)) >= 4.5, written
        press(page, "Escape")


def test_themes_follow_the_reader_and_the_button(opened):
    paper = "getComputedStyle(document.body.parentElement).backgroundColor"
    dark, light = "rgb(22, 24, 28)", "rgb(255, 255, 255)"
    assert opened(example("square"), color_scheme="dark").evaluate(paper) == dark
    page = opened(example("square"), color_scheme="light")
    assert page.evaluate(paper) == light
    page.locator("#theme").click()
    assert page.evaluate(paper) == dark
    page.locator("#theme").click()
    assert page.evaluate(paper) == light
    assert opened(example("square", theme="light"), color_scheme="dark").evaluate(paper) == light


def test_motion_can_be_reduced(opened):
    moving = "() => [...document.querySelectorAll('*')].filter((x) => getComputedStyle(x).transitionDuration !== '0s').length"
    assert opened(example("square")).evaluate(moving) == 0
    assert opened(example("square"), reduced_motion="no-preference").evaluate(moving) > 0


def test_backward_is_dashed_and_forward_is_not(opened):
    page = opened(example("square"))
    dashes = "(name) => [...document.querySelectorAll(`.edge.${name} path`)].map((x) => getComputedStyle(x).strokeDasharray)"
    press(page, "f")
    assert page.evaluate(dashes, "forward") == ["none", "none"]
    press(page, "b", "ArrowRight")
    assert page.evaluate(dashes, "backward") == ["7px, 4px"] * 2


# --- elsewhere


def test_print_and_pages_without_scripts_have_all_steps(opened, browser):
    playing = example("cross-entropy")
    page = opened(playing)
    last = json.loads(page.locator("#data").text_content())["views"][1]["steps"][-1]["text"]
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.get_by_text(last).last.is_visible() and not page.locator("#next").is_visible()
    assert page.locator("#view-composed").is_visible() and page.locator("#fused-a_n0_grad_0").text_content() != ""
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#fused-a_n0_grad_0").text_content() == ""
    assert page.pdf().startswith(b"%PDF")
    bare = opened(playing, java_script_enabled=False)
    assert bare.get_by_text(last).last.is_visible() and bare.locator(".notice").is_visible()
    assert not bare.locator("#next").is_visible()
    assert bare.locator("#composed-n0").bounding_box()["height"] > 20


def test_two_players_in_a_notebook(browser, tmp_path):
    frames = [example(name)._repr_html_() for name in ("square", "cross-entropy")]
    path = tmp_path / "notebook.html"
    path.write_text("<!doctype html><meta charset=utf-8><title>notebook</title>" + "".join(frames), encoding="utf-8")
    watched = Watched(browser)
    page = watched.page
    page.goto(path.as_uri())
    first, second = page.frames[1:]
    first.locator("#next").click()
    second.locator("#last").click()
    assert (first.locator("#count").text_content(), second.locator("#count").text_content()) == ("Step 2 of 7", "Step 5 of 5")
    second.locator("body").press("e")
    assert second.locator("#view-composed").is_visible()
    page.wait_for_timeout(400)  # the address would be written after a while
    assert watched.complaints == []
    assert not [url for url in watched.requests if not re.match(r"file:|about:srcdoc", url)]
    assert page.evaluate("document.querySelectorAll('[id]').length") == 0  # all ids are within the frames
    watched.context.close()


def test_a_frame_that_is_shown_later_is_drawn_as_one_that_was_there(browser, tmp_path):
    frame = example("cross-entropy")._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>n</title><div hidden>{frame}</div>{frame}", encoding="utf-8")
    watched = Watched(browser)
    watched.page.goto(path.as_uri())
    watched.page.wait_for_timeout(200)
    watched.page.evaluate("document.querySelector('div').hidden = false")
    watched.page.wait_for_timeout(200)
    rooms = [frame.evaluate(ROOM) for frame in watched.page.frames[1:]]
    halos = [
        frame.evaluate("[...document.querySelectorAll('.view:not([hidden]) .halo')].map((x) => x.getAttribute('width'))")
        for frame in watched.page.frames[1:]
    ]
    assert halos[0] == halos[1] and min(map(float, halos[0])) > 30 and rooms[0] == rooms[1]
    assert watched.complaints == []
    watched.context.close()


def test_a_printed_page_shows_the_end_with_nothing_in_focus(opened):
    page = opened(example("cross-entropy"), place="#s=9&v=both")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(100)
    assert page.locator(".node.active").count() == 0 and page.locator("#fused-a_n0_grad_0").text_content() == "-0.3715"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".node.active").count() == 2 and text(page, "#fused-a_n0_grad_0") == ""


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("#s=", ("Start", "false", "fused")),
        ("#s=0", ("Start", "false", "fused")),
        ("#s=-1", ("Start", "false", "fused")),
        ("#s=99999999999999999999", ("End", "false", "fused")),
        ("#s=2&v=__proto__", ("Forward: loss", "false", "fused")),
        ("#s=%&e=0", ("Start", "false", "fused")),
        ("#v=both", ("Start", "false", "both")),
        ("#</script><img src=x onerror=alert(1)>", ("Start", "false", "fused")),
    ],
)
def test_broken_links_end_at_a_step(opened, place, expected):
    page = opened(example("cross-entropy"), place=place)
    pressed = "[...document.querySelectorAll('#views [aria-pressed=true]')].map((x) => x.value).join()"
    fine = page.locator("#by-edge").get_attribute("aria-pressed")
    assert (text(page, "#heading"), fine, page.evaluate(pressed)) == expected


def test_small_windows(opened):
    for width, height in ((800, 900), (420, 800), (360, 640)):
        page = opened(example("cross-entropy"), viewport={"width": width, "height": height})
        press(page, "e", "b", "ArrowRight")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#next").is_visible() and page.locator("#text").is_visible()
