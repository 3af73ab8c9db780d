/** A list that a section shows: loaded when it appears, again after each change, and when a lost connection is back. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { useJoins } from "../live/use-joins.ts";

export interface Loaded<T> {
  /** Null until it is there. */
  readonly value: Signal<T | null>;
  readonly error: Signal<ApiError | null>;
  readonly load: () => Promise<void>;
  /** Makes a change, then loads anew. Returns what came back, or null where it failed: `error` says why. */
  readonly change: <R>(work: () => Promise<R>) => Promise<R | null>;
}

export function useLoaded<T>(path: string, get: (path: string) => Promise<T> = call<T>): Loaded<T> {
  const value = useSignal<T | null>(null);
  const error = useSignal<ApiError | null>(null);
  const wanted = useRef(path);
  wanted.current = path;
  const load = async (): Promise<void> => {
    try {
      const answer = await get(path);
      if (wanted.current !== path) return; // something else is looked at by now
      value.value = answer;
      error.value = null;
    } catch (thrown) {
      if (wanted.current === path) error.value = apiErrorOf(thrown);
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
  useJoins(() => void load());
  return { value, error, load, change };
}
