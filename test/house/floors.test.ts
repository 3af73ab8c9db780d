import assert from "node:assert/strict";
import { test } from "node:test";
import { CORE_FLOOR_MAX, WEB_MAY_IMPORT } from "./house.ts";
import { importsOf, isTest, roomOf, sourceFiles } from "./source.ts";
import type { Import } from "./source.ts";

const files = sourceFiles("src");
const imports = files.flatMap(importsOf);
const production = imports.filter((edge) => !isTest(edge.from));

function isWeb(path: string): boolean {
  return path.startsWith("src/web/");
}

/** Why an import breaks the plan, or null. */
function fault(edge: Import): string | null {
  if (isWeb(edge.from)) return webFault(edge);
  const from = roomOf(edge.from);
  if (from === null) return `${edge.from} stands in no room of the plan (test/house/house.ts)`;
  if (!edge.to.startsWith("src/")) return packageFault(edge, from.floor);
  const to = roomOf(edge.to);
  if (to === null) return `${edge.from} imports ${edge.to}, which stands in no room`;
  if (to.name === from.name) {
    return edge.to === `src/${to.name}/mod.ts`
      ? `${edge.from} imports its own room's front door: import the file`
      : null;
  }
  if (to.floor >= from.floor)
    return `${edge.from} (floor ${from.floor}) imports ${edge.to} (floor ${to.floor}): down only`;
  return null;
}

function packageFault(edge: Import, floor: number): string | null {
  const outside = floor <= CORE_FLOOR_MAX;
  return outside ? `${edge.from} is a core and imports ${edge.to}: make it a port` : null;
}

function webFault(edge: Import): string | null {
  if (!edge.to.startsWith("src/") || isWeb(edge.to)) return null;
  const allowed = WEB_MAY_IMPORT.some((name) => edge.to === `src/${name}` || edge.to.startsWith(`src/${name}/`));
  return allowed ? null : `${edge.from} imports ${edge.to}; the dashboard may import ${WEB_MAY_IMPORT.join(", ")}`;
}

/** Adapters and types files serve many; every other room is entered through its front door. */
function doorFault(edge: Import): string | null {
  const from = roomOf(edge.from);
  const to = roomOf(edge.to);
  if (from === null || to === null || from.name === to.name || to.name === "adapters" || to.floor >= 3) return null;
  return edge.to === `src/${to.name}/mod.ts` ? null : `${edge.from} enters ${to.name} by ${edge.to}, not by its mod.ts`;
}

test("imports go down the floors, never up and never sideways", () => {
  assert.deepEqual(
    production.map(fault).filter((line) => line !== null),
    [],
  );
});

test("rooms are entered by their front door", () => {
  assert.deepEqual(
    production.map(doorFault).filter((line) => line !== null),
    [],
  );
});

test("the plan is not fiction: breaking it is seen", () => {
  const up: Import = { from: "src/base/x.ts", to: "src/broker/mod.ts", typeOnly: false };
  const sideways: Import = { from: "src/rules/x.ts", to: "src/broker/mod.ts", typeOnly: true };
  const npm: Import = { from: "src/log/x.ts", to: "fastify", typeOnly: false };
  const back: Import = { from: "src/adapters/x.ts", to: "src/log/segment.ts", typeOnly: false };
  for (const edge of [up, sideways, npm]) assert.notEqual(fault(edge), null, JSON.stringify(edge));
  assert.notEqual(doorFault(back), null);
  assert.equal(fault({ from: "src/rules/x.ts", to: "src/sql/mod.ts", typeOnly: false }), null);
});
