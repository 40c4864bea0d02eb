// Before anything is painted: the theme that the visitor chose, else the system's.
(function () {
  try {
    var chosen = localStorage.getItem("cairn-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (e) {
    // Storage is off: the system's theme it is.
  }
})();
