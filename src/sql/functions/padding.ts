import { bounded, toNumber, toText } from "../value.ts";
import type { SqlValue } from "../value.ts";

/** AWS IoT: a count outside of 0 to 1000 is set to the nearer of them. */
const PADDING_MAX = 1000;

/** The text and the spaces that are put to it; it is the number of spaces that is given, not the width. */
export function padded(
  [value, count]: readonly SqlValue[],
  join: (text: string, spaces: string) => string,
): string | undefined {
  const text = toText(value);
  const spaces = toNumber(count);
  if (text === undefined || spaces === undefined) return undefined;
  return bounded(join(text, " ".repeat(Math.min(PADDING_MAX, Math.max(0, Math.floor(spaces))))));
}
