// The page: what is open, selected and filtered; and what changes it.

const SMALLEST = 0.45; // a smaller picture cannot be read: rather its beginning is shown

const byId = (id) => document.getElementById(id);

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
  const groupOf = new Map();
  const note = (group) => { for (const leaf of group.leaves) groupOf.set(leaf, group); };
  note(model.root);
  eachGroup(model.root, note);

  const state = {
    open: firstOpen(model), target: -1, group: null, query: "",
    states: new Set(), tag: "", on: "", only: false, path: false, few: Boolean(data.few),
  };
  let shown = null; // what was laid out last: { view, placed, elements }
  let focused = ""; // key of the box that the keyboard is at
  const nameCounts = new Map();
  for (const node of model.nodes) nameCounts.set(node.name, (nameCounts.get(node.name) || 0) + 1);

  function labelOf(box) {
    if (box.group) return { title: box.group.label, note: "", count: box.members.length };
    const node = model.nodes[box.leaf];
    let above = box.frame ? groups.get(box.frame.slice(1)) : null;
    while (above && above.id.includes("*")) above = above.parent;
    const prefix = above && above.id && node.name.startsWith(above.id) ? above.id : "";
    const twin = nameCounts.get(node.name) > 1 ? node.id.slice(node.name.length) : "";
    return { title: node.name.slice(prefix.length) + twin, note: noteOf(node) };
  }

  function noteOf(node) {
    const word = data.states[node.state];
    if (node.seconds !== undefined) return `${word} · ${durationText(node.seconds)}`;
    return node.on ? `${word} · ${node.on}` : word;
  }

  // Lay out and draw. `anchor`: key of the box that stays where it is on the screen.
  function layOut(anchor, replacement) {
    performance.mark("graph-layout-start");
    const lit = litTargets(model, state, texts);
    const scope = state.only ? lit : null;
    const visible = visibleBoxes(model, state.open, scope);
    if (visible.boxes.length > MOST_BOXES) return false;
    if (state.few) visible.edges = withoutImplied(visible.boxes, visible.edges);
    const view = withBlocks(visible);
    const before = shown && anchor ? shown.placed.at.get(anchor) : null;
    const placed = placeAll(view, labelOf, measure);
    performance.measure("graph-layout", "graph-layout-start");
    draw(view, placed);
    const after = before && (placed.at.get(anchor) || placed.at.get(replacement));
    if (after) viewport.keep(before, after);
    show();
    performance.measure("graph-layout-and-draw", "graph-layout-start");
    return true;
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
      const element = box.group
        ? drawGroup(model, box, place, measure)
        : drawTarget(model, box, place, labelOf(box), measure);
      const title = svg("title");
      title.textContent = box.group ? `${box.members.length} targets` : `${model.nodes[box.leaf].id}\n${data.texts[model.nodes[box.leaf].why]}`;
      element.prepend(title);
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

  // Light what is selected or found; needs no layout.
  function show() {
    light(model, state, texts, shown);
    rove();
    remember();
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

  function remember() {
    const text = toFragment({
      target: state.target >= 0 ? model.nodes[state.target].id : "",
      group: state.group ? state.group.id : "",
      query: state.query, states: [...state.states].map((i) => data.states[i].replace(" ", "-")),
      tag: state.tag, on: state.on, only: state.only, path: state.path, few: state.few === Boolean(data.few) ? null : state.few,
    });
    if (text === location.hash) return;
    try {
      history.replaceState(null, "", text || location.pathname + location.search);
    } catch {
      // A page without an address of its own keeps its state to itself.
    }
  }

  // Open all groups that a target lies in.
  function openTo(index) {
    let changed = false;
    for (let group = groupOf.get(index); group && group.parent; group = group.parent) {
      if (!state.open.has(group.id)) {
        state.open.add(group.id);
        changed = true;
      }
    }
    return changed;
  }

  function select(index, options) {
    const before = new Set(state.open);
    state.target = index;
    state.group = null;
    const needsLayout = index >= 0 && !shown.view.boxOf.has(index) ? (openTo(index), true) : index >= 0 && openTo(index);
    if (needsLayout || state.only) {
      if (!layOut()) {
        state.open = before;
        say("too many boxes: close some groups first");
      }
    }
    show();
    showPanel();
    const key = keyOfTarget(index);
    if (key) {
      focused = key;
      rove();
      viewport.reveal(shown.placed.at.get(key));
      if (options && options.focus) focusBox(key);
    }
  }

  function selectGroup(group) {
    state.target = -1;
    state.group = group;
    if (state.only) layOut();
    show();
    showPanel();
  }

  function showPanel() {
    const panel = byId("panel");
    const hadFocus = panel.contains(document.activeElement);
    const isOpen = state.target >= 0 || state.group !== null;
    const wasFitted = viewport.isFitted();
    const changes = panel.hidden === isOpen;
    document.body.classList.toggle("with-panel", isOpen);
    panel.hidden = !isOpen;
    if (changes && wasFitted) fit(SMALLEST);
    if (!isOpen) return;
    const content = state.target >= 0
      ? targetPanel(model, state.target, (index) => select(index), {
        before: reachedFrom([state.target], model.needs).size - 1,
        after: reachedFrom([state.target], model.needed).size - 1,
      })
      : groupPanel(model, state.group, state.group.members, (index) => select(index));
    byId("facts").replaceChildren(...content);
    panel.scrollTop = 0;
    if (hadFocus) byId("facts").querySelector("h2").focus();
  }

  function clearSelection() {
    const wasIn = state.target;
    state.target = -1;
    state.group = null;
    if (state.only) layOut();
    show();
    showPanel();
    const key = keyOfTarget(wasIn);
    if (key) focusBox(key);
  }

  function toggleGroup(group, focus) {
    const key = "g" + group.id;
    const isOpen = state.open.has(group.id);
    if (isOpen) {
      state.open.delete(group.id);
      eachGroup(group, (inner) => state.open.delete(inner.id));
    } else {
      state.open.add(group.id);
    }
    if (!layOut(key)) {
      state.open.delete(group.id);
      say(`more than ${MOST_BOXES} boxes: close some groups first`);
      return;
    }
    if (focus) focusBox(key);
  }

  function openAll(wanted) {
    let shownNow = model.root.leaves.length + model.root.groups.length;
    state.open = new Set();
    let left = 0;
    let level = model.root.groups;
    while (level.length) {
      const next = [];
      for (const group of level) {
        if (!wanted(group)) continue;
        const more = group.leaves.length + group.groups.length - 1;
        if (shownNow + more > MOST_BOXES) { left += 1; continue; }
        shownNow += more;
        state.open.add(group.id);
        next.push(...group.groups);
      }
      level = next;
    }
    layOut();
    fit();
    say(left ? `${left} groups stay closed: more than ${MOST_BOXES} boxes cannot be read` : "");
  }

  function fit(smallest) {
    viewport.fit(shown.placed, smallest);
  }

  function afterFilter() {
    if (state.only) layOut();
    else show();
    const lit = litTargets(model, state, texts);
    byId("count").textContent = lit ? `${lit.size} of ${model.nodes.length}` : "";
    if (lit && state.only) fit();
  }

  // --- the fragment -----------------------------------------------------------------------------

  function restore() {
    const wanted = fromFragment(location.hash);
    state.query = wanted.query;
    byId("search").value = wanted.query;
    state.states = new Set(wanted.states.map((word) => data.states.indexOf(word.replace("-", " "))).filter((i) => i >= 0));
    for (const chip of byId("legend").children) {
      chip.setAttribute("aria-pressed", String(state.states.has(data.states.indexOf(chip.dataset.state))));
    }
    for (const key of ["tag", "on"]) {
      state[key] = wanted[key];
      byId(key).value = wanted[key];
      if (byId(key).value !== wanted[key]) {
        state[key] = "";
        byId(key).value = "";
      }
    }
    state.few = wanted.few === null ? Boolean(data.few) : wanted.few;
    byId("few").setAttribute("aria-pressed", String(state.few));
    for (const key of ["only", "path"]) {
      state[key] = wanted[key] && !byId(key).disabled;
      byId(key).setAttribute("aria-pressed", String(state[key]));
    }
    const index = model.places.has(wanted.target) ? model.places.get(wanted.target) : -1;
    state.target = index;
    state.group = index < 0 && groups.has(wanted.group) ? groups.get(wanted.group) : null;
    if (index >= 0) openTo(index);
    return index;
  }

  const page = {
    model, state, texts, groups, canvas, viewport, shown: () => shown,
    focused: () => focused, setFocused: (key) => { focused = key; },
    layOut, fit, select, selectGroup, clearSelection, toggleGroup, openAll, openTo, afterFilter, focusBox,
  };
  makeChips(page);
  makeChoice(page, "tag", countedValues(model, (node) => node.tags || []), "tag");
  const places = countedValues(model, (node) => [placeOf(model, node)]);
  makeChoice(page, "on", places.length > 1 ? places : [], "on");
  makeSearch(page);
  makeButtons(page);
  listen(page);
  const start = () => {
    const first = new Set(state.open);
    const index = restore();
    if (!layOut()) {
      state.open = first;
      layOut();
    }
    fit(SMALLEST);
    if (state.query || state.states.size || state.tag || state.on) afterFilter();
    showPanel();
    if (index >= 0) viewport.reveal(shown.placed.at.get(keyOfTarget(index)));
  };
  start();
  window.addEventListener("hashchange", start);
  document.body.dataset.ready = "yes";
  performance.measure("graph-ready", "graph-start");
}

function setTheme() {
  try {
    const kept = localStorage.getItem("marin-build-theme");
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  } catch {
    // As the system says.
  }
}

setTheme();
startPage();
