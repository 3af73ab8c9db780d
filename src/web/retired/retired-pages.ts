/** The list of who has left, as far as it is shown. */
import type { ForgetReport, ForgottenThings } from "../../cloud/api/contract.ts";

/** `wanted` is asked after each page: who asks for more meanwhile gets it by the answer that is on its way, too. */
export async function pagesOf(
  get: (before: number | null) => Promise<ForgottenThings>,
  wanted: () => number,
): Promise<ForgottenThings> {
  const things: ForgetReport[] = [];
  let next: number | null = null;
  let pages = 0;
  do {
    const page: ForgottenThings = await get(next);
    things.push(...page.things);
    ({ next } = page);
    pages++;
  } while (next !== null && pages < wanted());
  return { things, next };
}
