/** Rules, dead letters and silences in the browser, against the real platform. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { PlatformProcess, temporaryFolder } from "../scenarios/support/platform-process.ts";
import { AUDIT, OVERFLOW } from "./audit.ts";
import { launchChromium } from "./browser.ts";
import type { Chromium } from "./browser.ts";
import { addUser } from "./enter-dashboard.ts";
import { buildDashboard, until } from "./site.ts";
import { picture, visitDashboard } from "./visit-dashboard.ts";
import type { Visiting } from "./visit-dashboard.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let chromium: Chromium;
let receiver: Server;
let answer = 404;
const received: string[] = [];

before(async () => {
  await buildDashboard();
  chromium = await launchChromium();
  platform = await PlatformProcess.start(folder.path);
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      received.push(body);
      response.writeHead(answer).end();
    });
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = receiver.address() as AddressInfo;
  await platform.api("POST", "/rules/hot", {
    description: "Tells the workshop",
    sql: "SELECT n, topic(2) AS thing\nFROM 'line/+/press'\nWHERE n > 5 AND mode = 'auto'",
    actions: [
      { webhook: { url: `http://127.0.0.1:${port}/hook?key=S3CRET`, headers: { authorization: "Bearer S3CRET" } } },
    ],
  });
});

after(async () => {
  await chromium?.close();
  await platform?.stop();
  receiver?.close();
  folder.remove();
});

const visiting = (where: Visiting, run: (page: Page) => Promise<void>): Promise<void> =>
  visitDashboard({ chromium, platform }, where, run);

const publish = (press: string, payload: object): Promise<unknown> =>
  platform.api("POST", `/topics/line/${press}/press?qos=1`, payload);

async function letters(count: number): Promise<void> {
  for (;;) {
    const { letters: found } = await platform.api<{ letters: object[] }>("GET", "/api/dead-letters");
    if (found.length >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("a rule from the list to its page: what became of it, why a message did not match, what another threshold would have done", async () => {
  for (let n = 0; n < 12; n++) await publish(`press-${n % 2}`, { n, mode: n === 11 ? "manual" : "auto" });
  await letters(5);
  await visiting({ at: "/rules" }, async (page) => {
    const row = page.locator("[data-rule='hot']");
    await row.getByText("5 matches").waitFor();
    await row.getByText("HTTP 404").waitFor();
    await row.getByRole("link", { name: "hot" }).click();
    await page.getByRole("heading", { name: "hot", level: 1 }).waitFor();
    await page.locator("[data-stat='Given up'] dd", { hasText: "5" }).waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /S3CRET/);
    await page.locator("[data-receiver]").getByText("HTTP 404").waitFor();

    await page.getByRole("button", { name: "Look at the newest messages" }).click();
    const newest = page.locator(".explained").first();
    assert.equal(await newest.getAttribute("data-verdict"), "unmatched");
    await newest.locator("summary").click();
    await newest.getByText("mode = 'auto'", { exact: true }).waitFor();
    assert.match(await newest.locator(".explained-part.is-false").last().innerText(), /mode = 'auto'\s+false/);

    await page.getByRole("button", { name: "Edit" }).click();
    const sql = page.getByLabel("Statement", { exact: true });
    await sql.fill("SELECT n\nFORM 'line/+/press'");
    await page.locator(".rule-fault").getByText("Line 2, column 1").waitFor();
    assert.equal(await sql.getAttribute("aria-invalid"), "true");
    assert.ok(await page.getByRole("button", { name: "Save" }).isDisabled());
    await page.getByRole("button", { name: "Go there" }).click();
    assert.equal(await page.evaluate("document.activeElement.selectionStart"), 9);

    await sql.fill("SELECT n, topic(2) AS thing\nFROM 'line/+/press'\nWHERE n > 8 AND mode = 'auto'");
    await page.getByText("Valid: it looks at messages of").waitFor();
    await page.getByRole("button", { name: "1 hour back" }).click();
    const found = page.locator(".back-test");
    await found.waitFor();
    assert.deepEqual([await found.getAttribute("data-fired"), await found.getAttribute("data-against")], ["2", "5"]);
    await found.getByText("As edited, it would have fired 2 times on").waitFor();
    await found.locator("[data-stat='Only as it runs'] dd", { hasText: "3" }).waitFor();
    assert.equal(await found.locator(".histogram").count(), 2);
    await found.getByText("The first (").or(found.getByText("All of them (2)")).first().click();
    await found.getByText('{"n":9,"thing":"press-1"}').first().waitFor();

    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".rule-code").getByText("n > 8").waitFor();
    const { rule } = await platform.api<{ rule: { sql: string } }>("GET", "/rules/hot");
    assert.match(rule.sql, /n > 8/);
    const before = received.length;
    answer = 200;
    await publish("press-9", { n: 9, mode: "auto" });
    while (received.length === before) await page.waitForTimeout(20);
    assert.equal(received.at(-1), '{"n":9,"thing":"press-9"}', "what was hidden is still there");
    answer = 404;
  });
});

test("switched off and on; somebody else's change is not overwritten; deleted in two steps", async () => {
  const statement = { sql: "SELECT * FROM 'other/#'", actions: [{ alert: { severity: "info", summary: "x" } }] };
  await platform.api("POST", "/rules/mine", statement);
  await visiting({ at: "/rules/mine" }, async (page) => {
    await page.locator("[data-state='on']").waitFor();
    await page.getByRole("button", { name: "Switch off" }).click();
    await page.locator("[data-state='off']").waitFor();
    await page.getByText("It is switched off").waitFor();
    await page.getByRole("button", { name: "Switch on" }).click();
    await page.locator("[data-state='on']").waitFor();

    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Statement", { exact: true }).waitFor(); // by now it has asked for what is there
    await platform.api("PATCH", "/rules/mine", { ...statement, sql: "SELECT * FROM 'theirs/#'" });
    await page.getByLabel("Statement", { exact: true }).fill("SELECT * FROM 'ours/#'");
    await page.getByText("Valid: it looks at").waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Somebody else has changed this rule").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator(".rule-code").getByText("theirs/#").waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByText("Valid: it looks at messages of theirs/#").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    const { rule } = await platform.api<{ rule: { sql: string } }>("GET", "/rules/mine");
    assert.match(rule.sql, /theirs/);

    await page.getByRole("button", { name: "Delete: mine" }).click();
    await page.getByRole("button", { name: "Delete now: mine" }).click();
    await page.getByRole("heading", { name: "Rules", level: 1 }).waitFor();
    await page.locator("[data-rule='hot']").waitFor();
    assert.equal(await page.locator("[data-rule='mine']").count(), 0);
  });
});

test("a new rule: checked while it is written, tried, created; by the keyboard alone", async () => {
  await visiting({ at: "/rules" }, async (page) => {
    await page.locator("[data-rule='hot']").waitFor();
    await page.getByRole("link", { name: "New rule" }).focus();
    await page.keyboard.press("Enter");
    await page.getByLabel("Name").focus();
    await page.keyboard.type("pressed");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("SELECT * FROM 'line/+/press' WHERE n = 3");
    await page.getByText("Valid: it looks at messages of line/+/press").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Control+A");
    await page.keyboard.type('{"actions": [{"webhook": {"url": "nowhere"}}]}');
    await page.getByText("actions[0].webhook.url").waitFor();
    await page.keyboard.press("Control+A");
    await page.keyboard.type('{"actions": [{"alert": {"severity": "info", "summary": "three"}}]}');
    await page.getByText("Valid: it looks at").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "pressed", level: 1 }).waitFor();
    await page.getByText("raise an alert").waitFor();
    await page.getByRole("button", { name: "1 day back" }).click();
    await page.getByText("It would have fired 1 time on 1 thing.").waitFor();
  });
});

test("dead letters: why and what; corrected and sent again; the rest of a receiver discarded at once", async () => {
  await letters(5);
  await visiting({ at: "/dead-letters" }, async (page) => {
    const first = page.locator(".letter").last();
    await first.getByText("HTTP 404").waitFor();
    await first.getByText('{"n":6,"thing":"press-0"}').waitFor();
    answer = 200;
    const before = received.length;
    await first.getByRole("button", { name: "Look and edit" }).click();
    const body = first.getByLabel("Body");
    await body.fill('{"n":600}');
    await first.getByLabel("Fields beside it, as JSON").fill("{");
    await first.getByRole("button", { name: "Send again" }).click();
    await first.getByText("The fields are no JSON.").waitFor();
    await first.getByLabel("Fields beside it, as JSON").fill('{"content-type":"application/json"}');
    await first.getByRole("button", { name: "Send again" }).click();
    while (received.length === before) await page.waitForTimeout(20);
    assert.equal(received.at(-1), '{"n":600}');
    await until(page, "document.querySelectorAll('.letter').length === 4");
    await page
      .getByRole("navigation", { name: "Receivers" })
      .getByRole("link", { name: /127\.0\.0\.1/ })
      .click();
    await until(page, "location.hash.includes('receiver=')");
    await page.getByRole("button", { name: "Discard all of these: dead letters" }).click();
    await page.getByRole("button", { name: "Discard now: dead letters" }).click();
    await page.getByRole("heading", { name: "Nothing was given up" }).waitFor();
    answer = 404;
  });
});

test("a viewer sees it all, is told why a message matches, and changes nothing", async () => {
  const vera = await addUser(platform, "vera", "viewer");
  await publish("press-1", { n: 7, mode: "auto" });
  await visiting({ at: "/rules/hot", as: vera }, async (page) => {
    await page.locator(".rule-code").waitFor();
    await page.getByRole("button", { name: "Look at the newest messages" }).click();
    await page.locator("[data-verdict='unmatched']").first().waitFor();
    for (const name of ["Edit", "Switch off", "Delete: hot", "1 hour back"]) {
      assert.equal(await page.getByRole("button", { name }).count(), 0, name);
    }
    await page.evaluate("location.hash = '/rules'");
    await page.locator("[data-rule='hot']").waitFor();
    assert.equal(await page.getByRole("link", { name: "New rule" }).count(), 0);
    await page.evaluate("location.hash = '/dead-letters'");
    await page.locator(".letter, .empty").first().waitFor();
    assert.equal(await page.getByRole("button", { name: /Send|Discard/ }).count(), 0);
  });
});

test("silences: made with conditions in words, told when they are nonsense, ended", async () => {
  await visiting({ at: "/alerts?tab=silences" }, async (page) => {
    await page.getByRole("heading", { name: "Nothing is silenced" }).waitFor();
    await page.getByText("New silence", { exact: true }).click();
    const conditions = page.getByLabel("Alerts, one condition a line");
    await conditions.fill("nonsense");
    await page.getByRole("button", { name: "Silence", exact: true }).click();
    await page.locator(".form-error").waitFor();
    await conditions.fill("rule=cpu_*\nthing=pump-1|pump-2");
    await page.getByLabel("For").selectOption({ label: "a day" });
    await page.getByLabel("Why").fill("new pumps");
    await page.getByRole("button", { name: "Silence", exact: true }).click();
    const row = page.locator(".silence");
    await row.getByText("Silenced", { exact: true }).waitFor();
    await row.getByText("thing=pump-1|pump-2").waitFor();
    await row.getByText(/^ends in/).waitFor();
    await row.getByText("new pumps").waitFor();
    await row.getByRole("button", { name: /^End: / }).click();
    await row.getByRole("button", { name: /^End now: / }).click();
    await page.getByText("Over (1)").click();
    await page.locator(".silence").getByText("Over", { exact: true }).waitFor();
  });
});

const LOOKS: readonly (readonly [at: string, sign: string])[] = [
  ["/rules", "[data-rule='hot']"],
  ["/rules/hot", ".rule-code"],
  ["/new-rule", ".rule-good"],
  ["/dead-letters", ".letter"],
  ["/rules?search=nobody-has-this", ".empty"],
  ["/rules/nobody", ".empty"],
  ["/alerts?tab=silences", ".silence"],
];

test("every page in both themes, wide and narrow: names, targets, contrast, nothing sideways", async () => {
  for (const n of [6, 7, 9])
    await publish("press-with-a-name-that-is-long", { n, mode: "auto", more: "x".repeat(300) });
  await letters(1);
  await platform.api("POST", "/api/alert-silences", {
    matchers: ["rule=cpu_*", "thing=press-with-a-name-that-is-long"],
    endsAt: Date.now() + 7_200_000,
    comment: "works on it",
  });
  for (const colorScheme of ["dark", "light"] as const) {
    for (const width of [1280, 390]) {
      await visiting({ at: "/rules", browser: { colorScheme, viewport: { width, height: 900 } } }, async (page) => {
        for (const [at, sign] of LOOKS) {
          await page.evaluate(`location.hash = ${JSON.stringify(at)}`);
          await page.locator(sign).first().waitFor();
          await until(page, "document.querySelector('.skeleton, .is-loading') === null");
          if (at === "/rules/hot") await lookAround(page);
          assert.deepEqual(await page.evaluate(AUDIT), [], `${at} ${colorScheme} ${width}`);
          assert.deepEqual(await page.evaluate(OVERFLOW), [], `${at} ${colorScheme} ${width}`);
          await picture(page, `${at.replaceAll(/\W+/g, "-").slice(1)}-${colorScheme}-${width}`);
        }
      });
    }
  }
});

/** All that a rule's page can show at once. */
async function lookAround(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Edit" }).click();
  await page
    .getByLabel("Statement", { exact: true })
    .fill("SELECT n FROM 'line/+/press' WHERE n > 6 AND mode = 'auto'");
  await page.getByText("Valid: it looks at").waitFor();
  await page.getByRole("button", { name: "1 hour back" }).click();
  await page.locator(".back-test").waitFor();
  await page.locator(".back-test-examples summary").first().click();
  await page.getByRole("button", { name: "Look at the newest messages" }).click();
  await page.locator(".explained summary").first().click();
}
