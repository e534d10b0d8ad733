// What is selected, opened and filtered <-> the fragment of the address. Pure.

function toFragment(state) {
  const words = new URLSearchParams();
  if (state.target) words.set("target", state.target);
  if (state.group) words.set("group", state.group);
  if (state.query) words.set("find", state.query);
  if (state.states.length) words.set("status", state.states.join(","));
  if (state.drifted) words.set("drifted", "1");
  if (state.tag) words.set("tag", state.tag);
  if (state.on) words.set("on", state.on);
  if (state.only) words.set("only", "1");
  if (state.path) words.set("path", "1");
  if (state.few !== null) words.set("few", state.few ? "1" : "0");
  const text = words.toString();
  return text ? "#" + text : "";
}

function fromFragment(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    target: words.get("target") || "",
    group: words.get("group") || "",
    query: words.get("find") || "",
    states: (words.get("status") || "").split(",").filter(Boolean),
    drifted: words.get("drifted") === "1",
    tag: words.get("tag") || "",
    on: words.get("on") || "",
    only: words.get("only") === "1",
    path: words.get("path") === "1",
    few: words.has("few") ? words.get("few") === "1" : null,
  };
}
