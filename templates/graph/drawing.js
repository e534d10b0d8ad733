// Boxes, frames and edges -> SVG. Text enters by textContent only.

// The sign of each state, 16 pixels wide: its shape tells it from the others without colour.
const SIGNS = {
  "built": { outline: "M8 1a7 7 0 1 0 0 14a7 7 0 1 0 0-14z", mark: "M4.8 8.2l2.2 2.2 4.2-4.6" },
  "to build": { outline: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z", mark: "M8 5v6M5 8h6", hollow: true },
  "stale": { outline: "M8 .6L15.4 8L8 15.4L.6 8z", mark: "M8 4.6v4.2M8 10.8v.4" },
  "failed": { outline: "M5 1h6l4 4v6l-4 4h-6l-4-4v-6z", mark: "M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2" },
  "held": { outline: "M2.5 1.4L14.6 8L2.5 14.6z", mark: "" },
  "blocked": { outline: "M2 2h12v12h-12z", mark: "M5 8h6" },
  "later": { outline: "M8 1l6 3.5v7L8 15l-6-3.5v-7z", mark: "M5 8h.4M8 8h.4M10.6 8h.4", hollow: true },
};

function sign(state, x, y) {
  const { outline, mark, hollow } = SIGNS[state];
  const group = svg("g", { class: `sign ${hollow ? "hollow" : ""}`, "aria-hidden": "true" });
  if (x !== undefined) group.setAttribute("transform", `translate(${x} ${y})`);
  group.append(svg("path", { class: "outline", d: outline }));
  if (mark) group.append(svg("path", { class: "mark", d: mark }));
  return group;
}

function stateClass(state) {
  return "is-" + state.replace(" ", "-");
}

// Widths of texts, in pixels, as this browser draws them.
function makeMeasure() {
  const context = document.createElement("canvas").getContext("2d");
  const family = getComputedStyle(document.body).fontFamily;
  const fonts = { name: `600 13px ${family}`, note: `11px ${family}`, count: `12px ${family}`, label: `600 12px ${family}`, mark: `600 10px ${family}` };
  return (text, kind) => {
    context.font = fonts[kind];
    return context.measureText(legible(text.length > 200 ? text.slice(0, 200) : text)).width;
  };
}

// A text with its middle left out, so that it fits.
function shortened(text, width, kind, measure) {
  if (text.length <= 200 && measure(text, kind) <= width) return text;
  let [fits, tooLong] = [1, Math.min(text.length, 200)];
  const cut = (letters) => {
    const all = [...text.slice(0, 400)];
    const end = [...text.slice(-400)];
    const head = Math.ceil(letters * 0.5);
    return all.slice(0, head).join("") + "…" + end.slice(end.length - (letters - head)).join("");
  };
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (measure(cut(middle), kind) <= width) fits = middle;
    else tooLong = middle;
  }
  return cut(fits);
}

function textAt(x, y, kind, text) {
  const element = svg("text", { x, y, class: kind });
  element.textContent = legible(text);
  return element;
}

// A small mark whose right end is at `right`.
function drawMark(text, right, y, measure) {
  const width = markWidth(text, measure) - MARK_GAP;
  const element = textAt(right - width / 2, y + 10.5, "mark-text", text);
  return svg("g", { class: "drift-mark" }, svg("rect", { x: right - width, y, width, height: 14, rx: 7 }), element);
}

// One target: its sign, its name, and a second line.
function drawTarget(model, box, place, { title, note, mark }, measure) {
  const node = model.nodes[box.leaf];
  const state = model.data.states[node.state];
  const { width, height } = place;
  const group = svg("g", {
    class: `box target ${stateClass(state)} ${node.kind}`,
    transform: `translate(${place.x} ${place.y})`,
    role: "button",
    tabindex: "-1",
    "aria-label": `${node.name}, ${state}${mark ? `, ${mark}` : ""}`,
  });
  group.append(
    svg("rect", { class: "card", width, height, rx: node.kind === "command" ? 3 : 9 }),
    sign(state, 11, 15),
    textAt(36, 20, "name", shortened(title, width - BESIDE_TEXT, "name", measure)),
    textAt(36, 36, "note", shortened(note, width - BESIDE_TEXT - markWidth(mark, measure), "note", measure)),
  );
  if (mark) group.append(drawMark(mark, width - 8, 26, measure));
  return group;
}

// A closed group: cards on top of each other, how many targets, and a bar of their states.
function drawGroup(model, box, place, { mark }, measure) {
  const { states } = model.data;
  const { width, height } = place;
  const counts = countStates(box.members, model.nodes, states.length);
  const said = states.map((state, i) => (counts[i] ? `${counts[i]} ${state}` : "")).concat(mark).filter(Boolean);
  const group = svg("g", {
    class: "box group",
    transform: `translate(${place.x} ${place.y})`,
    role: "button",
    tabindex: "-1",
    "aria-expanded": "false",
    "aria-label": `group ${box.group.id || box.group.label}, ${said.join(", ")}`,
  });
  const counted = measure(numberText(box.members.length), "count");
  group.append(
    svg("rect", { class: "card under", x: 6, y: 6, width, height, rx: 9 }),
    svg("rect", { class: "card under", x: 3, y: 3, width, height, rx: 9 }),
    svg("rect", { class: "card", width, height, rx: 9 }),
    svg("path", { class: "more", d: "M12 18h10M17 13v10" }),
    textAt(30, 22, "name", shortened(box.group.label, width - BESIDE_LABEL - counted - markWidth(mark, measure), "name", measure)),
    textAt(width - 10, 22, "count", numberText(box.members.length)),
  );
  if (mark) group.append(drawMark(mark, width - 16 - counted, 11, measure));
  let x = 12;
  const room = width - 24;
  counts.forEach((count, i) => {
    if (!count) return;
    const part = (room * count) / box.members.length;
    group.append(
      svg("rect", { class: `part ${stateClass(states[i])}`, x, y: 31, width: Math.max(part, 1.5), height: 6 }),
    );
    x += part;
  });
  return group;
}

// An open group: a frame whose title closes it.
function drawFrame(frame, place, measure) {
  const group = svg("g", {
    class: "frame",
    transform: `translate(${place.x} ${place.y})`,
  });
  const title = shortened(frame.group.label, place.width - 40, "label", measure);
  const head = svg("g", {
    class: "head",
    role: "button",
    tabindex: "-1",
    "aria-expanded": "true",
    "aria-label": `group ${frame.group.id || frame.group.label}, ${frame.count} targets, open`,
  });
  head.append(
    svg("rect", { class: "grip", x: 4, y: 3, width: Math.min(place.width - 8, measure(title, "label") + 30), height: 20, rx: 6 }),
    svg("path", { class: "more", d: "M10 13h9" }),
    textAt(25, 17, "label", title),
  );
  group.append(svg("rect", { class: "border", width: place.width, height: place.height, rx: 12 }), head);
  return group;
}

function drawBlock(place) {
  return svg("rect", { class: "block", ...place, rx: 10 });
}

function drawRoute(route) {
  const count = route.parts.reduce((sum, part) => sum + part.count, 0);
  const thick = Math.min(4, 1.3 + Math.log10(count));
  const kind = route.isBack ? "edge back" : "edge";
  return svg("path", { class: kind, d: route.path, "stroke-width": thick.toFixed(2), "marker-end": "url(#head)" });
}
