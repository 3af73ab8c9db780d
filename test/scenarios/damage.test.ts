/** A short campaign of `npm run damage`; the long one: `npm run damage -- --count 10000 --seed 1`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { damageCampaign } from "./support/damage-campaign.ts";

test("bits flipped and ends cut off in every kind of file of a data folder: each is told or changes no answer", async () => {
  const { counts, foundByScrub, wrong } = await damageCampaign(400, 1);
  assert.deepEqual(wrong, []);
  for (const outcome of ["harmless", "refused", "told"] as const) {
    assert.ok(
      [...counts.values()].some((of) => of.has(outcome)),
      outcome,
    );
  }
  for (const kind of ["registry.db: registry.db", "secrets: ", "log: "]) {
    assert.ok(
      [...foundByScrub.keys()].some((name) => name.startsWith(kind)),
      `scrub found nothing in ${kind}`,
    );
  }
  assert.ok(counts.size > 20, `${counts.size} kinds of files`);
});
