// The targets from the data of a page, with what follows from other values. Pure.

// Targets that read most of their values from the table when they are asked for.
function nodesOf(data) {
  const table = openTable(data.nodes);
  const numbers = new Map(table.names.map((name, number) => [name, number]));
  const read = (name, row) => (numbers.has(name) ? table.value(numbers.get(name), row) : undefined);
  class Target {
    constructor(row) {
      this.row = row;
      this.name = (read("folder", row) || "") + read("name", row);
      this.id = read("id", row) || `${this.name}_${read("hash", row)}`;
      this.state = read("state", row);
    }

    get fingerprint() {
      return read("fingerprint", this.row) || (read("rest", this.row) ? read("hash", this.row) + read("rest", this.row) : "");
    }
  }
  for (const [name, number] of numbers) {
    if (["name", "id", "state", "fingerprint"].includes(name)) continue;
    Object.defineProperty(Target.prototype, name, { get() { return table.value(number, this.row); } });
  }
  return Array.from({ length: table.count }, (_, row) => new Target(row));
}

// The places of what each target needs: the data says how many places before each one lies.
function needsOf(nodes) {
  return nodes.map((node, index) => {
    let at = index;
    return (node.deps || []).map((back) => (at -= back));
  });
}

function sinceOf(node) {
  return node.since || (node.since_hash ? `${node.name}_${node.since_hash}` : "");
}

function outputOf(data, node) {
  return node.output ? node.output.join(node.name) : `${data.prefix}/${node.id}`;
}

function linkOf(data, node) {
  if (node.link) return node.link.join(node.name);
  return data.link && !node.output ? `${data.link}/${node.id}` : "";
}

function scriptOf(node) {
  return node.script ? node.script.join(node.id) : "";
}

// A change of a dependency that changed itself is only the place of that among what is needed.
function changesOf(model, index) {
  return (model.nodes[index].changes || []).map((change) => {
    if (change.dep === undefined) return change;
    const dep = model.nodes[model.needs[index][change.dep]];
    return { path: `deps.${dep.name}`, old: sinceOf(dep), new: dep.id, because: change.because };
  });
}
