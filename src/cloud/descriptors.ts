/** Open files: each connection takes one, and when none is left, nothing works any more. */
import { readFileSync } from "node:fs";
import type { Limits, Logger } from "../base/mod.ts";

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

/** The limits, with no more connections than there may be descriptors; where that is less than wanted, the log says so. */
export function withinDescriptors(limits: Limits, logger: Logger, limit = descriptorLimit()): Limits {
  const { connectionsMax: wanted, greetingsMax } = limits.mqtt;
  const sockets = connectionsWithin(limit, wanted + greetingsMax);
  if (sockets >= wanted + greetingsMax) return limits;
  const strangers = Math.min(greetingsMax, Math.floor(sockets / 4));
  const possible = sockets - strangers;
  const hint = "raise it: `ulimit -Hn`, systemd's LimitNOFILE=, or the container's ulimits";
  logger.warn("The system allows too few open files for all connections; fewer are taken.", {
    limit,
    wanted,
    possible,
    hint,
  });
  return { ...limits, mqtt: { ...limits.mqtt, connectionsMax: possible, greetingsMax: strangers } };
}
