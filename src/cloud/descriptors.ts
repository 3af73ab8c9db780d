/** Open files: each connection takes one, and when none is left, nothing works any more. */
import { readFileSync } from "node:fs";

/** For the log, the databases, HTTP, and what comes and goes. */
const RESERVED = 1_500;

/** What the kernel allows this process; Node has raised it to the hard limit by now. Infinity where it cannot be told. */
export function descriptorLimit(path = "/proc/self/limits"): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(path, "utf8"))?.[1];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}

/** How many of the wanted connections fit. */
export function connectionsWithin(descriptors: number, wanted: number): number {
  return Math.min(wanted, descriptors - Math.min(RESERVED, Math.floor(descriptors / 2)));
}
