// The page: its state, and the drawing of it. The other files change the state.

function startPage() {
  performance.mark("graph-start");
  const model = makeModel(JSON.parse(byId("data").textContent));
  const { data } = model;
  const canvas = byId("canvas");
  const layer = byId("layer");
  const viewport = makeViewport(canvas, layer);
  const texts = searchTexts(model);
  const measure = makeMeasure();
  const groups = new Map();
  eachGroup(model.root, (group) => groups.set(group.id, group));

  const state = {
    open: new Set(), target: -1, group: null, query: "",
    states: new Set(), drifted: false, tag: "", on: "", only: false, path: false, few: Boolean(data.few),
  };
  let shown = null; // what was laid out last: { view, placed, elements }
  let focused = ""; // key of the box that the keyboard is at
  const nameCounts = new Map();
  for (const node of model.nodes) nameCounts.set(node.name, (nameCounts.get(node.name) || 0) + 1);

  function labelOf(box) {
    const drifted = countDrifted(box.members, model.nodes);
    const mark = box.group && drifted ? `${numberText(drifted)} drifted` : drifted ? "drifted" : "";
    if (box.group) return { title: box.group.label, note: "", mark, count: box.members.length };
    const node = model.nodes[box.leaf];
    let above = box.frame ? groups.get(box.frame.slice(1)) : null;
    while (above && above.id.includes("*")) above = above.parent;
    const prefix = above && above.id && node.name.startsWith(above.id) ? above.id : "";
    const twin = nameCounts.get(node.name) > 1 ? node.id.slice(node.name.length) : "";
    return { title: node.name.slice(prefix.length) + twin, note: noteOf(node), widest: model.live && model.live.widest, mark };
  }

  function noteOf(node) {
    if (node.note !== undefined) return node.note;
    const word = data.states[node.state];
    if (node.seconds !== undefined) return `${word} · ${durationText(node.seconds)}`;
    return node.on ? `${word} · ${node.on}` : word;
  }

  // Where everything goes if these groups are open; null if there are too many boxes.
  function arranged(open) {
    const scope = state.only ? litTargets(model, state, texts) : null;
    const visible = visibleBoxes(model, open, scope);
    if (visible.boxes.length > MOST_BOXES) return null;
    if (state.few) visible.edges = withoutImplied(visible.boxes, visible.edges);
    const view = withBlocks(visible);
    return { view, placed: placeAll(view, labelOf, measure) };
  }

  // The scale at which the window shows the whole picture.
  function scaleOf(open) {
    const found = arranged(open);
    return found ? viewport.scaleOf(found.placed) : 0;
  }

  // Lay out and draw; false if there are too many boxes. The box of the key `anchor` stays where it
  // is on the screen.
  function layOut(anchor) {
    performance.mark("graph-layout-start");
    const found = arranged(state.open);
    if (!found) return false;
    const before = shown && anchor ? shown.placed.at.get(anchor) : null;
    performance.measure("graph-layout", "graph-layout-start");
    draw(found.view, found.placed);
    const after = before && found.placed.at.get(anchor);
    if (after) viewport.keep(before, after);
    show();
    performance.measure("graph-layout-and-draw", "graph-layout-start");
    return true;
  }

  function drawBox(box, place) {
    const element = box.group
      ? drawGroup(model, box, place, labelOf(box), measure)
      : drawTarget(model, box, place, labelOf(box), measure);
    const title = svg("title");
    title.textContent = legible(box.group ? `${box.members.length} targets` : `${model.nodes[box.leaf].id}\n${model.nodes[box.leaf].why}`);
    element.prepend(title);
    return element;
  }

  function draw(view, placed) {
    const elements = new Map();
    const parts = [];
    for (const frame of view.frames) {
      const element = drawFrame(frame, placed.at.get(frame.key), measure);
      elements.set(frame.key, element);
      element.dataset.frame = frame.key;
      element.querySelector(".head").dataset.key = frame.key;
      parts.push(element);
    }
    for (const block of view.blocks) parts.push(drawBlock(placed.at.get(block.key)));
    const routes = placed.routes.map((route) => ({ route, element: drawRoute(route) }));
    for (const { element } of routes) parts.push(element);
    for (const box of view.boxes) {
      const place = placed.at.get(box.key);
      const element = drawBox(box, place);
      element.dataset.key = box.key;
      if (!box.group) element.dataset.target = model.nodes[box.leaf].id;
      else element.dataset.group = box.group.id;
      elements.set(box.key, element);
      parts.push(element);
    }
    layer.replaceChildren(...parts);
    shown = { view, placed, elements, routes, boxes: new Map(view.boxes.map((box) => [box.key, box])) };
    byId("empty").hidden = view.boxes.length > 0;
  }

  // Draw the boxes of some targets again, where they are. They stay the same elements, so that a
  // click that has begun, and the focus, are not lost.
  function redraw(indices) {
    const keys = new Set();
    for (const index of indices) keys.add(keyOfTarget(index));
    for (const key of keys) {
      const box = shown.boxes.get(key);
      if (!box) continue;
      const place = shown.placed.at.get(key);
      const fresh = drawBox(box, place);
      const element = shown.elements.get(key);
      for (const name of ["class", "aria-label"]) element.setAttribute(name, fresh.getAttribute(name));
      element.replaceChildren(...fresh.childNodes);
    }
    show();
  }

  // Light what is selected or found; needs no layout.
  function show() {
    light(model, state, texts, shown);
    rove();
    page.remember();
  }

  // One box at a time can be reached with the tabulator; arrows lead to the others.
  function rove() {
    const keys = [...shown.elements.keys()];
    if (!shown.elements.has(focused)) focused = keyOfTarget(state.target) || keys.find((key) => shown.boxes.has(key)) || keys[0] || "";
    for (const key of keys) {
      const element = shown.elements.get(key);
      const reached = element.classList.contains("frame") ? element.querySelector(".head") : element;
      reached.setAttribute("tabindex", key === focused ? "0" : "-1");
    }
  }

  function keyOfTarget(index) {
    return index >= 0 ? shown.view.boxOf.get(index) : undefined;
  }

  function focusBox(key) {
    if (!shown.elements.has(key)) return;
    focused = key;
    rove();
    const element = shown.elements.get(key);
    const reached = element.classList.contains("frame") ? element.querySelector(".head") : element;
    reached.focus({ preventScroll: true });
    viewport.reveal(shown.placed.at.get(key));
  }

  function say(text) {
    byId("message").textContent = text;
  }

  function afterFilter() {
    if (state.only) layOut();
    else show();
    const lit = litTargets(model, state, texts);
    const long = state.path && data.path_text ? `: ${data.path_text}` : "";
    byId("count").textContent = lit ? `${numberText(lit.size)} of ${numberText(model.nodes.length)}${long}` : "";
    if (lit && state.only) page.fit();
  }

  const page = {
    model, state, texts, groups, canvas, viewport, shown: () => shown,
    focused: () => focused, setFocused: (key) => { focused = key; },
    fit: () => viewport.fit(shown.placed), begin: () => viewport.begin(shown.placed),
    layOut, scaleOf, afterFilter, focusBox, rove, show, redraw, say, keyOfTarget,
  };
  Object.assign(page, makeUnfolding(page), makeSelecting(page), makeAddress(page));
  makeChips(page);
  makeChoice(page, "tag", countedValues(model, (node) => node.tags || []), "tag");
  const places = countedValues(model, (node) => [placeOf(model, node)]);
  makeChoice(page, "on", places.length > 1 ? places : [], "on");
  makeSearch(page);
  makeButtons(page);
  listen(page);
  const start = () => {
    const first = new Set(state.open);
    const index = page.restore();
    if (!layOut()) {
      state.open = first;
      layOut();
    }
    page.begin();
    if (state.query || state.states.size || state.drifted || state.tag || state.on || state.path) afterFilter();
    page.showPanel();
    if (index >= 0) viewport.reveal(shown.placed.at.get(keyOfTarget(index)));
  };
  if (data.is_live) goLive(page);
  page.openFirst();
  start();
  window.addEventListener("hashchange", start);
  document.body.dataset.ready = "yes";
  performance.measure("graph-ready", "graph-start");
}

setTheme();
startPage();
