import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { live } from "./live.ts";

/** Runs `task` each time the live connection was made anew since the component came: what changed meanwhile is not told. */
export function useJoins(task: () => void): void {
  const seen = useRef(live.joins.peek());
  useSignalEffect(() => {
    if (live.joins.value === seen.current) return;
    seen.current = live.joins.value;
    task();
  });
}
