// Computes from the data what the page needs: neighbours, and groups of names. Pure.

const DONE = 0; // the first state is "built": nothing is to be done about it

function makeModel(data) {
  const nodes = nodesOf(data);
  const needs = needsOf(nodes);
  const needed = nodes.map(() => []);
  needs.forEach((deps, index) => deps.forEach((dep) => needed[dep].push(index)));
  const critical = new Set(data.path || []);
  const places = new Map(nodes.map((node, index) => [node.id, index]));
  return { data, nodes, needs, needed, critical, places, root: groupTree(nodes) };
}

// All that can be reached from some nodes, themselves included.
function reachedFrom(starts, next) {
  const found = new Set(starts);
  const pending = [...starts];
  while (pending.length) {
    for (const other of next[pending.pop()]) {
      if (!found.has(other)) {
        found.add(other);
        pending.push(other);
      }
    }
  }
  return found;
}

// Where work begins: targets that are not built, and whose dependencies all are.
function frontierOf(model) {
  const found = [];
  model.nodes.forEach((node, index) => {
    if (node.state === DONE) return;
    if (model.needs[index].every((dep) => model.nodes[dep].state === DONE)) found.push(index);
  });
  return found;
}
