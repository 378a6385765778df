// What a person does: steps, modes, search, links, keys and buttons.

// --- where we are

const views = data.views.map((trace) => new View(trace));
const state = { view: views[0].key, t: 0, fine: false, zoomed: false, printing: false, playing: null, speed: 1, found: new Set(), at: 0, partner: null };

const lead = () => views[state.view === views[0].key || !views[1] ? 0 : 1];
const other = () => (views[1] ? views[lead() === views[0] ? 1 : 0] : null);
const time = (view) => (view === lead() ? state.t : mapped(lead(), state.t));

// The moment of the other view that goes with moment t of this one. `data.until` has, for each step of the first view, the
// step of the second after which everything up to there is done.
const mapped = (view, t) => {
  if (view === views[0]) return lastOf(views[1], data.until[view.moments[t].step]);
  const { step, part } = view.moments[t];
  const done = t + 1 >= view.moments.length || view.moments[t + 1].step !== step ? step : step - 1;
  let found = 0;
  data.until.forEach((until, at) => { if (until <= done) found = at; });
  return part >= 0 ? lastOf(views[0], found) : 0;
};
const lastOf = (view, step) => (step + 1 < view.firsts.length ? view.firsts[step + 1] : view.moments.length) - 1;

// Where the buttons stop: after every moment, or after the last one of every step.
const stops = (view) => view.moments.map((_, t) => t).filter((t) => state.fine || t === lastOf(view, view.moments[t].step));

const atEnd = () => { state.partner = null; for (const view of views) view.render(view.moments.length - 1); }; // as a print shows it

const render = (smooth = true) => {
  const view = lead();
  const { step: at, part } = view.moments[state.t];
  const step = view.trace.steps[at];
  const partner = other();
  state.partner = partner ? data.partners[view.key][step.node] || null : null;
  for (const each of views) {
    each.lead = each === view;
    if (!each.figure.hidden) each.render(time(each));
  }
  const inside = view === views[1] && data.inside[step.node] ? `, inside ${data.inside[step.node]}` : '';
  setText(byId('heading'), step.heading + inside);
  setText(byId('text'), state.fine && step.moments && step.moments.length ? step.moments[part].text : step.text);
  setText(byId('habit'), step.habit || '');
  setText(byId('rule'), step.rule || '');
  setClass(document.querySelector('.panel'), `panel live ${{ forward: 'forward', seed: 'backward', backward: 'backward' }[step.kind] || ''}`.trim());
  const working = byId('working');
  replace(working, workings[step.kind](view, step, part));
  working.scrollLeft = 0;
  setClass(working, 'working');
  if (working.scrollWidth > working.clientWidth) setClass(working, 'working tight');
  fade();
  read('');
  const places = stops(view);
  const place = places.indexOf(state.t);
  const slider = byId('slider');
  slider.max = String(places.length);
  slider.value = String(place + 1);
  slider.setAttribute('aria-valuetext', `${step.heading}, ${place + 1} of ${places.length}`);
  setText(byId('count'), `Step ${place + 1} of ${places.length}`);
  for (const id of ['first', 'previous']) byId(id).disabled = place === 0;
  for (const id of ['next', 'last']) byId(id).disabled = place === places.length - 1;
  remember();
  view.follow(step.node, smooth, neighbours(step, part));
  if (partner) partner.follow(state.partner, smooth, partner.operandsOf(state.partner));
};

// Where numbers are beyond the right edge, they fade there.
const fade = () => {
  const working = byId('working');
  working.classList.toggle('more', working.scrollLeft + working.clientWidth < working.scrollWidth - 1);
};

// What a step takes from or gives to, the one that is shown first.
const neighbours = (step, part) => {
  const given = (step.moments || []).map((moment) => moment.to);
  const taken = step.kind === 'forward' ? lead().operandsOf(step.node) : [];
  return state.fine ? given.slice(part, part + 1).concat(taken) : given.concat(taken);
};

const go = (t, smooth = true) => {
  const view = lead();
  t = clamp(t, 0, view.moments.length - 1);
  state.t = state.fine ? t : lastOf(view, view.moments[t].step);
  render(smooth);
};

const move = (by) => {
  const all = stops(lead());
  go(all[clamp(all.indexOf(state.t) + by, 0, all.length - 1)]);
};

const firstOfKind = (...kinds) => {
  const at = lead().trace.steps.findIndex((step) => kinds.includes(step.kind));
  if (at >= 0) go(lead().firsts[at]);
};

// To the step of a node: of its gradient when we are on the way back, else of its value.
const visit = (view, node) => {
  const isBack = view.moments[time(view)].step >= view.trace.steps.findIndex((step) => step.kind === 'seed');
  const hasSeed = view.trace.steps.some((step) => step.kind === 'seed');
  const own = node.steps.length ? node.steps[isBack && hasSeed ? node.steps.length - 1 : 0] : null;
  let t = own !== null ? view.firsts[own] : isBack && node.gradients.length ? node.gradients[node.gradients.length - 1].at : 0;
  if (view !== lead()) t = mapped(view, lastOf(view, view.moments[t].step));
  go(t);
};

const contribution = (by) => {
  const view = lead();
  const { step, part } = view.moments[state.t];
  const moments = view.trace.steps[step].moments;
  if (!moments || !moments.length) return;
  const times = view.nodes.get(moments[part].to).gradients.map((gradient) => gradient.at);
  const next = times[times.indexOf(state.t) + by];
  if (next === undefined) return;
  setFine(true, false);
  go(next);
};

// --- modes

const setFine = (fine, draw = true) => {
  state.fine = fine;
  byId('by-node').setAttribute('aria-pressed', String(!fine));
  byId('by-edge').setAttribute('aria-pressed', String(fine));
  if (draw) go(state.t);
};

const setView = (key, draw = true) => {
  if (key !== 'both' && !views.some((view) => view.key === key)) return;
  if (key === 'both' && !views[1]) return;
  const before = lead();
  state.view = key;
  state.zoomed = false;
  if (lead() !== before) state.t = mapped(before, state.t);
  for (const view of views) view.figure.hidden = key !== 'both' && view.key !== key;
  for (const button of byId('views').children) button.setAttribute('aria-pressed', String(button.value === key));
  settle();
  search(false);
  if (draw) go(state.t, false);
};

// Makes the graphs as large as the room allows, unless somebody has chosen a size. Of two each gets a share of the height by
// its own shape, and neither less than a third.
const settle = () => {
  const seen = views.filter((view) => !view.figure.hidden);
  const wishes = seen.map((view) => view.wish());
  const all = wishes.reduce((a, b) => a + b, 0);
  seen.forEach((view, i) => view.figure.style.setProperty('--share', clamp(wishes[i] / all, 1 / 3, 1)));
  for (const view of seen) {
    view.frame();
    if (!state.zoomed) view.fit();
  }
};

const play = (on) => {
  clearTimeout(state.playing);
  const isLast = state.t === lead().moments.length - 1;
  if (on && isLast) go(0);
  state.playing = on ? setTimeout(tick, 1200 / state.speed) : null;
  byId('play').classList.toggle('playing', on);
  byId('play').setAttribute('aria-label', on ? 'Pause' : 'Play');
};
const tick = () => {
  move(1);
  play(state.t < lead().moments.length - 1);
};

const toggleTheme = () => {
  const now = root.dataset.theme === 'auto' ? (dark.matches ? 'dark' : 'light') : root.dataset.theme;
  root.dataset.theme = now === 'dark' ? 'light' : 'dark';
};

const zoom = (factor) => {
  for (const view of views.filter((each) => !each.figure.hidden)) {
    if (factor) view.setZoom(view.zoom * factor); else view.fit(!state.zoomed && !view.isWhole);
    const step = view.trace.steps[view.moments[time(view)].step];
    view.follow(view === lead() ? step.node : state.partner, false);
  }
  state.zoomed = factor !== 0;
};

const toggleDialog = (id) => {
  const dialog = byId(id);
  if (dialog.open) dialog.close(); else dialog.showModal();
};

// --- finding a node

const search = (next) => {
  const words = byId('search').value.trim().toLowerCase();
  const nodes = [...lead().nodes.values()];
  const found = words ? nodes.filter((node) => node.group && `${node.label} ${node.op} ${node.role}`.toLowerCase().includes(words)) : [];
  state.at = next ? (state.at + 1) % Math.max(found.length, 1) : 0;
  state.found = new Set(found);
  setText(byId('found'), words ? (found.length ? `${state.at + 1} of ${found.length}` : 'none') : '');
  return found[state.at];
};

// --- the address: a link to this step, where the page has an address of its own

let waiting = 0;
const remember = () => { // in a while, since browsers complain about an address that changes often
  clearTimeout(waiting);
  waiting = setTimeout(remembered, 250);
};
const remembered = () => {
  const view = lead();
  const { step, part } = view.moments[state.t];
  const place = `${step + 1}${state.fine && part ? `.${part + 1}` : ''}`;
  const hash = `#s=${place}${views[1] ? `&v=${state.view}` : ''}${state.fine ? '&e=1' : ''}`;
  if (location.hash === hash) return;
  try { history.replaceState(null, '', hash); } catch { /* in a sandbox a page has no address */ }
};

const recall = () => {
  const given = new URLSearchParams(location.hash.slice(1));
  const place = /^(\d+)(?:\.(\d+))?$/.exec(given.get('s') || '');
  if (given.get('v')) setView(given.get('v'), false);
  if (given.get('e') === '1' || (place && place[2])) setFine(true, false);
  if (!place) return go(0, false);
  const view = lead();
  const step = clamp(Number(place[1]) - 1, 0, view.firsts.length - 1);
  const part = clamp(Number(place[2] || 1) - 1, 0, lastOf(view, step) - view.firsts[step]);
  return go(view.firsts[step] + part, false);
};

// --- keys and buttons

const toggleBoth = () => { if (views[1]) setView(state.view === 'both' ? views[0].key : 'both'); };
const keys = {
  ArrowRight: () => move(1), l: () => move(1),
  ArrowLeft: () => move(-1), h: () => move(-1),
  Home: () => go(0), End: () => go(Infinity),
  ' ': () => play(!state.playing),
  f: () => firstOfKind('forward'), b: () => firstOfKind('seed', 'backward'),
  '.': () => setFine(!state.fine),
  n: () => contribution(1), p: () => contribution(-1),
  e: toggleBoth, g: () => toggleDialog('checks'), t: toggleTheme,
  '+': () => zoom(1.25), '=': () => zoom(1.25), '-': () => zoom(0.8), 0: () => zoom(0),
  '?': () => toggleDialog('keys'), '/': () => byId('search').focus()
};
const STEPPING = new Set(['ArrowRight', 'ArrowLeft', 'Home', 'End', 'l', 'h', 'f', 'b', 'n', 'p']);

// With the numbers in focus the arrows move them, if there are more than fit.
const isScrolling = (target) => target.id === 'working' && target.scrollWidth > target.clientWidth;

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest('input[type="search"], select, dialog')) return;
  if (isScrolling(event.target) && event.key.startsWith('Arrow')) return;
  if (event.target.matches('button, summary') && (event.key === ' ' || event.key === 'Enter')) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!Object.hasOwn(keys, key)) return;
  event.preventDefault();
  if (STEPPING.has(key)) play(false);
  keys[key]();
});

const clicks = {
  first: () => go(0), previous: () => move(-1), play: () => play(!state.playing), next: () => move(1), last: () => go(Infinity),
  'by-node': () => setFine(false), 'by-edge': () => setFine(true),
  smaller: () => zoom(0.8), fit: () => zoom(0), larger: () => zoom(1.25),
  skip: () => byId('play').focus(), theme: toggleTheme, help: () => toggleDialog('keys'), check: () => toggleDialog('checks')
};
for (const [id, act] of Object.entries(clicks)) {
  byId(id).addEventListener('click', () => {
    if (['first', 'previous', 'next', 'last'].includes(id)) play(false);
    act();
  });
}
byId('slider').addEventListener('input', (event) => { play(false); go(stops(lead())[Number(event.target.value) - 1], false); });
byId('speed').addEventListener('change', (event) => { state.speed = Number(event.target.value); play(Boolean(state.playing)); });
byId('search').addEventListener('input', () => { const node = search(false); render(false); if (node) lead().follow(node.id, true); });
byId('search').addEventListener('keydown', (event) => {
  if (event.key === 'Escape') { event.target.value = ''; search(false); event.target.blur(); render(false); }
  if (event.key !== 'Enter') return;
  event.preventDefault();
  const node = search(state.visited === event.target.value);
  state.visited = event.target.value;
  if (node) { visit(lead(), node); lead().follow(node.id, true); }
});
addEventListener('hashchange', recall);
let wasOpen = false;
addEventListener('beforeprint', () => { state.printing = true; wasOpen = byId('all').open; byId('all').open = true; atEnd(); });
addEventListener('afterprint', () => { state.printing = false; byId('all').open = wasOpen; render(false); });

if (views[1]) {
  for (const [key, title] of [...views.map((view) => [view.key, view.title]), ['both', 'Both']]) {
    const button = element('button', { type: 'button', value: key, 'aria-keyshortcuts': key === 'both' ? 'e' : null }, title);
    button.addEventListener('click', () => setView(key));
    byId('views').append(button);
  }
}
root.classList.add('js');
byId('all').open = false;
setView(views[0].key, false);
recall();

// --- the line between graph and numbers, which can be moved

const panel = byId('panel');
const split = byId('split');
const divide = (height) => {
  panel.style.setProperty('--panel', `${Math.round(clamp(height, 100, highest()))}px`);
  told();
};
const highest = () => Math.max(panel.offsetHeight + byId('stage').offsetHeight - 160, 100);
const told = () => {
  split.setAttribute('aria-valuenow', String(panel.offsetHeight));
  split.setAttribute('aria-valuemax', String(highest()));
};
split.addEventListener('pointerdown', (event) => split.setPointerCapture(event.pointerId));
split.addEventListener('pointermove', (event) => {
  if (split.hasPointerCapture(event.pointerId)) divide(panel.getBoundingClientRect().bottom - event.clientY);
});
split.addEventListener('keydown', (event) => {
  const by = { ArrowUp: 24, ArrowDown: -24 }[event.key];
  if (!by) return;
  event.preventDefault();
  divide(panel.offsetHeight + by);
});
byId('working').addEventListener('scroll', fade);

const measured = () => {
  if (matchMedia('print').matches || state.printing) return;
  if (panel.style.getPropertyValue('--panel')) divide(panel.offsetHeight); // the window may have shrunk
  else told();
  settle();
  render(false);
};
new ResizeObserver(measured).observe(byId('stage'));
