import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { days, minutes } from "../../base/mod.ts";
import { apiWorld, unavailable } from "./api.fixture.ts";
import type { ApiWorld } from "./api.fixture.ts";

let world: ApiWorld;
let id: string;

describe("pictures of alerts", () => {
  beforeEach(async () => {
    world = await apiWorld();
    const now = world.clock.now();
    const times = Array.from({ length: 60 }, (_, i) => now - minutes(60 - i));
    world.store.answer = ({ fields }) => ({
      series: [
        { measurement: "other", field: fields![0]!, type: "number", times: times.slice(0, 1), values: [1] },
        { measurement: "system", field: fields![0]!, type: "number", times, values: times.map((_, i) => i) },
      ],
    });
    world.reading("pi-1", { cpu: { percent: 97.25 } });
    id = world.rules.alerts.list({ state: "active", limit: 1 })[0]!.id;
  });
  afterEach(() => world[Symbol.asyncDispose]());

  const at = (id: string, kind: string): string => `/api/alerts/${encodeURIComponent(id)}/picture.${kind}`;
  const link = (): string =>
    new URL(world.pictures.link("https://tide.example", id, world.clock.now())!).href.slice(20);
  const fetchLink = (path: string): ReturnType<ApiWorld["ask"]> => world.askAs({}, "GET", path);
  const altered = (path: string, name: string, value: string): string => {
    const url = new URL(path, "https://tide.example");
    url.searchParams.set(name, value);
    return url.pathname + url.search;
  };

  test("SVG and PNG for who is logged in: the series that the rule measures, and the reading that raised it", async () => {
    const svg = await world.ask("GET", at(id, "svg"));
    assert.equal(svg.status, 200);
    assert.match(String(svg.headers["content-type"]), /^image\/svg\+xml/);
    assert.match(svg.text, /CPU at 97 % on pi-1.*raised at 90/s);
    assert.equal(/points="([^"]*)"/.exec(svg.text)![1]!.split(" ").length, 61);
    const { field, ...asked } = { field: world.store.queries[0]!.fields, ...world.store.queries[0]! };
    assert.deepEqual([field, asked.thing, asked.window], [["cpu.percent"], "pi-1", null]);
    assert.equal(asked.from, Math.floor(world.clock.now() - minutes(120)));
    const png = await world.ask("GET", at(id, "png"));
    assert.deepEqual([png.status, png.headers["content-type"]], [200, "image/png"]);
    assert.equal((await world.askAs({}, "GET", at(id, "svg"))).status, 401);
  });

  test("a signed link needs no login, and shows what was known then", async () => {
    const path = link();
    assert.equal((await fetchLink(path)).status, 200);
    const { headers } = await fetchLink(path);
    assert.equal(headers["cross-origin-resource-policy"], "cross-origin");
    world.store.queries.length = 0;
    world.clock.advance(minutes(5));
    assert.equal((await fetchLink(path)).status, 200);
    assert.equal(world.store.queries.length, 0, "it was made before");
  });

  test("expired, altered, or of another alert: refused, and not told why", async () => {
    world.reading("pi-2", { cpu: { percent: 95 } });
    const other = world.rules.alerts.list({ state: "active", limit: 9, thing: "pi-2" })[0]!.id;
    const path = link();
    const far = String(world.clock.now() + days(3650));
    const forged = [
      altered(path, "until", far),
      altered(path, "at", String(world.clock.now() + 1)),
      altered(path, "key", "a".repeat(43)),
      path.replace(encodeURIComponent(id), encodeURIComponent(other)),
    ];
    for (const one of forged) {
      const answer = await fetchLink(one);
      assert.deepEqual([answer.status, (answer.json as { code: string }).code], [403, "LINK_INVALID"], one);
    }
    assert.equal((await fetchLink(path.replace(/&key=.*/, ""))).status, 400);
  });

  test("an alert that measures nothing has no picture, and no link to one", async () => {
    const { id: byHand } = world.rules.alerts.raise({ thing: "door", severity: "info", summary: "It is open" });
    assert.equal((await world.ask("GET", at(byHand, "png"))).status, 404);
    assert.equal(world.pictures.link("https://tide.example", byHand, world.clock.now()), null);
  });

  test("nothing stored, a store that is away, an alert that is gone: a word, no picture, and no crash", async () => {
    const path = link();
    world.store.answer = null;
    assert.equal((await world.ask("GET", at(id, "svg"))).status, 404);
    world.store.failure = unavailable;
    assert.equal((await world.ask("GET", at(id, "png"))).status, 503);
    assert.equal((await world.ask("GET", at(id, "png"))).status, 503);
    assert.equal(world.logger.lines.filter(({ message }) => message.includes("picture")).length, 1);
    assert.equal((await world.ask("GET", at("cpu_high.nobody.1", "svg"))).status, 404);
    world.rules.eraseThing("pi-1");
    assert.equal((await fetchLink(path)).status, 404);
  });
});
