/** Raises one alert per thing (or key) while WHERE is true, or when a thing falls silent. `alerts/` does it; here it is checked. */
import { validateAlertSpec } from "../alerts/rule-alert.ts";
import type { AlertSpec } from "../alerts/rule-alert.ts";
import type { ActionKind } from "./kind.ts";

export const alert: ActionKind<AlertSpec> = {
  name: "alert",
  carrier: null,
  validate: (given, at) => validateAlertSpec(given, at),
};
