/** What devices do, as far as the audit log wants to know: every connection and its end, and what was refused. */
import type { AuditTrail } from "../audit/mod.ts";
import type { Cancel, LogFields } from "../base/mod.ts";
import type { Broker } from "../broker/mod.ts";

/** Nobody waits for an entry: ten thousand devices that come back are a few writes. */
export function auditDevices(
  broker: Pick<Broker, "onPresence" | "onRefusal">,
  audit: Pick<AuditTrail, "note" | "refused">,
): Cancel {
  const cancelPresence = broker.onPresence((event) => {
    const { type, thing, certificateId, clientId, remoteAddress: address, reason, sessionIdentifier } = event;
    // Who has no certificate is named by what he logged in with.
    const by = certificateId === null ? { principal: event.principal } : {};
    audit.note({
      actor: { kind: "device", thing, certificateId, ...by },
      address,
      action: type === "connected" ? "device.connect" : "device.disconnect",
      target: clientId,
      outcome: "ok",
      reason,
      details: { session: sessionIdentifier },
    });
  });
  const cancelRefusals = broker.onRefusal((kind, message, fields) => {
    const { remoteAddress, clientId, thing, certificateId, ...rest } = fields;
    audit.refused(`${textOf(remoteAddress) ?? "?"} ${kind}`, {
      actor: { kind: "device", thing: textOf(thing), certificateId: textOf(certificateId) },
      address: textOf(remoteAddress),
      action: `device.refuse.${kind}`,
      target: textOf(clientId),
      outcome: "refused",
      reason: message,
      details: rest satisfies LogFields,
    });
  });
  return () => {
    cancelPresence();
    cancelRefusals();
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
