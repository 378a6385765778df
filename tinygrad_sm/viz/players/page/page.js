'use strict';
// The player. Python has laid out the graphs and told every step; this page only shows them. What is seen at a step depends
// on nothing but the step, so that going forward and back again restores the page exactly.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId('data').textContent);
  const quantities = data.quantities;
  const root = document.documentElement;
  const POINT = 4 / 3; // pixels
  const READABLE = 0.5; // times its own size; a smaller picture cannot be read,
  const READING = 0.75; // and where the whole would be, part of it is shown at this size
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  const dark = matchMedia('(prefers-color-scheme: dark)');

  // --- making elements: text is always set as text, never read as markup

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  const replace = (parent, ...children) => parent.replaceChildren(...children.filter((child) => child !== null));
  const setText = (target, text) => { if (target.textContent !== text) target.textContent = text; };
  const setClass = (target, name) => { if (target.getAttribute('class') !== name) target.setAttribute('class', name); };
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  // The class of a heat map's entry: ten steps of colour to either side of zero, as in the pictures.
  const heat = (held, entry) => {
    if (held.reprs[entry] === 'nan') return 'heat undefined';
    const step = Math.round(Math.abs(held.levels[entry]) / 10);
    return `heat ${step ? (held.levels[entry] > 0 ? 'up' : 'down') : 'at'}${step}`;
  };
  const textOf = (index) => (index === null ? '' : quantities[index].text);

  // --- a graph and where in time each of its parts changes

  class View {
    constructor(trace) {
      this.key = trace.key;
      this.title = trace.title;
      this.trace = trace;
      this.figure = byId(`view-${trace.key}`);
      this.scroll = this.figure.querySelector('.scroll');
      this.svg = this.figure.querySelector('svg');
      this.zoom = 1;
      this.largest = [1, 1]; // width and height of nodes, in points
      this.width = parseFloat(this.svg.getAttribute('width'));
      this.height = parseFloat(this.svg.getAttribute('height'));
      this.nodes = new Map(trace.nodes.map((node) => [node.id, { ...node, known: 0, gradients: [], steps: [] }]));
      this.moments = []; // time: one for each step, but a step back has one for each operand
      this.firsts = []; // the first moment of each step
      this.lay();
      this.find();
    }

    // Fills the time line: moments, and for each node when its value and its running totals appear.
    lay() {
      this.edgeTimes = new Map(this.trace.edges.map((edge) => [edge.id, { forward: -1, backward: -1 }]));
      this.trace.steps.forEach((step, at) => {
        const now = this.moments.length;
        this.firsts.push(now);
        for (let i = 0; i < Math.max(1, (step.moments || []).length); i++) this.moments.push({ step: at, part: i });
        const node = this.nodes.get(step.node);
        if (node) node.steps.push(at);
        if (step.kind === 'forward') {
          node.known = now;
          for (const taken of step.takes) this.edgeTimes.get(taken.edge).forward = now;
        } else if (step.kind === 'seed') {
          node.gradients.push({ at: now, quantity: step.incoming, count: '', final: true });
        }
        (step.moments || []).forEach((moment, i) => {
          const final = moment.final;
          const count = `${moment.count[0]} of ${moment.count[1]}`;
          this.nodes.get(moment.to).gradients.push({ at: now + i, quantity: moment.total, count, final });
          this.edgeTimes.get(moment.edge).backward = now + i;
        });
      });
    }

    // Finds the parts of the picture once. Nodes come in the order of their steps, which is the order of the Tab key.
    find() {
      this.svg.setAttribute('role', 'group'); // of buttons; a picture would have nothing within
      const prefix = `${this.key}-`;
      const own = (id) => this.svg.querySelector(`#${CSS.escape(prefix + id)}`);
      for (const part of this.svg.querySelectorAll('[id]')) {
        const match = /^a_(\w+?)_(value|then|now|grad)(?:_(\w+))?$/.exec(part.id.slice(prefix.length));
        const node = match && this.nodes.get(match[1]);
        if (!node) continue;
        part.classList.add(match[2] === 'grad' ? 'is-grad' : 'is-value');
        if (match[2] === 'grad') this.gradientCell(node, part, match[3]);
        if (match[2] !== 'now' && /^\d+$/.test(match[3] || '')) this.entryCell(node, part, Number(match[3]));
      }
      for (const node of this.nodes.values()) {
        node.group = own(node.id);
        if (!node.group) continue;
        node.group.setAttribute('tabindex', '0');
        node.group.setAttribute('role', 'button');
        node.group.addEventListener('click', () => visit(this, node));
        node.group.addEventListener('keydown', (event) => {
          if (event.key === 'Enter') { visit(this, node); event.preventDefault(); }
        });
        node.group.addEventListener('pointerenter', () => read(this.describe(node, true)));
        node.group.addEventListener('focus', () => read(this.describe(node, true)));
        node.group.addEventListener('pointerleave', () => read(''));
      }
      const graph = this.svg.querySelector('.graph');
      for (const part of [...this.nodes.values(), ...this.trace.edges.map((edge) => ({ group: own(edge.id) }))]) {
        if (part.group) graph.append(part.group); // edges above nodes, so that nothing covers their arrows
      }
      this.arrow();
      this.edges = this.trace.edges.map((edge) => {
        const text = this.svg.querySelector(`#${CSS.escape(`${prefix}a_${edge.id}_cell`)} .reserved`);
        return { ...edge, group: own(edge.id), text, brings: text ? text.textContent : '', ...this.edgeTimes.get(edge.id) };
      });
    }

    // Gradients go against the arrows of the picture, so they have an arrow of their own at the other end.
    arrow() {
      const svg = (tag, values) => {
        const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
        for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
        return made;
      };
      const id = `${this.key}-back-arrow`;
      const marker = svg('marker', { id, viewBox: '0 0 10 10', refX: 9, refY: 5, markerWidth: 9, markerHeight: 9, orient: 'auto-start-reverse', markerUnits: 'userSpaceOnUse' });
      marker.append(svg('path', { d: 'M0 1L10 5L0 9z', class: 'back-arrow' }));
      this.svg.append(marker);
      this.svg.style.setProperty('--back-arrow', `url(#${id})`);
    }

    gradientCell(node, part, entry) {
      node.cells = node.cells || new Map();
      node.cells.set(entry || '', part);
      if (/^\d+$/.test(entry || '')) part.classList.add('is-heat');
    }

    entryCell(node, part, entry) {
      part.addEventListener('pointerenter', () => read(this.entryText(node, entry)));
      part.addEventListener('pointerleave', () => read(this.describe(node, true)));
    }

    entryText(node, entry) {
      const value = time(this) >= node.known ? node.value : null;
      const gradient = this.gradientAt(node, time(this));
      return `${node.label}${indexText(quantities[node.value].shape, entry)}: value ${entryOf(value, entry)}` +
        `, gradient ${gradient ? entryOf(gradient.quantity, entry) : 'not yet'}`;
    }

    gradientAt(node, t) {
      let found = null;
      for (const gradient of node.gradients) if (gradient.at <= t) found = gradient;
      return found;
    }

    describe(node, full = false, t = time(this)) {
      const isItsValue = node.role === 'constant' && node.label === textOf(node.value);
      const words = [node.op && node.op !== node.label ? `${node.label}, ${node.op}` : isItsValue ? `constant ${node.label}` : node.label];
      if (node.value !== null && !isItsValue) words.push(t >= node.known ? `value ${inWords(node.value, full)}` : 'not computed yet');
      if (node.gradient !== null) {
        const gradient = this.gradientAt(node, t);
        const state = gradient && !gradient.final ? `, ${gradient.count} so far` : '';
        words.push(gradient ? `gradient ${inWords(gradient.quantity, full)}${state}` : 'no gradient yet');
      }
      return words.join(', ');
    }

    // Shows the moment t. `active` are nodes in focus, edges by which something flows now.
    render(t) {
      const { step: at } = this.moments[t];
      const step = this.trace.steps[at];
      const from = step.moments && !state.fine ? this.firsts[at] : t;
      const receiving = new Set((step.moments || []).slice(this.moments[from].part, this.moments[t].part + 1).map((m) => m.to));
      for (const node of this.nodes.values()) {
        if (!node.group) continue;
        const gradient = this.gradientAt(node, t);
        let name = 'node';
        if (t < node.known) name += ' unvisited';
        if (gradient) name += gradient.final ? ' final' : ' partial';
        if (this.isActive(node, step)) name += ' active';
        if (this.lead && receiving.has(node.id)) name += ' receives';
        if (state.found.has(node)) name += ' found';
        setClass(node.group, name);
        if (node.shown !== gradient || !node.filled) {
          this.fill(node, gradient);
          node.shown = gradient;
          node.filled = true;
        }
        const label = this.describe(node, false, t);
        if (node.group.getAttribute('aria-label') !== label) node.group.setAttribute('aria-label', label);
      }
      for (const edge of this.edges) {
        if (!edge.group) continue;
        let name = 'edge';
        if (t < edge.forward) name += ' unvisited';
        if (this.lead && edge.forward === t && step.kind === 'forward') name += ' forward';
        if (this.lead && edge.backward >= from && edge.backward <= t && step.kind === 'backward') name += ' backward';
        setClass(edge.group, name);
        if (edge.text) setText(edge.text, edge.backward >= 0 && edge.backward <= t ? edge.brings : '');
      }
    }

    isActive(node, step) {
      return this.lead ? node.id === step.node : node.id === state.partner;
    }

    fill(node, gradient) {
      for (const [entry, cell] of node.cells || []) {
        const text = cell.querySelector('text.reserved');
        if (/^\d+$/.test(entry)) {
          const held = gradient && quantities[gradient.quantity];
          if (text) setText(text, held ? held.texts[entry] : '');
          const fill = cell.matches('rect') ? cell : cell.querySelector('rect');
          if (fill) setClass(fill, held ? heat(held, entry) : 'empty');
        } else if (entry === '' && text) {
          setText(text, gradient ? textOf(gradient.quantity) + (gradient.final ? '' : ` (${gradient.count.replace(' of ', '/')})`) : '');
        }
      }
    }

    // A frame around each node, which shows what is active; it needs the sizes of a picture that is on the screen, which in a
    // notebook comes later than the page.
    frame() {
      if (this.framed || !this.svg.getBoundingClientRect().width) return;
      for (const node of this.nodes.values()) {
        if (!node.group) continue;
        const box = node.group.getBBox();
        this.largest = [Math.max(this.largest[0], box.width), Math.max(this.largest[1], box.height)];
        const halo = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
        const values = { class: 'halo', x: box.x - 3, y: box.y - 3, width: box.width + 6, height: box.height + 6, rx: 6 };
        for (const [name, value] of Object.entries(values)) halo.setAttribute(name, value);
        node.group.prepend(halo);
      }
      this.framed = true;
    }

    setZoom(zoom) {
      this.zoom = clamp(zoom, 0.15, 4);
      this.svg.setAttribute('width', `${(this.width * this.zoom).toFixed(1)}pt`);
      this.svg.setAttribute('height', `${(this.height * this.zoom).toFixed(1)}pt`);
    }

    operandsOf(id) {
      return this.trace.edges.filter((edge) => edge.head === id).map((edge) => edge.tail);
    }

    // The zoom at which something of a size in points fits into the room there is.
    zoomFor(width, height) {
      const room = this.scroll.getBoundingClientRect();
      return Math.min((room.width - 36) / (width * POINT), (room.height - 24) / (height * POINT));
    }

    // The whole graph if it can be read at that size, else as much of it as can, but at least any one node.
    fit(whole = false) {
      const all = Math.min(this.zoomFor(this.width, this.height), 1.25);
      this.isWhole = whole || all >= READABLE;
      this.setZoom(this.isWhole ? all : Math.max(Math.min(READING, this.zoomFor(...this.largest)), 0.4));
    }

    // The height that the graph would like to have at the width there is.
    wish() {
      const across = this.zoomFor(this.width, 0);
      return this.height * (across >= READABLE ? Math.min(across, 1.25) : READING);
    }

    // Scrolls the node in focus into sight, with its neighbours in this step if there is room, and not at all if it is there.
    follow(id, smooth, neighbours = []) {
      const found = [id, ...neighbours].map((each) => this.nodes.get(each)).filter((node) => node && node.group);
      if (!id || !found.length || this.figure.hidden) return;
      const port = this.scroll.getBoundingClientRect();
      const boxes = found.map((node) => (node.group.querySelector('.halo') || node.group).getBoundingClientRect());
      const shift = (low, high) => {
        const least = port[low] + 8, most = port[high] - 8;
        const around = [Math.min(...boxes.map((box) => box[low])), Math.max(...boxes.map((box) => box[high]))];
        const [from, to] = around[1] - around[0] <= most - least ? around : [boxes[0][low], boxes[0][high]];
        if (to - from > most - least) return from - least; // too large: from its beginning
        return from < least || to > most ? (from + to - least - most) / 2 : 0;
      };
      const left = shift('left', 'right'), top = shift('top', 'bottom'); // 0 ends a scroll that is on its way elsewhere
      this.scroll.scrollBy({ left, top, behavior: smooth && (left || top) && !still.matches ? 'smooth' : 'instant' });
    }
  }

  // --- quantities

  const rowsOf = (shape) => (shape.length < 2 ? 1 : shape.slice(0, -1).reduce((a, b) => a * b, 1));
  const indexText = (shape, entry) => {
    const index = [];
    for (let i = shape.length - 1; i >= 0; i--) {
      index.unshift(entry % shape[i]);
      entry = Math.floor(entry / shape[i]);
    }
    return `[${index.join(', ')}]`;
  };
  const entryOf = (index, entry) => (index === null ? 'not yet' : quantities[index].reprs[entry]);
  const inWords = (index, full) => {
    const held = quantities[index];
    if (!held.shape.length) return full ? held.reprs[0] : held.text;
    return held.text.startsWith('[') ? held.text : `of shape ${held.shape.join(' by ')}, ${held.text}`;
  };

  // A quantity on the panel: a number, a heat map whose entries can be read one by one, or the statistics of a large array.
  const shown = (index, name) => {
    if (index === null || index === undefined) return element('span', { class: 'of' }, '—');
    const held = quantities[index];
    if (!held.shape.length) {
      const number = element('span', { title: held.reprs[0] }, held.text);
      number.addEventListener('pointerenter', () => read(`${name}: ${held.reprs[0]}`));
      number.addEventListener('pointerleave', () => read(''));
      return number;
    }
    const box = element('span', {});
    if (held.facts || !held.levels) {
      const facts = held.facts ? held.facts.map((fact, i) => `${fact} ${held.texts[i]}`).join('  ') : held.text;
      box.append(element('span', { class: 'facts', title: held.reprs.join('  ') }, facts));
    } else if (held.levels.length) {
      box.append(grid(held, name));
    }
    box.append(element('span', { class: 'kind' }, `shape (${held.shape.join(', ')}${held.shape.length === 1 ? ',' : ''})`));
    return box;
  };

  const grid = (held, name) => {
    const columns = held.shape.length ? held.shape[held.shape.length - 1] : 1;
    const told = held.levels.length <= 24 && columns <= 8;
    const table = element('table', { class: `grid${told ? ' told' : columns > 24 ? ' wide' : ''}`, role: 'grid', 'aria-label': name });
    const cells = held.levels.map((_, entry) => {
      const say = `${name}${indexText(held.shape, entry)} = ${held.reprs[entry]}`;
      const values = { class: heat(held, entry), role: 'gridcell', tabindex: entry ? '-1' : '0', 'aria-label': say };
      return element('td', values, told ? held.texts[entry] : null);
    });
    const tell = (event) => read(event.target.getAttribute('aria-label') || '');
    table.addEventListener('pointerover', tell);
    table.addEventListener('focusin', tell);
    table.addEventListener('pointerleave', () => read(''));
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    table.addEventListener('keydown', (event) => {
      const next = cells[cells.indexOf(event.target) + (steps[event.key] || NaN)];
      if (!(event.key in steps)) return;
      event.preventDefault(); // inside a heat map the arrows go from entry to entry
      if (!next) return;
      event.target.setAttribute('tabindex', '-1');
      next.setAttribute('tabindex', '0');
      next.focus();
    });
    for (let row = 0; row < rowsOf(held.shape); row++) table.append(element('tr', { role: 'row' }, ...cells.slice(row * columns, (row + 1) * columns)));
    return table;
  };

  const read = (text) => setText(byId('readout'), text);

  // --- the panel

  const row = (name, ...cells) => element('tr', { class: name }, ...cells);
  const cell = (content, name = null) => element('td', { class: name }, content);
  const sign = (text) => cell(element('span', {}, text), 'sign');
  const heads = (...names) => element('tr', {}, ...names.map((name) => element('th', { scope: 'col' }, name)));
  const SIGNS = { slope: '×', slopes: '⊙', jacobian: '·' };
  const LOCALS = { slope: '', slopes: 'element by element', jacobian: 'Jacobian' };

  const workings = {
    start: (view) => leaves(view, false),
    end: (view) => leaves(view, true),
    forward: (view, step) => {
      const { label } = view.nodes.get(step.node);
      return element('dl', { class: 'numbers operands' },
        ...step.takes.map((taken) => operand(null, taken.label, taken.value)), element('div', { class: 'gives' }, '→'), operand('now', label, step.value));
    },
    seed: (view, step) => element('table', { class: 'numbers' },
      heads('node', 'value', 'gradient'),
      row('now', cell(view.nodes.get(step.node).label, 'who'), cell(shown(view.nodes.get(step.node).value, 'value')),
        cell(shown(step.incoming, 'gradient')))),
    backward: (view, step, part) => element('table', { class: 'numbers' },
      heads('incoming', '', 'local derivative', '', 'contribution', 'to', 'total so far'),
      ...step.moments.map((moment, i) => row(
        i > part ? 'later' : state.fine && i === part ? 'now' : null,
        i ? null : element('td', { class: 'shared', rowspan: step.moments.length }, shown(step.incoming, 'incoming')),
        sign(moment.local ? SIGNS[moment.local.kind] : '→'),
        cell(moment.local ? local(moment.local) : element('span', { class: 'of' }, 'through its rule (vjp)')),
        sign(moment.local ? '=' : '→'),
        cell(shown(moment.contribution, `contribution to ${moment.label}`)),
        cell(element('span', { title: moment.label }, moment.label), 'who'),
        element('td', { class: moment.final ? 'whole' : null }, element('span', {}, shown(moment.total, `gradient of ${moment.label}`),
          element('span', { class: 'of' }, ` ${moment.count[0]} of ${moment.count[1]}${moment.final ? ', final' : ''}`))))))
  };

  const operand = (name, label, index) => element('div', { class: name }, element('dt', { title: label }, label), element('dd', {}, shown(index, label)));

  const local = (held) => {
    const box = element('span', {}, shown(held.value, 'local derivative'));
    if (LOCALS[held.kind]) box.append(element('span', { class: 'kind' }, LOCALS[held.kind]));
    return box;
  };

  const leaves = (view, isEnd) => {
    const own = [...view.nodes.values()].filter((node) => !node.op && node.value !== null && (!isEnd || node.gradient !== null));
    return element('table', { class: 'numbers' },
      own.length ? heads('leaf', 'role', 'value', ...(isEnd ? ['gradient'] : [])) : null,
      ...own.slice(0, 60).map((node) => row(null, cell(node.label, 'who'), cell(node.role, 'of'), cell(shown(node.value, node.label)),
        isEnd ? cell(shown(node.gradient, `gradient of ${node.label}`)) : null)));
  };

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
})();
