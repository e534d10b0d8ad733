// Search and filters. Pure.

const MOST_FOUND = 40;

// The text of each target that the search looks into, in lower case.
function searchTexts(model) {
  return model.nodes.map((node) =>
    [node.id, ...(node.tags || []), node.about || ""].join("\n").toLowerCase(),
  );
}

// All targets that have every word of a query; those whose name begins with it come first.
function findTargets(model, texts, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const found = [];
  texts.forEach((text, index) => {
    if (words.every((word) => text.includes(word))) found.push(index);
  });
  const rank = (index) => {
    const name = model.nodes[index].name.toLowerCase();
    if (name === words[0]) return 0;
    const last = name.slice(name.lastIndexOf("/") + 1);
    return name.startsWith(words[0]) || last.startsWith(words[0]) ? 1 : 2;
  };
  return found.sort((a, b) => rank(a) - rank(b) || a - b);
}

// The targets that pass all filters; null if no filter is set.
function passing(model, filters) {
  const { states, drifted, tag, on } = filters;
  if (states.size === 0 && !drifted && !tag && !on) return null;
  const found = new Set();
  model.nodes.forEach((node, index) => {
    if (states.size && !states.has(node.state)) return;
    if (drifted && !node.drift) return;
    if (tag && !(node.tags || []).includes(tag)) return;
    if (on && placeOf(model, node) !== on) return;
    found.add(index);
  });
  return found;
}

// Where a target is built: an engine, and what it asks for there.
function placeOf(model, node) {
  return node.on ? `${model.data.engine}: ${node.on}` : "this machine";
}

function countedValues(model, valuesOf) {
  const counts = new Map();
  for (const node of model.nodes) {
    for (const value of valuesOf(node)) counts.set(value, (counts.get(value) || 0) + 1);
  }
  return [...counts].sort((a, b) => ORDER.compare(a[0], b[0]));
}
