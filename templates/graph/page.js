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

  // What is lit: the rest is dimmed, or left out. Null: everything.
  function litTargets() {
    let lit = passing(model, state);
    const narrow = (found) => {
      lit = lit ? new Set([...lit].filter((index) => found.has(index))) : found;
    };
    if (state.path) narrow(model.critical);
    if (state.target >= 0) {
      const related = reachedFrom([state.target], model.needs);
      for (const index of reachedFrom([state.target], model.needed)) related.add(index);
      narrow(related);
    } else if (state.group) {
      narrow(new Set(state.group.members));
    } else if (state.query) {
      narrow(new Set(findTargets(model, texts, state.query)));
    }
    return lit;
  }

  // Lay out and draw. `anchor`: key of the box that stays where it is on the screen.
  function layOut(anchor, replacement) {
    performance.mark("graph-layout-start");
    const lit = litTargets();
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
    const lit = litTargets();
    const litBoxes = new Set();
    const matches = state.query && state.target < 0 ? new Set(findTargets(model, texts, state.query)) : null;
    for (const box of shown.view.boxes) {
      const element = shown.elements.get(box.key);
      const isLit = !lit || box.members.some((member) => lit.has(member));
      if (isLit) litBoxes.add(box.key);
      element.classList.toggle("dim", !isLit);
      const isChosen = box.leaf !== undefined ? box.leaf === state.target : state.group === box.group;
      element.classList.toggle("chosen", isChosen);
      element.classList.toggle("holds", state.target >= 0 && box.group !== undefined && box.members.includes(state.target));
      element.classList.toggle("match", Boolean(matches && box.members.some((member) => matches.has(member))));
      element.classList.toggle("critical", box.members.some((member) => model.critical.has(member)) && state.path);
    }
    const follows = state.target >= 0 ? [reachedFrom([state.target], model.needs), reachedFrom([state.target], model.needed)] : null;
    const isOn = (key, found) => shown.boxes.get(key).members.some((member) => found.has(member));
    for (const { route, element } of shown.routes) {
      const isLit = !lit || route.parts.some((part) => litBoxes.has(part.from) && litBoxes.has(part.to));
      const before = follows && route.parts.some((part) => isOn(part.from, follows[0]) && isOn(part.to, follows[0]));
      const after = follows && route.parts.some((part) => isOn(part.from, follows[1]) && isOn(part.to, follows[1]));
      const critical = state.path && route.parts.some((part) => isOn(part.from, model.critical) && isOn(part.to, model.critical));
      element.classList.toggle("dim", follows ? !before && !after : !isLit);
      element.classList.toggle("before", Boolean(before));
      element.classList.toggle("after", Boolean(after));
      element.classList.toggle("critical", Boolean(critical));
    }
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
    const lit = litTargets();
    byId("count").textContent = lit ? `${lit.size} of ${model.nodes.length}` : "";
    if (lit && state.only) fit();
  }

  // --- the header -------------------------------------------------------------------------------

  function makeChips() {
    const counts = countStates(model.nodes.map((_, i) => i), model.nodes, data.states.length);
    data.states.forEach((word, i) => {
      const chip = html("button", { type: "button", class: `chip ${stateClass(word)}`, "aria-pressed": "false", "data-state": word });
      chip.append(svg("svg", { viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true" }, sign(word)));
      chip.append(html("span", {}, word), html("b", {}, String(counts[i])));
      chip.disabled = counts[i] === 0;
      chip.addEventListener("click", () => {
        if (state.states.has(i)) state.states.delete(i);
        else state.states.add(i);
        chip.setAttribute("aria-pressed", String(state.states.has(i)));
        afterFilter();
      });
      byId("legend").append(chip);
    });
  }

  function makeChoice(id, values, key) {
    const choice = byId(id);
    if (values.length === 0) {
      choice.parentElement.hidden = true;
      return;
    }
    for (const [value, count] of values) choice.append(html("option", { value }, `${value} (${count})`));
    choice.addEventListener("change", () => {
      state[key] = choice.value;
      afterFilter();
    });
  }

  let results = [];
  let resultAt = -1;

  function makeSearch() {
    const box = byId("search");
    const list = byId("results");
    const close = () => {
      list.hidden = true;
      box.setAttribute("aria-expanded", "false");
      box.removeAttribute("aria-activedescendant");
      resultAt = -1;
    };
    const mark = (at) => {
      const items = [...list.children];
      if (resultAt >= 0 && items[resultAt]) items[resultAt].setAttribute("aria-selected", "false");
      resultAt = Math.max(-1, Math.min(results.length - 1, at));
      if (resultAt < 0) return;
      items[resultAt].setAttribute("aria-selected", "true");
      items[resultAt].scrollIntoView({ block: "nearest" });
      box.setAttribute("aria-activedescendant", items[resultAt].id);
    };
    const choose = (index) => {
      close();
      select(index, { focus: true });
    };
    const refresh = () => {
      const found = findTargets(model, texts, box.value);
      results = found.slice(0, MOST_FOUND);
      resultAt = -1;
      list.replaceChildren(...results.map((index, place) => {
        const node = model.nodes[index];
        const item = html("li", { role: "option", id: `result-${place}`, "aria-selected": "false" }, badge(model, data.states[node.state]), html("span", {}, node.id));
        item.addEventListener("mousedown", (event) => {
          event.preventDefault();
          choose(index);
        });
        return item;
      }));
      const isOpen = results.length > 0;
      list.hidden = !isOpen;
      box.setAttribute("aria-expanded", String(isOpen));
      byId("count").textContent = box.value.trim() ? `${found.length} of ${model.nodes.length}` : "";
    };
    box.addEventListener("input", () => {
      performance.mark("graph-search-start");
      state.query = box.value.trim();
      refresh();
      if (state.target < 0 && !state.group) afterFilter();
      performance.measure("graph-search", "graph-search-start");
    });
    box.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        mark(resultAt + (event.key === "ArrowDown" ? 1 : -1));
      } else if (event.key === "Enter" && results.length) {
        event.preventDefault();
        choose(results[Math.max(0, resultAt)]);
      } else if (event.key === "Escape") {
        event.stopPropagation();
        if (list.hidden) {
          box.value = "";
          state.query = "";
          afterFilter();
          byId("count").textContent = "";
        }
        close();
      }
    });
    box.addEventListener("focus", () => { if (box.value.trim()) refresh(); });
    box.addEventListener("blur", close);
  }

  function makeButtons() {
    const press = (id, action) => byId(id).addEventListener("click", action);
    press("fit", () => fit());
    press("closer", () => viewport.zoom(1.3));
    press("farther", () => viewport.zoom(1 / 1.3));
    press("open-all", () => openAll(() => true));
    press("close-all", () => openAll(() => false));
    press("open-first", () => {
      state.open = firstOpen(model);
      layOut();
      fit(SMALLEST);
    });
    press("close-panel", clearSelection);
    press("theme", () => {
      const root = document.documentElement;
      const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = isDark ? "light" : "dark";
      byId("theme").setAttribute("aria-pressed", String(!isDark));
      try {
        localStorage.setItem("marin-build-theme", root.dataset.theme);
      } catch {
        // Not kept where nothing may be kept.
      }
    });
    press("keys", () => byId("help").showModal());
    const toggle = (id, key) => {
      press(id, () => {
        state[key] = !state[key];
        byId(id).setAttribute("aria-pressed", String(state[key]));
        if (key === "path" && state.path) {
          const before = new Set(state.open);
          for (const index of model.critical) openTo(index);
          if (!layOut()) state.open = before;
          fit();
        }
        if (key === "few") layOut();
        if (key === "only") {
          layOut();
          fit();
        }
        afterFilter();
      });
    };
    toggle("only", "only");
    toggle("path", "path");
    toggle("few", "few");
    byId("path").disabled = model.critical.size === 0;
    if (data.path_text) byId("path").title = data.path_text;
  }

  // --- pointer and keyboard on the picture ------------------------------------------------------

  function groupAt(key) {
    return key && key.startsWith("g") ? groups.get(key.slice(1)) : undefined;
  }

  canvas.addEventListener("click", (event) => {
    if (viewport.wasDragged()) return;
    const element = event.target.closest("[data-key]");
    if (!element) {
      if (state.target >= 0 || state.group) clearSelection();
      return;
    }
    const { key } = element.dataset;
    focused = key;
    const group = groupAt(key);
    if (!group) select(shown.boxes.get(key).leaf);
    else if (element.classList.contains("head")) toggleGroup(group);
    else if (event.target.closest(".more, .under") || event.detail > 1) toggleGroup(group);
    else toggleGroup(group);
  });

  // The nearest box in a direction: what is straight ahead counts more than what is aside.
  function neighbour(key, dx, dy) {
    const middle = (place) => ({ x: place.x + place.width / 2, y: place.y + place.height / 2 });
    const here = middle(shown.placed.at.get(key));
    let best = "";
    let least = Infinity;
    for (const other of shown.elements.keys()) {
      if (other === key || !shown.boxes.has(other)) continue;
      const there = middle(shown.placed.at.get(other));
      const ahead = (there.x - here.x) * dx + (there.y - here.y) * dy;
      const aside = Math.abs((there.x - here.x) * dy) + Math.abs((there.y - here.y) * dx);
      if (ahead < 8) continue;
      const cost = dx ? ahead + 1.5 * aside : ahead + 4 * aside;
      if (cost < least) [least, best] = [cost, other];
    }
    return best;
  }

  // Left and right follow edges; where there is none, they go to what is nearest.
  function along(key, dx) {
    const ends = shown.view.edges.filter((edge) => (dx > 0 ? edge.from : edge.to) === key).map((edge) => (dx > 0 ? edge.to : edge.from));
    if (ends.length === 0) return neighbour(key, dx, 0);
    const y = (other) => shown.placed.at.get(other).y;
    return ends.sort((a, b) => Math.abs(y(a) - y(key)) - Math.abs(y(b) - y(key)))[0];
  }

  canvas.addEventListener("keydown", (event) => {
    const element = event.target.closest("[data-key]");
    if (!element || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = element.dataset;
    const group = groupAt(key);
    const moves = { ArrowRight: () => along(key, 1), ArrowLeft: () => along(key, -1), ArrowUp: () => neighbour(key, 0, -1), ArrowDown: () => neighbour(key, 0, 1) };
    if (moves[event.key]) {
      event.preventDefault();
      const next = moves[event.key]();
      if (next) focusBox(next);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (group) toggleGroup(group, true);
      else select(shown.boxes.get(key).leaf);
    } else if (event.key === "i" && group) {
      selectGroup(group);
    } else if (event.key === "c" || event.key === "Backspace") {
      const frame = shown.boxes.has(key) ? shown.boxes.get(key).frame : key;
      if (frame) {
        event.preventDefault();
        toggleGroup(groupAt(frame), true);
      }
    }
  });

  document.addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    if (event.key === "Escape" && !isTyping) {
      if (state.target >= 0 || state.group) clearSelection();
      return;
    }
    if (isTyping) return;
    const actions = {
      "/": () => byId("search").focus(),
      "f": () => fit(),
      "0": () => fit(),
      "+": () => viewport.zoom(1.3),
      "=": () => viewport.zoom(1.3),
      "-": () => viewport.zoom(1 / 1.3),
      "p": () => byId("path").click(),
      "o": () => byId("only").click(),
      "e": () => byId("few").click(),
      "t": () => byId("theme").click(),
      "?": () => byId("keys").click(),
      "g": () => focusBox(focused),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });

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

  makeChips();
  makeChoice("tag", countedValues(model, (node) => node.tags || []), "tag");
  const places = countedValues(model, (node) => [placeOf(model, node)]);
  makeChoice("on", places.length > 1 ? places : [], "on");
  makeSearch();
  makeButtons();
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
