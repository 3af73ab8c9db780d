import assert from "node:assert/strict";
import { test } from "node:test";
import type { ForgetReport, ForgottenThings } from "../../cloud/api/contract.ts";
import { pagesOf } from "./retired-pages.ts";

/** Five have left; a page holds two. */
async function page(before: number | null): Promise<ForgottenThings> {
  const ids = [5, 4, 3, 2, 1].filter((id) => id < (before ?? Infinity)).slice(0, 2);
  const things = ids.map((id) => ({ id }) as ForgetReport);
  return { things, next: ids.at(-1) === 1 ? null : ids.at(-1)! };
}

const shown = ({ things, next }: ForgottenThings): unknown => [things.map(({ id }) => id), next];

test("as many pages as are wanted, newest first, and where the next begins; all there are at most", async () => {
  assert.deepEqual(shown(await pagesOf(page, () => 1)), [[5, 4], 4]);
  assert.deepEqual(shown(await pagesOf(page, () => 2)), [[5, 4, 3, 2], 2]);
  assert.deepEqual(shown(await pagesOf(page, () => 9)), [[5, 4, 3, 2, 1], null]);
});

test("more is wanted while a page is on its way: this answer has it", async () => {
  let wanted = 1;
  const slow = async (before: number | null): Promise<ForgottenThings> => {
    wanted = 2;
    return page(before);
  };
  assert.deepEqual(shown(await pagesOf(slow, () => wanted)), [[5, 4, 3, 2], 2]);
});
