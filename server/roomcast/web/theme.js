/**
 * Light or dark, before the first paint. A classic script, so that it runs before the body is drawn;
 * the choice is kept, and without one the system decides.
 */

(() => {
  const KEY = "roomcast.theme";
  const root = document.documentElement;
  try {
    const stored = localStorage.getItem(KEY);
    if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  } catch {
    // Storage is closed to us; the system decides.
  }

  globalThis.roomcastTheme = {
    /** Whether the page is dark now. */
    dark() {
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      return root.dataset.theme ? root.dataset.theme === "dark" : dark;
    },
    /** Change to the other one, and remember. */
    toggle() {
      root.dataset.theme = this.dark() ? "light" : "dark";
      try {
        localStorage.setItem(KEY, root.dataset.theme);
      } catch {
        // It lasts as long as the page.
      }
    },
  };
})();
