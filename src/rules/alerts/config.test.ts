import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TidewireError } from "../../base/mod.ts";
import { configOf } from "./alerting.fixture.ts";

const CONTACTS = [{ name: "ops", chat: true }];
const WHOLE = { contacts: CONTACTS, route: { contacts: ["ops"] } };

describe("the alerts section", () => {
  test("what a route does not say is as its parent has it, and at the top as with Alertmanager", () => {
    const { plan } = configOf({
      ...WHOLE,
      route: { contacts: ["ops"], routes: [{ match: ["rule=x"], groupWait: "1min" }] },
    });
    const child = plan.route.routes[0]!;
    assert.deepEqual([child.id, child.contacts, child.groupBy], ["0.0", ["ops"], ["rule"]]);
    assert.deepEqual([child.groupWait, child.groupInterval, child.repeatInterval], [60_000, 300_000, 14_400_000]);
  });

  test("a program gets as many messages as there are, a person ten a minute", () => {
    const contacts = [...CONTACTS, { name: "log", program: true }, { name: "few", chat: true, perMinute: 2 }];
    const found = configOf({ ...WHOLE, contacts }).plan.contacts.map(({ perMinute }) => perMinute);
    assert.deepEqual(found, [10, null, 2]);
  });

  const range = { name: "office", days: ["mon"], from: "08:00", to: "18:00" };
  for (const [more, at, reason] of [
    [{ contact: [] }, "alerts.contact", /not known; there are contacts/],
    [{ route: undefined }, "alerts.route", /takes every alert/],
    [{ contacts: [...CONTACTS, ...CONTACTS] }, "alerts.contacts[1].name", /another/],
    [{ contacts: [{ name: "a b" }] }, "alerts.contacts[0].name", /letters/],
    [{ route: { match: ["rule=x"] } }, "alerts.route.match", /takes every alert/],
    [{ route: { contacts: ["opps"] } }, "alerts.route.contacts[0]", /'opps'/],
    [{ route: { routes: [{ match: ["x"] }] } }, "alerts.route.routes[0].match[0]", /NAME=VALUE/],
    [{ route: { groupWait: "soon" } }, "alerts.route.groupWait", /30s/],
    [{ route: { repeatInterval: "1s" } }, "alerts.route.repeatInterval", /minute/],
    [{ route: { groupBy: ["id", "rule"] } }, "alerts.route.groupBy", /alone/],
    [{ route: { mute: ["night"] } }, "alerts.route.mute[0]", /alerts.times/],
    [
      {
        route: {
          escalate: [
            { after: "2h", contacts: ["ops"] },
            { after: "1h", contacts: ["ops"] },
          ],
        },
      },
      "alerts.route.escalate[1].after",
      /longer/,
    ],
    [{ times: [{ ...range, from: 480 }] }, "alerts.times[0].from", /quotes/],
    [{ times: [{ ...range, zone: "Berlin" }] }, "alerts.times[0].zone", /Europe\/Berlin/],
    [{ times: [{ ...range, days: ["monday"] }] }, "alerts.times[0].days[0]", /mon/],
    [{ inhibit: [{ source: [], target: ["rule=x"], equal: [] }] }, "alerts.inhibit[0].source", /at least one/],
    [
      { maintenance: [{ name: "m", match: [], from: "2026-11-22 08:00", to: "x" }] },
      "alerts.maintenance[0].from",
      /zone/,
    ],
    [{ maintenance: [{ name: "m", match: [], cron: "every day", for: "1h" }] }, "alerts.maintenance[0].cron", /cron/],
    [{ link: "dashboard" }, "alerts.link", /https/],
  ] as const) {
    test(`refused at '${at}': ${String(reason)}`, () => {
      assert.throws(
        () => configOf({ ...WHOLE, ...more }),
        (error) =>
          error instanceof TidewireError && error.details["at"] === at && reason.test(String(error.details["reason"])),
      );
    });
  }
});
