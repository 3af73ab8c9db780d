/** What the platform says of something, asked again and again while somebody looks. */
import { useEffect } from "preact/hooks";
import { useLoaded } from "../people/loaded.ts";
import type { Loaded } from "../people/loaded.ts";

const PERIOD_MS = 3_000;

export function usePolled<T>(path: string): Loaded<T> {
  const loaded = useLoaded<T>(path);
  const { load } = loaded;
  useEffect(() => {
    let busy = false;
    const timer = setInterval(() => {
      if (busy || document.hidden) return;
      busy = true;
      void load().finally(() => (busy = false));
    }, PERIOD_MS);
    return () => clearInterval(timer);
  }, [path]);
  return loaded;
}
