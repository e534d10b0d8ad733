// The boxes and frames to draw: a box for each target or closed group, a frame for each open
// group. Pure.

const MOST_BOXES = 600;
const FEWEST_TWINS = 6;

// Boxes are { key, group | leaf, members, frame }, frames { key, group, frame }, edges
// { from, to, count } by key; `boxOf` says in which box a target is.
function visibleBoxes(model, open, scope) {
  const boxes = [];
  const frames = [];
  const boxOf = new Map();
  const isIn = scope ? (leaf) => scope.has(leaf) : () => true;
  const add = (box) => {
    boxes.push(box);
    for (const member of box.members) boxOf.set(member, box.key);
  };
  const walk = (group, frame) => {
    for (const leaf of group.leaves) {
      if (isIn(leaf)) add({ key: "t" + leaf, leaf, members: [leaf], frame });
    }
    for (const inner of group.groups) {
      const members = scope ? inner.members.filter(isIn) : inner.members;
      if (members.length === 0) continue;
      if (members.length === 1) {
        add({ key: "t" + members[0], leaf: members[0], members, frame });
      } else if (open.has(inner.id)) {
        const key = "g" + inner.id;
        frames.push({ key, group: inner, frame, count: members.length });
        walk(inner, key);
      } else {
        add({ key: "g" + inner.id, group: inner, members, frame });
      }
    }
  };
  walk(model.root, null);
  return { boxes, frames, boxOf, edges: edgesBetween(model, boxOf) };
}

function edgesBetween(model, boxOf) {
  const edges = new Map();
  for (const [leaf, to] of boxOf) {
    for (const dep of model.needs[leaf]) {
      const from = boxOf.get(dep);
      if (from === undefined || from === to) continue;
      const key = from + "\n" + to;
      const known = edges.get(key);
      if (known) known.count += 1;
      else edges.set(key, { key, from, to, count: 1 });
    }
  }
  return [...edges.values()];
}

// The edges that other edges do not imply; all edges if groups need each other.
function withoutImplied(boxes, edges) {
  const before = new Map(boxes.map((box) => [box.key, []]));
  const after = new Map(boxes.map((box) => [box.key, []]));
  for (const edge of edges) {
    before.get(edge.to).push(edge);
    after.get(edge.from).push(edge);
  }
  const missing = new Map(boxes.map((box) => [box.key, before.get(box.key).length]));
  const ready = boxes.filter((box) => missing.get(box.key) === 0).map((box) => box.key);
  const place = new Map();
  const above = new Map();
  const kept = [];
  for (let at = 0; at < ready.length; at += 1) {
    const key = ready[at];
    place.set(key, at);
    const found = new Set();
    for (const edge of before.get(key).sort((a, b) => place.get(b.from) - place.get(a.from))) {
      if (!found.has(edge.from)) kept.push(edge);
      found.add(edge.from);
      for (const other of above.get(edge.from)) found.add(other);
    }
    above.set(key, found);
    for (const edge of after.get(key)) {
      missing.set(edge.to, missing.get(edge.to) - 1);
      if (missing.get(edge.to) === 0) ready.push(edge.to);
    }
  }
  return ready.length === boxes.length ? kept : edges;
}

// Boxes with the same neighbours are drawn as one block: { key, frame, boxes }. The edges that
// come back lead to blocks.
function withBlocks(visible) {
  const before = new Map();
  const after = new Map();
  for (const box of visible.boxes) {
    before.set(box.key, []);
    after.set(box.key, []);
  }
  for (const edge of visible.edges) {
    before.get(edge.to).push(edge.from);
    after.get(edge.from).push(edge.to);
  }
  const alike = new Map();
  for (const box of visible.boxes) {
    const parts = [box.frame || "", before.get(box.key).sort(), after.get(box.key).sort()];
    const key = JSON.stringify(parts);
    if (!alike.has(key)) alike.set(key, []);
    alike.get(key).push(box);
  }
  const blocks = [];
  const blockOf = new Map();
  for (const twins of alike.values()) {
    if (twins.length < FEWEST_TWINS) continue;
    const block = { key: "b" + twins[0].key, frame: twins[0].frame, boxes: twins };
    blocks.push(block);
    for (const twin of twins) blockOf.set(twin.key, block.key);
  }
  const edges = new Map();
  for (const edge of visible.edges) {
    const from = blockOf.get(edge.from) || edge.from;
    const to = blockOf.get(edge.to) || edge.to;
    const key = from + "\n" + to;
    const known = edges.get(key);
    if (known) known.parts.push(edge);
    else edges.set(key, { key, from, to, parts: [edge] });
  }
  return { ...visible, blocks, blockOf, routes: [...edges.values()] };
}
