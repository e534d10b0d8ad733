// Where everything goes: layers from left to right, by dagre. Pure, except that it calls `measure`.

const HEIGHT = 46;
const NARROWEST = 112;
const WIDEST = 300;
const BLOCK_GAP = 10;
const HEADER = 26;
const PADDING = 12;
const BESIDE_TEXT = 48; // the sign, and the margins
const BESIDE_LABEL = 52; // the same of a group, and the gap before its count
const MARK_GAP = 6;

// What is shown of a box is { title, note, widest, mark, count }; `count` only of groups, `widest`
// the longest note that the box may get. `measure(text, kind)`
// is a width in pixels.
function widthOf(label, measure) {
  const mark = markWidth(label.mark, measure);
  const wide = label.count
    ? measure(label.title, "name") + mark + measure(numberText(label.count), "count") + BESIDE_LABEL
    : Math.max(measure(label.title, "name"), measure(label.widest || label.note, "note") + mark) + BESIDE_TEXT;
  return Math.max(NARROWEST, Math.min(WIDEST, Math.ceil(wide)));
}

// The width of a mark, and of the gap before it; 0 for none.
function markWidth(text, measure) {
  return text ? measure(text, "mark") + 12 + MARK_GAP : 0;
}

// Returns { at: Map key -> { x, y, width, height } (left, top), routes, left, top, width, height }.
// dagre sometimes puts a box into the frame of a group that it does not belong to: then it is asked
// again, another way.
function placeAll(view, labelOf, measure) {
  const sizes = new Map(
    view.boxes.map((box) => [box.key, { width: widthOf(labelOf(box), measure), height: HEIGHT }]),
  );
  const isLarge = view.boxes.length > 150;
  let best = null;
  let fewest = Infinity;
  for (const ranker of isLarge ? ["tight-tree"] : ["network-simplex", "tight-tree"]) {
    const placed = tryToPlace(view, sizes, ranker);
    if (!placed) continue;
    const count = strangers(view, placed.at);
    if (count < fewest) [best, fewest] = [placed, count];
    if (count === 0) break;
  }
  return best || placeOnce(view, sizes, "tight-tree", true);
}

// dagre sometimes fails on a graph with groups: then the result is null.
function tryToPlace(view, sizes, ranker) {
  try {
    return placeOnce(view, sizes, ranker, view.frames.length === 0);
  } catch {
    return null;
  }
}

// If `isFlat`, dagre does not know of groups: their frames are drawn around what is in them.
function placeOnce(view, sizes, ranker, isFlat) {
  const graph = new dagre.graphlib.Graph({ compound: !isFlat });
  graph.setGraph({ rankdir: "LR", nodesep: 20, edgesep: 20, ranksep: 64, ranker });
  graph.setDefaultEdgeLabel(() => ({}));
  const inner = new Map(view.blocks.map((block) => [block.key, packed(block, sizes)]));
  for (const frame of isFlat ? [] : view.frames) graph.setNode(frame.key, {});
  for (const box of view.boxes) {
    if (!view.blockOf.has(box.key)) graph.setNode(box.key, { ...sizes.get(box.key) });
  }
  for (const block of view.blocks) {
    const { width, height } = inner.get(block.key);
    graph.setNode(block.key, { width, height });
  }
  for (const part of [...view.frames, ...view.boxes, ...view.blocks]) {
    if (!isFlat && part.frame && graph.hasNode(part.key)) graph.setParent(part.key, part.frame);
  }
  for (const route of view.routes) graph.setEdge(route.from, route.to, {});
  dagre.layout(graph);
  return placesOf(view, graph, sizes, inner);
}

// How many boxes lie in frames that they do not belong to.
function strangers(view, at) {
  const parents = new Map(view.frames.map((frame) => [frame.key, frame.frame]));
  let count = 0;
  for (const box of view.boxes) {
    const own = new Set();
    for (let key = box.frame; key; key = parents.get(key)) own.add(key);
    const b = at.get(box.key);
    for (const frame of view.frames) {
      if (own.has(frame.key)) continue;
      const f = at.get(frame.key);
      const isIn = b.x < f.x + f.width && f.x < b.x + b.width && b.y < f.y + f.height && f.y < b.y + b.height;
      if (isIn) count += 1;
    }
  }
  return count;
}

// A block of twins: rows and columns, somewhat wider than high.
function packed(block, sizes) {
  const widest = Math.max(...block.boxes.map((box) => sizes.get(box.key).width));
  const count = block.boxes.length;
  const columns = Math.max(1, Math.round(Math.sqrt((1.7 * count * (HEIGHT + BLOCK_GAP)) / widest)));
  const rows = Math.ceil(count / columns);
  const spots = block.boxes.map((box, place) => ({
    key: box.key,
    x: PADDING + Math.floor(place / rows) * (widest + BLOCK_GAP),
    y: PADDING + (place % rows) * (HEIGHT + BLOCK_GAP),
    width: widest,
    height: HEIGHT,
  }));
  const width = 2 * PADDING + columns * (widest + BLOCK_GAP) - BLOCK_GAP;
  const height = 2 * PADDING + rows * (HEIGHT + BLOCK_GAP) - BLOCK_GAP;
  const used = Math.ceil(count / rows);
  return { spots, width: width - (columns - used) * (widest + BLOCK_GAP), height };
}

function placesOf(view, graph, sizes, inner) {
  const at = new Map();
  const corner = (key, size) => {
    const { x, y } = graph.node(key);
    return { x: x - size.width / 2, y: y - size.height / 2, width: size.width, height: size.height };
  };
  for (const box of view.boxes) {
    if (!view.blockOf.has(box.key)) at.set(box.key, corner(box.key, sizes.get(box.key)));
  }
  alignColumns(view, at);
  for (const block of view.blocks) {
    const place = corner(block.key, inner.get(block.key));
    at.set(block.key, place);
    for (const spot of inner.get(block.key).spots) {
      at.set(spot.key, { ...spot, x: place.x + spot.x, y: place.y + spot.y });
    }
  }
  placeFrames(view, at);
  const columns = columnsOf(view, at);
  const routes = view.routes.map((route) => {
    const [from, to] = [at.get(route.from), at.get(route.to)];
    const isBack = to.x <= from.x + from.width;
    const { points } = graph.edge(route.from, route.to);
    return { ...route, isBack, path: isBack ? backward(from, to) : forward(points, from, to, columns) };
  });
  return { at, routes, ...extentOf(at) };
}

// Boxes above each other in one frame get the width of the widest.
function alignColumns(view, at) {
  const widest = new Map();
  const column = (box) => `${Math.round(at.get(box.key).x + at.get(box.key).width / 2)}\n${box.frame || ""}`;
  const boxes = view.boxes.filter((box) => at.has(box.key)).map((box) => [box.key, column(box)]);
  for (const [key, name] of boxes) widest.set(name, Math.max(widest.get(name) || 0, at.get(key).width));
  for (const [key, name] of boxes) {
    const place = at.get(key);
    const width = widest.get(name);
    at.set(key, { ...place, x: place.x - (width - place.width) / 2, width });
  }
}

// The columns that boxes stand in: middle -> half of the greatest width.
function columnsOf(view, at) {
  const columns = new Map();
  for (const part of [...view.boxes, ...view.blocks]) {
    if (view.blockOf.has(part.key)) continue;
    const place = at.get(part.key);
    const middle = Math.round(place.x + place.width / 2);
    columns.set(middle, Math.max(columns.get(middle) || 0, place.width / 2));
  }
  return columns;
}

// A frame goes around what is in it; inner frames come after outer ones, so it goes backwards.
function placeFrames(view, at) {
  const inside = new Map(view.frames.map((frame) => [frame.key, []]));
  for (const part of [...view.boxes, ...view.blocks]) {
    if (part.frame && at.has(part.key)) inside.get(part.frame).push(at.get(part.key));
  }
  for (const frame of [...view.frames].reverse()) {
    const places = inside.get(frame.key);
    const left = Math.min(...places.map((p) => p.x)) - PADDING;
    const top = Math.min(...places.map((p) => p.y)) - HEADER;
    const right = Math.max(...places.map((p) => p.x + p.width)) + PADDING;
    const bottom = Math.max(...places.map((p) => p.y + p.height)) + PADDING;
    const place = { x: left, y: top, width: right - left, height: bottom - top };
    at.set(frame.key, place);
    if (frame.frame) inside.get(frame.frame).push(place);
  }
}

function extentOf(at) {
  let left = 0, top = 0, right = 0, bottom = 0, first = true;
  for (const p of at.values()) {
    left = first ? p.x : Math.min(left, p.x);
    top = first ? p.y : Math.min(top, p.y);
    right = first ? p.x + p.width : Math.max(right, p.x + p.width);
    bottom = first ? p.y + p.height : Math.max(bottom, p.y + p.height);
    first = false;
  }
  return { left, top, width: right - left, height: bottom - top };
}

const short = (value) => Math.round(value * 10) / 10;

// Out at the right and in at the left; level past each column, curved in the gaps between them.
function forward(points, from, to, columns) {
  let x = from.x + from.width;
  let y = from.y + from.height / 2;
  const end = { x: to.x, y: to.y + to.height / 2 };
  let path = `M${short(x)} ${short(y)}`;
  const go = (toX, toY) => {
    if (Math.abs(toY - y) < 0.5) path += `L${short(toX)} ${short(toY)}`;
    else {
      const half = (toX - x) / 2;
      path += `C${short(x + half)} ${short(y)} ${short(toX - half)} ${short(toY)} ${short(toX)} ${short(toY)}`;
    }
    x = toX;
    y = toY;
  };
  const sides = (middle) => [middle - columns.get(middle), middle + columns.get(middle)];
  const [, out] = sides(Math.round(from.x + from.width / 2));
  const [into] = sides(Math.round(to.x + to.width / 2));
  if (out > x && out < into) go(out, y);
  for (const point of points.slice(1, -1)) {
    const middle = Math.round(point.x);
    if (!columns.has(middle)) continue;
    const [left, right] = sides(middle);
    if (left <= x || right >= Math.min(into, end.x)) continue;
    go(left, point.y);
    go(right, point.y);
  }
  if (into > x && into < end.x) go(into, end.y);
  go(end.x, end.y);
  return path;
}

// Edges from right to left, between groups that need each other: out at the bottom, in at the bottom.
function backward(from, to) {
  const start = { x: from.x + from.width / 2, y: from.y + from.height };
  const end = { x: to.x + to.width / 2, y: to.y + to.height + 7 };
  const deep = Math.max(start.y, end.y) + 46;
  return `M${short(start.x)} ${short(start.y)}C${short(start.x)} ${short(deep)} ${short(end.x)} ${short(deep)} ${short(end.x)} ${short(end.y)}`;
}
