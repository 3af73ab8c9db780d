/** The platform's own health, asked for now and then. */
import { signal } from "@preact/signals";
import type { Health } from "../../cloud/api/contract.ts";
import { call } from "../api/client.ts";

const PERIOD_MS = 30_000;

export const health = signal<Health | null>(null);

export async function loadHealth(): Promise<void> {
  try {
    health.value = await call<Health>("api/health");
  } catch {
    // The connection's banner tells that nobody answers; the last known health stays.
  }
}

export function watchHealth(): () => void {
  void loadHealth();
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") void loadHealth();
  }, PERIOD_MS);
  return () => clearInterval(timer);
}
