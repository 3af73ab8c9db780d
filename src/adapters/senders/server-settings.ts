/** The settings of a receiver that is not spoken to in HTTP, as `rules/actions/server.ts` makes them. */
import { isIP } from "node:net";
import type { Receiver } from "../../rules/mod.ts";
import type { OutgoingGuard } from "../outgoing-guard.ts";

export interface ServerSettings {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly path: string;
  readonly user?: string;
  readonly password?: string;
}

export function settingsOf(receiver: Receiver): ServerSettings {
  return receiver.settings as unknown as ServerSettings;
}

/** The address that the guard has looked at, so that no second look-up can give another. */
export async function guarded(guard: OutgoingGuard, { host, port }: ServerSettings): Promise<Address> {
  return { address: await guard.resolve(host), port, servername: isIP(host) === 0 ? host : undefined };
}

export interface Address {
  readonly address: string;
  readonly port: number;
  /** For TLS: the certificate is the name's, not the address's. */
  readonly servername: string | undefined;
}
