/** Being asked to stop, by Ctrl-C, a supervisor, or a terminal that was closed; or to read things again. */
import { systemClock } from "../adapters/system.ts";
import { seconds } from "../base/mod.ts";

/**
 * SIGHUP means that the terminal is gone, where there was one; a service that never had one is asked by it to read its
 * certificates again (`systemctl reload`), and must not end.
 */
const HAS_TERMINAL = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;

/** npm, a wrapper and the terminal each pass the same Ctrl-C on; what comes so soon after the first is no second one. */
const ECHO = seconds(1);

/**
 * Resolves at the first signal. A later one, from somebody who will not wait, ends the process as it is. A program that has
 * something to read again says so by `onReload`.
 */
export function stopSignal(onReload: (() => void) | null = null): Promise<NodeJS.Signals> {
  let first: number | null = null;
  return new Promise((resolve) => {
    const asked = (signal: NodeJS.Signals): void => {
      const now = systemClock.monotonic();
      if (first === null) resolve(signal);
      else if (now - first > ECHO) process.exit(130);
      first ??= now;
    };
    process.on("SIGINT", asked);
    process.on("SIGTERM", asked);
    process.on("SIGHUP", onReload === null || HAS_TERMINAL ? asked : onReload);
  });
}
