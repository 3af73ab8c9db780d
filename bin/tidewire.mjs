#!/usr/bin/env node
// Starts Tidewire on Node 24, wherever it was called from: a machine's own Node may be too old to read TypeScript.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, "src/main.ts");

if (Number(process.versions.node.split(".")[0]) >= 24) {
  // Before the first TypeScript file is read; why, says src/main.ts.
  process.env.NODE_COMPILE_CACHE ??= join(root, ".cache/compile");
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  await import(main);
} else {
  const pinned = join(root, "node_modules/.bin/node");
  if (!existsSync(pinned)) {
    process.stderr.write(
      `tidewire: this is Node ${process.versions.node}, and Tidewire needs Node 24.\n  Run \`npm ci\` in ${root} (it brings Node 24 along), or install Node 24.\n`,
    );
    process.exit(2);
  }
  const child = spawn(pinned, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal's Ctrl-C reaches both; what a supervisor sends reaches only this process and is passed on.
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => {});
  child.on("exit", (code, signal) => process.exit(signal === null ? code : 1));
}
