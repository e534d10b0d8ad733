// Pointer and keyboard on the picture.

function listen(page) {
  const { state, viewport, groups, canvas, fit } = page;
  const { select, selectGroup, clearSelection, toggleGroup, focusBox } = page;

  function groupAt(key) {
    return key && key.startsWith("g") ? groups.get(key.slice(1)) : undefined;
  }

  canvas.addEventListener("click", (event) => {
    if (viewport.wasDragged()) return;
    const element = event.target.closest("[data-key]");
    if (!element) {
      const frame = event.target.closest(".frame");
      if (frame) selectGroup(groupAt(frame.dataset.frame));
      else if (state.target >= 0 || state.group) clearSelection();
      return;
    }
    const { key } = element.dataset;
    page.setFocused(key);
    const group = groupAt(key);
    if (!group) select(page.shown().boxes.get(key).leaf);
    else if (event.shiftKey) selectGroup(group);
    else toggleGroup(group);
  });

  // The nearest box in a direction: a box straight ahead is preferred to one at the side.
  function neighbour(key, dx, dy) {
    const middle = (place) => ({ x: place.x + place.width / 2, y: place.y + place.height / 2 });
    const here = middle(page.shown().placed.at.get(key));
    let best = "";
    let least = Infinity;
    for (const other of page.shown().elements.keys()) {
      if (other === key || !page.shown().boxes.has(other)) continue;
      const there = middle(page.shown().placed.at.get(other));
      const ahead = (there.x - here.x) * dx + (there.y - here.y) * dy;
      const aside = Math.abs((there.x - here.x) * dy) + Math.abs((there.y - here.y) * dx);
      if (ahead < 8) continue;
      const cost = dx ? ahead + 1.5 * aside : ahead + 4 * aside;
      if (cost < least) [least, best] = [cost, other];
    }
    return best;
  }

  // Left and right follow edges; without an edge they go to the nearest box.
  function along(key, dx) {
    const [here, there] = dx > 0 ? ["from", "to"] : ["to", "from"];
    const { edges } = page.shown().view;
    const ends = edges.filter((edge) => edge[here] === key).map((edge) => edge[there]);
    if (ends.length === 0) return neighbour(key, dx, 0);
    const y = (other) => page.shown().placed.at.get(other).y;
    return ends.sort((a, b) => Math.abs(y(a) - y(key)) - Math.abs(y(b) - y(key)))[0];
  }

  canvas.addEventListener("keydown", (event) => {
    const element = event.target.closest("[data-key]");
    if (!element || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = element.dataset;
    const group = groupAt(key);
    const moves = {
      ArrowRight: () => along(key, 1),
      ArrowLeft: () => along(key, -1),
      ArrowUp: () => neighbour(key, 0, -1),
      ArrowDown: () => neighbour(key, 0, 1),
    };
    if (moves[event.key]) {
      event.preventDefault();
      const next = moves[event.key]();
      if (next) focusBox(next);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const { leaf } = page.shown().boxes.get(key) || {};
      if (group) toggleGroup(group, true);
      else if (leaf === state.target) byId("facts").querySelector("h2").focus();
      else select(leaf);
    } else if (event.key === "i" && group) {
      selectGroup(group);
    } else if (event.key === "c" || event.key === "Backspace") {
      const frame = page.shown().boxes.has(key) ? page.shown().boxes.get(key).frame : key;
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
      if (state.target >= 0 || state.group) {
        clearSelection();
      } else if (state.query) {
        const search = byId("search");
        search.value = "";
        search.dispatchEvent(new Event("input"));
      }
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
      "g": () => focusBox(page.focused()),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });
}
