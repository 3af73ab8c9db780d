/** How a CONNECT is refused. */
import type { LogFields } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { explain } from "./answers.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { RefusalKind } from "./refusals.ts";

/** Why a CONNECT is refused; `null` where it is not. */
export type ConnectRefusal = {
  readonly kind: RefusalKind;
  readonly code: number;
  readonly detail: string;
  readonly fields?: LogFields;
} | null;

/** CONNACK with a refusal, then the end [MQTT-3.2.2-7]; nothing that follows CONNECT is looked at [MQTT-3.1.4-6]. */
export function refuseConnect(
  connection: Connection,
  code: number,
  kind: RefusalKind,
  detail: string,
  fields: LogFields = {},
): void {
  if (connection.isOver) return;
  const message = `a connection was refused: ${detail}`;
  connection.core.refusals.refuse(kind, message, { ...connection.describe(), ...fields });
  const intelligible = connection.version === 5 || kind !== "malformed-packet";
  // 3.1.1 has a word for these two, the second in [MQTT311-3.1.3-9].
  const said = code === REASON.unsupportedProtocolVersion || code === REASON.clientIdentifierNotValid; // [MQTT-3.1.3-8]
  // Who began with anything but a whole CONNECT of 3.1.1 is closed without a word [MQTT-3.1.0-1], [MQTT-3.1.4-1].
  if (!intelligible && !said) {
    connection.end();
    return;
  }
  // The writer maps the code for 3.1.1, where a client that is not authorized gets 5. [MQTT-3.2.2-6], [MQTT-3.2.2-19]
  const elsewhere = code === REASON.useAnotherServer ? referenceOf(connection.core) : {};
  const refusal = { sessionPresent: false, reasonCode: code, ...elsewhere };
  connection.core.meters.controlSent.value++;
  explain(connection, detail, (out, reason) => out.connack({ ...refusal, ...reason }));
  connection.end(); // [MQTT-4.13.2-1]
}

/** The Server Reference that goes with Use another server (section 4.11). */
export function referenceOf({ options }: Core): { readonly serverReference?: string } {
  return options.serverReference === undefined ? {} : { serverReference: options.serverReference };
}
