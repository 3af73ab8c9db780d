#!/usr/bin/env node
// Starts Tidewire on Node 24, wherever it was called from: a machine's own Node may be too old to read TypeScript.
import { spawn } from "node:child_process";
import module from "node:module";
import { constants } from "node:os";
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
  const pinned = pinnedNode();
  if (pinned === null) {
    process.stderr.write(
      `tidewire: this is Node ${process.versions.node}, and Tidewire needs Node 24.\n  Install Node 24, or run \`npm ci\` in ${root}: it brings Node 24 along.\n`,
    );
    process.exit(2);
  }
  const child = spawn(pinned, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal's Ctrl-C reaches both, what a supervisor sends only this one: all is passed on, and an echo does no harm.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(
      `tidewire: ${pinned} cannot be started: ${error.message}.\n  Install Node 24, or run \`npm ci\` in ${root}.\n`,
    );
    process.exit(2);
  });
  // As a shell tells it: 128 and the signal's number.
  child.on("exit", (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
}

/** The program of the package `node`, wherever npm put it: below us in a clone, beside us where we are installed. */
function pinnedNode() {
  try {
    return module.createRequire(import.meta.url).resolve("node/bin/node");
  } catch {
    return null;
  }
}
