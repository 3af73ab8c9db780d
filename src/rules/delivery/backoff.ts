import type { Millis, Random } from "../../base/mod.ts";
import type { RulesLimits } from "../model.ts";

/** Doubles with every failure, between the limits; the later half of each step is random, so that nothing marches in step. */
export function backoff(
  failures: number,
  random: Pick<Random, "next">,
  limits: Pick<RulesLimits, "retryDelayMin" | "retryDelayMax">,
): Millis {
  const step = Math.min(limits.retryDelayMax, limits.retryDelayMin * 2 ** Math.max(0, failures - 1));
  return Math.max(limits.retryDelayMin, Math.round(step / 2 + (random.next() * step) / 2));
}
