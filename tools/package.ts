/**
 * `npm run package`: makes the folder `dist/package`, which `npm pack` and `npm publish` take as it is. Node strips no types
 * below `node_modules`, so the published files are JavaScript: the same text with the types blanked out, line by line, so
 * that a stack trace names the lines that stand in the repository.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, posix } from "node:path";

const root = join(import.meta.dirname, "..");

/** What is run and not imported: the program, and the files that processes and threads are started from are found behind it. */
const ENTRY = "src/main.ts";

const BESIDE = ["dist/web", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"];

/** `from "./x.ts"`, `import("./x.ts")`, `import "./x.ts"`, and `new URL("x.ts", import.meta.url)` of processes and threads. */
const REFERENCE = /(\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)"([^"\n]+)\.ts"/g;

/** Returns the folder. Throws where the dashboard has not been built. */
export function makePackage(folder: string = join(root, "dist/package")): string {
  if (!existsSync(join(root, "dist/web/index.html"))) {
    throw new Error("dist/web is not there. Build the dashboard first: `node tools/prepare.mjs start`.");
  }
  rmSync(folder, { recursive: true, force: true });
  for (const file of sourceFrom(ENTRY)) {
    write(join(folder, javascriptOf(file)), pointed(stripTypeScriptTypes(readFileSync(join(root, file), "utf8"))));
  }
  for (const path of BESIDE) cpSync(join(root, path), join(folder, path), { recursive: true });
  const starter = readFileSync(join(root, "bin/tidewire.mjs"), "utf8");
  write(join(folder, "bin/tidewire.mjs"), starter.replaceAll(ENTRY, javascriptOf(ENTRY)), 0o755);
  write(join(folder, "package.json"), `${JSON.stringify(manifest(), null, 2)}\n`);
  return folder;
}

/** Every file that is reached from this one: no test, no fixture, no benchmark. */
function sourceFrom(entry: string): ReadonlySet<string> {
  const found = new Set([entry]);
  for (const file of found) {
    const code = stripTypeScriptTypes(readFileSync(join(root, file), "utf8"));
    for (const [, , reference] of code.matchAll(REFERENCE)) {
      const path = posix.join(posix.dirname(file), `${reference}.ts`);
      if (existsSync(join(root, path))) found.add(path);
    }
  }
  return found;
}

function pointed(code: string): string {
  return code.replaceAll(REFERENCE, (_, before: string, path: string) => `${before}"${path}.js"`);
}

function javascriptOf(file: string): string {
  return file.replace(/\.ts$/, ".js");
}

const FOR_THE_REPOSITORY: ReadonlySet<string> = new Set(["scripts", "devDependencies", "allowScripts"]);

/** Ours without what only the repository needs. */
function manifest(): object {
  const ours = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(ours).filter(([key]) => !FOR_THE_REPOSITORY.has(key)));
}

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode });
}

if (import.meta.main) process.stdout.write(`${makePackage()}\n`);
