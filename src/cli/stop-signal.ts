/** Being asked to stop, by Ctrl-C, a supervisor, or a terminal that was closed. */
import { systemClock } from "../adapters/system.ts";
import { seconds } from "../base/mod.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** npm, a wrapper and the terminal each pass the same Ctrl-C on; what comes so soon after the first is no second one. */
const ECHO = seconds(1);

/** Resolves at the first signal. A later one, from somebody who will not wait, ends the process as it is. */
export function stopSignal(): Promise<NodeJS.Signals> {
  let first: number | null = null;
  return new Promise((resolve) => {
    const asked = (signal: NodeJS.Signals): void => {
      const now = systemClock.monotonic();
      if (first === null) resolve(signal);
      else if (now - first > ECHO) process.exit(130);
      first ??= now;
    };
    for (const signal of SIGNALS) process.on(signal, asked);
  });
}
