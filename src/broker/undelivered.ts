/** What is said and counted of messages that did not reach a subscriber. */
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { Route } from "./routes.ts";
import type { SharedGroup } from "./shared-group.ts";

export function unclaimed(core: Core, route: Route, group: SharedGroup): void {
  const fields = { topic: route.topic, filter: group.written, members: group.size };
  core.refusals.drop("share-unclaimed", "a message was dropped: no member of the shared subscription takes it", fields);
}

export function receiveForbidden(core: Core, connection: Connection, topic: string): void {
  const fields = { ...connection.describe(), topic, fix: "allow iot:Receive on the topic in the client's policy" };
  core.refusals.drop(
    "receive-forbidden",
    "a message was not delivered: the subscriber may not receive its topic",
    fields,
  );
}

export function fullOutput(core: Core, connection: Connection, topic: string): void {
  core.countFullOutput();
  const fields = { ...connection.describe(), topic };
  core.refusals.drop("slow-subscriber", "a QoS 0 message was dropped: the subscriber does not keep up", fields);
}

export function tooLarge(core: Core, connection: Connection, topic: string): void {
  const fields = { ...connection.describe(), topic, maximumPacketSize: connection.maximumPacketSize };
  core.refusals.drop(
    "too-large",
    "a message was not delivered: larger than the subscriber's Maximum Packet Size",
    fields,
  );
}
