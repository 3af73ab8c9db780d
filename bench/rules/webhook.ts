/** PUBLISH → webhook through a whole platform that has other things to do: real MQTT publishers, a receiver of its own. */
import { latency } from "../latency.ts";
import type { Row } from "../report.ts";

const RATE = 200;
const SECONDS = 10;
export const BACKGROUND = 10_000;

export function webhook(runs: number): Promise<Row[]> {
  return latency({ runs, seconds: SECONDS, rate: RATE, background: BACKGROUND });
}
