/** Stores the SELECT's fields as time series. The store process executes it; here it is checked. */
import { LIMITS } from "../../base/mod.ts";
import { only, optionalText, present } from "./checks.ts";
import type { ActionKind } from "./kind.ts";

export interface TelemetryBody {
  /** Name of the measurement; without it, it follows from the topic. */
  readonly measurement?: string;
}

export const telemetry: ActionKind<TelemetryBody> = {
  name: "telemetry",
  carrier: null,
  validate(given, at) {
    only(given, at, ["measurement"]);
    const measurement = optionalText(given["measurement"], `${at}.measurement`, LIMITS.telemetry.fieldNameBytesMax);
    return present({ measurement });
  },
};
