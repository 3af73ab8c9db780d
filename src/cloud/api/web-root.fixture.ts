import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A folder with the built dashboard, as far as the server cares. */
export function makeWebRoot(folder: string): string {
  const webRoot = join(folder, "web");
  mkdirSync(join(webRoot, "assets"), { recursive: true });
  writeFileSync(join(webRoot, "index.html"), "<!doctype html><title>Tidewire</title>");
  writeFileSync(join(webRoot, "assets", "index-abc.js"), "export {};");
  return webRoot;
}
