// The theme somebody chose, before the first paint; theme.js has the rest.
try {
  const theme = localStorage.getItem("sttgate.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // storage is switched off: the system's theme it is
}
