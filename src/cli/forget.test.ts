import assert from "node:assert/strict";
import { test } from "node:test";
import { departures } from "./forget.ts";

test("the list of who left is read page by page to its end", async () => {
  const asked: string[] = [];
  const pages = [
    { things: [{ id: 9 }, { id: 7 }], next: 7 },
    { things: [{ id: 2 }], next: null },
  ];
  const client = {
    async get<T>(path: string): Promise<T> {
      asked.push(path);
      return pages.shift() as T;
    },
  };
  const all = await departures(client, "/api/retirements");
  assert.deepEqual(
    all.map(({ id }) => id),
    [9, 7, 2],
  );
  assert.deepEqual(asked, ["/api/retirements?limit=250", "/api/retirements?limit=250&before=7"]);
});
