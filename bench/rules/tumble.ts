/** A window over 100,000 keys: how fast, and what a key takes. */
import { LIMITS, parseJson } from "../../src/base/mod.ts";
import type { JsonValue } from "../../src/base/mod.ts";
import { MessageInput, RuleState } from "../../src/rules/mod.ts";
import { compileSql } from "../../src/sql/mod.ts";
import { T0, collected, messageOf, perSecond } from "./measuring.ts";

const utf8 = new TextEncoder();
const KEYS = 100_000;

/** avg, min, max, count of 100,000 devices by the minute, parse included, closing of windows included. */
export function tumble(): { rate: number; bytes: number } {
  const sql =
    "SELECT topic(2) AS d, avg(temperature) AS a, min(temperature) AS lo, max(temperature) AS hi, count(*) AS n FROM 'site/+/m' GROUP BY topic(2), TUMBLE('1 min')";
  let results = 0;
  const before = collected();
  const state = new RuleState({
    plan: compileSql(sql).windows!,
    limits: LIMITS.windows,
    parse: (payload): JsonValue | undefined => {
      const parsed = parseJson(payload, LIMITS.rules);
      return parsed.ok ? parsed.value : undefined;
    },
    outcome: () => results++,
  });
  const payload = utf8.encode('{"temperature":21.5,"humidity":40}');
  let offset = 0;
  // Every device once in 30 s: 3,333 messages a second of the log's time.
  const next = (): void => {
    const device = `device-${offset % KEYS}`;
    const message = messageOf(`site/${device}/m`, payload, device, T0 + Math.floor(offset * 0.3));
    state.handle(offset++, new MessageInput(message));
  };
  for (let device = 0; device < KEYS; device++) next();
  const bytes = (collected() - before) / KEYS;
  const rate = perSecond(() => {
    for (let i = 0; i < 10_000; i++) next();
    return 10_000;
  });
  if (results < KEYS) throw new Error(`no window was closed: ${results}`);
  return { rate, bytes };
}
