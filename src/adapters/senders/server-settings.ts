/** The settings of a receiver that is not spoken to in HTTP, as `rules/actions/server.ts` makes them. */
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { checkServerIdentity } from "node:tls";
import type { PeerCertificate } from "node:tls";
import { reasonOf } from "../../base/mod.ts";
import { isPem } from "../../rules/mod.ts";
import type { Receiver } from "../../rules/mod.ts";
import type { OutgoingGuard } from "../outgoing-guard.ts";

export interface ServerSettings {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly path: string;
  readonly user?: string;
  readonly password?: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly serverName?: string;
}

/** What all senders to servers have of the platform. */
export interface ServerPorts {
  readonly guard: OutgoingGuard;
  /** Holds the PEM files that rules name; null where there is none, as in tests. */
  readonly certificates: string | null;
}

export function settingsOf(receiver: Receiver): ServerSettings {
  return receiver.settings as unknown as ServerSettings;
}

/** `address`: the one that the guard has looked at, so that no second look-up can give another. */
export async function guarded({ guard, certificates }: ServerPorts, settings: ServerSettings): Promise<Guarded> {
  const [address, trust] = await Promise.all([guard.resolve(settings.host), trustOf(settings, certificates)]);
  return { address, port: settings.port, trust };
}

export interface Guarded {
  readonly address: string;
  readonly port: number;
  readonly trust: Trust;
}

/** For `tls.connect`, by whatever client. */
export interface Trust {
  /** What the client asks for in TLS; an address is never asked for (RFC 6066 section 3). */
  readonly servername?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /**
   * Clients connect to an address, and some of them hand over a socket: Node would then check the certificate for the address,
   * or for `localhost`. It is always the name that the rule says.
   */
  readonly checkServerIdentity: (asked: string, certificate: PeerCertificate) => Error | undefined;
}

async function trustOf(settings: ServerSettings, folder: string | null): Promise<Trust> {
  const name = settings.serverName ?? settings.host;
  const [ca, cert, key] = await Promise.all(
    (["ca", "certificate", "privateKey"] as const).map((of) => pemOf(of, settings[of], folder)),
  );
  return {
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
  };
}

async function pemOf(of: string, given: string | undefined, folder: string | null): Promise<string | undefined> {
  if (given === undefined || isPem(given)) return given;
  try {
    if (folder === null) throw new Error("there is no such folder");
    return await readFile(join(folder, given), "utf8");
  } catch (error) {
    throw new Error(`${of}: '${given}' of the platform's certificates folder cannot be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
