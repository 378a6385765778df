// The numbers below the graph: quantities as text and as heat maps, and the panel that shows those of a step.

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
