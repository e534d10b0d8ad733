// The search box, and the list of what it finds.

function makeSearch(page) {
  const { model, state, texts, select, afterFilter } = page;
  const { data } = model;
  let results = [];
  let resultAt = -1;
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
    byId("count").textContent = box.value.trim() ? `${numberText(found.length)} of ${numberText(model.nodes.length)}` : "";
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
