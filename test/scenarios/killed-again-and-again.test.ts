import assert from "node:assert/strict";
import { after, test } from "node:test";
import { runKills } from "./support/kill-ledger.ts";
import { temporaryFolder } from "./support/platform-process.ts";

/** The short version of `npm run kill`, which does it a thousand times. */
const KILLS = 20;
const folder = temporaryFolder();
after(() => folder.remove());

test(`the platform is killed ${KILLS} times under load at QoS 1 and 2: nothing acknowledged is lost, nothing at QoS 2 comes twice [MQTT-4.3.2-4], [MQTT-4.3.3-8]`, async () => {
  const report = await runKills({ folder: folder.path, kills: KILLS, seed: 1, qualities: [1, 2] });
  assert.deepEqual(report.wrong, []);
  assert.deepEqual([report.lost, report.duplicated, report.reordered], [0, 0, 0]);
  assert.ok(report.acknowledged > 50 * KILLS, `${report.acknowledged} were acknowledged`);
  assert.ok(report.received >= 2 * report.acknowledged, `${report.received} were received by two subscribers`);
});
