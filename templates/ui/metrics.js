// A page of facts: nothing in it changes.

setTheme();
byId("theme").addEventListener("click", () => toggleTheme(byId("theme")));
document.body.dataset.ready = "yes";
