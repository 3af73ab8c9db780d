import { finite, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const atan2Function: SqlFunction = {
  name: "atan2",
  group: "math",
  signature: "atan2(y, x)",
  summary: "The angle between the x axis and the point (x, y), in radians.",
  examples: [
    ["atan2(1, 0)", "1.5707963267948966"],
    ["atan2('-1', 0)", "-1.5707963267948966"],
    ["atan2(1, true)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([y, x]) {
    const height = toNumber(y);
    const width = toNumber(x);
    return height === undefined || width === undefined ? undefined : finite(Math.atan2(height, width));
  },
};
