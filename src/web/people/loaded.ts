/** A list that a section shows: loaded when it appears, and again after each change. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ApiError } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";

export interface Loaded<T> {
  /** Null until it is there. */
  readonly value: Signal<T | null>;
  readonly error: Signal<ApiError | null>;
  readonly load: () => Promise<void>;
  /** Makes a change, then loads anew. Returns what came back, or null where it failed: `error` says why. */
  readonly change: <R>(work: () => Promise<R>) => Promise<R | null>;
}

export function useLoaded<T>(path: string): Loaded<T> {
  const value = useSignal<T | null>(null);
  const error = useSignal<ApiError | null>(null);
  const load = async (): Promise<void> => {
    try {
      value.value = await call<T>(path);
      error.value = null;
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
  };
  const change = async <R>(work: () => Promise<R>): Promise<R | null> => {
    try {
      const result = await work();
      await load();
      return result;
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
      return null;
    }
  };
  useEffect(() => void load(), [path]);
  return { value, error, load, change };
}
