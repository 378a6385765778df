// The player. Python has laid out the graphs and told every step; this page only shows them. What is seen at a step depends
// on nothing but the step, so that going forward and back again restores the page exactly.
// First: small helpers, and a graph with its moments.

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
