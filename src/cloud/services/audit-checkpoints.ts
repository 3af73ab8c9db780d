/**
 * The audit log's checkpoints as retained messages, so that a rule (or a subscriber who may) takes them to where whoever
 * holds this disk does not reach: `SELECT * FROM '$aws/events/tidewire/audit-checkpoint'` with any action.
 */
import { checkpointJson } from "../../audit/mod.ts";
import type { AuditTrail } from "../../audit/mod.ts";
import { encodeUtf8, reasonOf } from "../../base/mod.ts";
import type { Cancel, Logger } from "../../base/mod.ts";
import type { Broker } from "../../broker/mod.ts";

const CHECKPOINT_TOPIC = "$aws/events/tidewire/audit-checkpoint";

export interface AuditCheckpointsOptions {
  readonly audit: Pick<AuditTrail, "onCheckpoint">;
  readonly broker: Pick<Broker, "publishLocal">;
  readonly logger: Logger;
}

export function publishAuditCheckpoints({ audit, broker, logger }: AuditCheckpointsOptions): Cancel {
  return audit.onCheckpoint((checkpoint) => {
    const payload = encodeUtf8(JSON.stringify(checkpointJson(checkpoint)));
    const said = { clientId: "", thing: null, qos: 1, retain: true, properties: null } as const;
    try {
      broker.publishLocal({ topic: CHECKPOINT_TOPIC, payload, receivedAt: checkpoint.time, ...said });
    } catch (error) {
      logger.warn("A checkpoint of the audit log was not published.", { reason: reasonOf(error) });
    }
  });
}
