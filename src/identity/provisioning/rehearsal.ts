/** Work whose outcome is wanted, and nothing else of it. */
import type { DeviceRegistry } from "./ports.ts";

class Undone extends Error {}

/** Runs `work` in a transaction that is taken back. Throws what it throws. */
export function undone<T>(registry: Pick<DeviceRegistry, "atomically">, work: () => T): T {
  let outcome: { readonly result: T } | null = null;
  try {
    registry.atomically(() => {
      outcome = { result: work() };
      throw new Undone("a rehearsal");
    });
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
  }
  return outcome!["result"];
}
