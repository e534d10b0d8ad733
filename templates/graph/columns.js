// Values by row from columns: `marin_build/emit/graph/columns.py` says what a table and a column
// are. A column is read when it is first asked for: most are of the panel only. Pure.

// Opens a table: { count, names, value(number of a column, row), row(row) }. A value that a row does
// not have is undefined.
function openTable(table) {
  const { count, names } = table;
  const keys = openColumn(table.keys, count);
  const places = rowPlaces(count, names.length, keys);
  const columns = table.columns.map((column, number) => openColumn(column, places[number].used));
  const value = (number, row) => {
    const place = places[number].of[row];
    return place < 0 ? undefined : columns[number](place);
  };
  const row = (index) => {
    const found = {};
    for (const number of keys(index)) setKey(found, names[number], value(number, index));
    return found;
  };
  return { count, names, value, row };
}

// An assignment to a key of this name would not make one.
function setKey(row, name, value) {
  if (name === "__proto__") Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true });
  else row[name] = value;
}

// Which value of each column belongs to each row: -1, if the row has none.
function rowPlaces(count, columns, keys) {
  const places = Array.from({ length: columns }, () => ({ used: 0, of: new Int32Array(count).fill(-1) }));
  for (let row = 0; row < count; row += 1) {
    for (const number of keys(row)) places[number].of[row] = places[number].used++;
  }
  return places;
}

// What returns the value at a place of a column.
function openColumn(column, count) {
  let at = null;
  return (place) => {
    at = at || readColumn(column, count);
    return at(place);
  };
}

function readColumn(column, count) {
  const value = differentValues(column);
  if (!column.which) return value;
  const numbers = new Int32Array(count);
  let place = 0;
  let known = 0;
  let number = 0;
  for (const said of column.which) {
    if (said >= 0) number = said;
    for (let more = said < 0 ? -said : 1; more > 0; more -= 1) {
      if (number === 0) known += 1;
      numbers[place++] = known - Math.max(1, number);
    }
  }
  return (index) => value(numbers[index]);
}

// What returns the n-th of the different values of a column.
function differentValues(column) {
  if (column.rows) return openTable(column.rows).row;
  if (column.hex !== undefined) return hexTexts(column.hex, column.digits);
  const values = column.texts ? wholeTexts(column.texts) : column.values;
  return (index) => values[index];
}

function wholeTexts(parts) {
  const texts = [];
  let start = "";
  for (const part of parts) {
    if (typeof part === "number") {
      start = texts[texts.length - 1].slice(0, part);
    } else {
      texts.push(start + part);
      start = "";
    }
  }
  return texts;
}

function hexTexts(base64, digits) {
  const bytes = atob(base64);
  const size = digits / 2;
  return (index) => {
    let text = "";
    for (let at = index * size; at < (index + 1) * size; at += 1) text += HEX[bytes.charCodeAt(at)];
    return text;
  };
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
