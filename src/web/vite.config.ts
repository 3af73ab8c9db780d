import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/** Builds the dashboard to `dist/web/` at the repository's root. */
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  // Relative addresses, so that a reverse proxy may serve the dashboard under any path.
  base: "./",
  cacheDir: fileURLToPath(new URL("../../.cache/vite", import.meta.url)),
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: fileURLToPath(new URL("../../dist/web", import.meta.url)),
    emptyOutDir: true,
    target: "es2022",
    // Every asset is a file of its own: a strict Content-Security-Policy allows no `data:`.
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: true,
  },
});
