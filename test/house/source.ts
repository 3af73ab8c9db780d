/** Reading the tree for the house tests: files, and the imports between them. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { FLOORS } from "./house.ts";

export interface SourceFile {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly text: string;
  /** The text without comments, so that prose cannot break a rule about code. */
  readonly code: string;
}

export interface Import {
  readonly from: string;
  /** A path relative to the root, or a package name. */
  readonly to: string;
  readonly typeOnly: boolean;
}

export const root = join(import.meta.dirname, "../..");

export function filesBelow(folder: string, ending: RegExp): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((path) => !path.includes("node_modules"))
    .sort();
}

export function sourceFiles(folder: string): readonly SourceFile[] {
  return filesBelow(folder, /\.tsx?$/).map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return { path, text, code: withoutComments(text) };
  });
}

export function isTest(path: string): boolean {
  return /\.(?:test|cases|fuzz|bench|contract|fixture)\.tsx?$/.test(path);
}

export function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/(^|\s)\/\/.*$/gm, "$1");
}

const STATIC = /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[\w*{][^"';]*?\sfrom\s+)?"([^"]+)"/g;
const DYNAMIC = /\bimport\(\s*"([^"]+)"\s*\)/g;

export function importsOf(file: SourceFile): readonly Import[] {
  const found: Import[] = [];
  for (const match of file.code.matchAll(STATIC)) {
    found.push({ from: file.path, to: resolve(file.path, match[2]!), typeOnly: match[1] !== undefined });
  }
  for (const match of file.code.matchAll(DYNAMIC)) {
    found.push({ from: file.path, to: resolve(file.path, match[1]!), typeOnly: false });
  }
  return found;
}

function resolve(from: string, specifier: string): string {
  return specifier.startsWith(".") ? normalize(join(dirname(from), specifier)) : specifier;
}

export interface Room {
  readonly name: string;
  readonly floor: number;
}

/** The room of a file below `src/`; `null` for what lies outside of the plan. */
export function roomOf(path: string): Room | null {
  for (const [floor, names] of FLOORS.entries()) {
    for (const name of names) {
      if (path === `src/${name}` || path.startsWith(`src/${name}/`)) return { name, floor };
    }
  }
  return null;
}

/** Every file that a file reaches, with the chain of imports that leads there. */
export function reach(start: readonly string[], imports: readonly Import[]): ReadonlyMap<string, readonly string[]> {
  const bySource = Map.groupBy(imports, (edge) => edge.from);
  const chains = new Map<string, readonly string[]>(start.map((path) => [path, [path]]));
  const queue = [...start];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const { to } of bySource.get(path) ?? []) {
      if (chains.has(to)) continue;
      chains.set(to, [...chains.get(path)!, to]);
      queue.push(to);
    }
  }
  return chains;
}
