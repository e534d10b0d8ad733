// Finds rows by a part of their name.

function startOutputs() {
  const find = byId("find");
  const rows = [...document.querySelectorAll("#outputs tbody tr")];
  const names = rows.map((row) => row.querySelector("th").textContent.toLowerCase());
  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => names[i].includes(word));
      if (!row.hidden) count += 1;
    });
    byId("count").textContent = words.length ? `${count} of ${rows.length}` : "";
  };
  find.addEventListener("input", show);
  show();
}

setTheme();
byId("theme").addEventListener("click", () => toggleTheme(byId("theme")));
startOutputs();
document.body.dataset.ready = "yes";
