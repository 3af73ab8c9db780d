/** Devices that log in with the password of their thing: its name is the user name (MQTT 5.0 section 3.1.3.5). */
import { LIMITS, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Clock, Counter, Logger, Metrics, Random } from "../../base/mod.ts";
import type { Admission, Gatekeeper, Peer } from "../../broker/mod.ts";
import { Attempts, OF_DEVICES } from "../../people/mod.ts";
import type { PasswordHasher, SharedAttempts } from "../../people/mod.ts";
import type { PasswordPrincipal, Registry } from "../../registry/mod.ts";
import { passwordKey } from "../../registry/mod.ts";
import type { Refused, Rights } from "../admission.ts";
import type { RegistryGatekeeper } from "../gatekeeper.ts";
import { Counting } from "./counting.ts";
import type { PasswordUses } from "./password-uses.ts";
import { Remembered } from "./remembered.ts";
import type { KeyedHash } from "./remembered.ts";

type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

export interface PasswordLoginOptions {
  readonly registry: Registry;
  readonly gatekeeper: RegistryGatekeeper;
  readonly passwords: PasswordHasher;
  readonly hash: KeyedHash;
  readonly passwordUses: Pick<PasswordUses, "note">;
  /** Where platforms count failures together; null: this one counts by itself. */
  readonly failures?: SharedAttempts | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** MQTT 5.0 section 3.2.2.2. */
const BAD_USER_NAME_OR_PASSWORD = 0x86;
const SERVER_UNAVAILABLE = 0x88;
const SERVER_BUSY = 0x89;
const QUOTA_EXCEEDED = 0x97;

const THING_NAME = /^[a-zA-Z0-9:_-]{1,128}$/;
/** What everybody is told whose password was looked at: nobody learns which names there are. */
const TOLD = "User name and password do not belong together";

export class PasswordLogin {
  readonly #o: PasswordLoginOptions;
  readonly #attempts: Attempts;
  readonly #counting: Counting;
  readonly #remembered: Remembered;
  readonly #succeeded: Counter;
  /** Verified where there is no such name, so that it takes as long. */
  #decoy: Promise<string> | null = null;

  constructor(options: PasswordLoginOptions) {
    this.#o = options;
    this.#attempts = new Attempts(options.clock, options.metrics, OF_DEVICES, options.failures ?? null);
    this.#counting = new Counting(options);
    this.#remembered = new Remembered(options.hash, options.random, LIMITS.logins.rememberedMax);
    const name = "tidewire_device_logins_total";
    this.#succeeded = options.metrics.counter({ name, help: "Log-ins of devices with a password that were right" });
  }

  /** What the first stranger would else wait for, and learn from it that he is one. */
  prepare(): void {
    this.#hashOfNobody().catch(() => {}); // tried again when it is needed
  }

  /** Nothing of the packet is kept: it is read before anything is waited for. */
  admit(peer: Peer, connect: ConnectPacket): Admission | Promise<Admission> {
    const { gatekeeper } = this.#o;
    const name = nameIn(connect.username);
    const password = passwordIn(connect.password);
    if (name === "" || password === null) {
      const sentence = "The client sends no user name and password; on this listener both are needed";
      return gatekeeper.refuse(peer, connect, { refusal: "no-password", code: BAD_USER_NAME_OR_PASSWORD, sentence });
    }
    const thing = THING_NAME.test(name) ? name : null;
    const found = thing === null ? undefined : this.#principal(thing);
    if (found === "away") return this.#away(peer, connect, thing);
    if (found !== undefined && this.#remembered.knows(found.password, password)) {
      this.#attempts.remembered(name, peer.remoteAddress);
      return this.#enter(peer, connect, found);
    }
    // Names that no thing can have are one name, and so take no room.
    const wait = this.#counting.count("attempt", () => this.#attempts.claim(thing ?? "", peer.remoteAddress));
    if (wait === "away") return this.#away(peer, connect, thing);
    if (wait > 0) {
      const sentence = `Too many log-ins have failed for this name or from this address; again in ${Math.ceil(wait / 1000)} s`;
      return gatekeeper.refuse(peer, connect, { refusal: "too-often", code: QUOTA_EXCEEDED, sentence }, thing);
    }
    return this.#verified(peer, connect, { thing, password, found });
  }

  async #verified(peer: Peer, connect: ConnectPacket, { thing, password, found }: Attempt): Promise<Admission> {
    const { gatekeeper, passwords } = this.#o;
    const refuse = (refused: Refused): Admission => gatekeeper.refuse(peer, connect, refused, thing);
    let verdict: Awaited<ReturnType<PasswordHasher["verify"]>>;
    try {
      verdict = await passwords.verify(password, found?.password.hash ?? (await this.#hashOfNobody()));
    } catch (error) {
      // Where that cannot be, it stays counted: too much keeps nobody out for long.
      this.#counting.count("outcome", () => this.#attempts.abandoned(thing ?? "", peer.remoteAddress));
      if (!isTidewireError(error) || error.code !== "TOO_MANY_REQUESTS") throw error;
      const sentence = "Too many devices log in at once; the device may try again";
      return refuse({ refusal: "busy", code: SERVER_BUSY, sentence });
    }
    if (found === undefined || verdict === "wrong") {
      // The name's is counted since the beginning.
      const counted = this.#counting.count("outcome", () => this.#attempts.failed(peer.remoteAddress));
      if (counted === "away") return this.#away(peer, connect, thing);
      const why = found === undefined ? this.#whyUnknown(thing) : `The password is not that of '${thing}'`;
      const refusal = found === undefined ? "unknown-name" : "wrong-password";
      return refuse({ refusal, code: BAD_USER_NAME_OR_PASSWORD, sentence: why, told: TOLD });
    }
    // It may have been changed or taken away meanwhile.
    const now = this.#principal(found.password.thingName);
    if (now === "away") return this.#away(peer, connect, thing);
    if (now?.password.version !== found.password.version) {
      const sentence = `The password of '${thing}' was changed just now`;
      return refuse({ refusal: "wrong-password", code: BAD_USER_NAME_OR_PASSWORD, sentence, told: TOLD });
    }
    const counted = this.#counting.count("outcome", () =>
      this.#attempts.succeeded(found.password.thingName, peer.remoteAddress),
    );
    if (counted === "away") return this.#away(peer, connect, thing);
    this.#remembered.keep(now.password, password);
    if (verdict === "outdated") this.#hashAnew(now, password);
    return this.#enter(peer, connect, now);
  }

  #enter(peer: Peer, connect: ConnectPacket, principal: PasswordPrincipal): Admission {
    this.#succeeded.value++;
    const { thingName, version } = principal.password;
    this.#o.passwordUses.note(thingName);
    let last: Rights | null = principal;
    const look = (): Rights | null => {
      const found = this.#principal(thingName, false);
      if (found === "away") return last; // which ends nobody's work
      return (last = found?.password.version === version ? found : null);
    };
    const whose = `the password of '${thingName}'`;
    return this.#o.gatekeeper.admitLogin(peer, connect, { principal: passwordKey(thingName), whose, look });
  }

  #principal(thingName: string, fresh = true): PasswordPrincipal | undefined | "away" {
    const { registry } = this.#o;
    try {
      return fresh ? registry.freshPasswordPrincipalOf(thingName) : registry.passwordPrincipalOf(thingName);
    } catch (error) {
      if (!isTidewireError(error)) throw error;
      return "away";
    }
  }

  #away(peer: Peer, connect: ConnectPacket, thing: string | null): Admission {
    const sentence = "The registry cannot be asked now; the device may try again";
    return this.#o.gatekeeper.refuse(
      peer,
      connect,
      { refusal: "registry-away", code: SERVER_UNAVAILABLE, sentence },
      thing,
    );
  }

  #whyUnknown(thing: string | null): string {
    if (thing === null) return "The user name is no thing's name";
    const isThing = this.#o.registry.things.find(thing) !== undefined;
    return isThing ? `The thing '${thing}' has no password` : `There is no thing '${thing}'`;
  }

  #hashOfNobody(): Promise<string> {
    return (this.#decoy ??= this.#o.passwords.hash("nobody's").catch((error: unknown) => {
      this.#decoy = null;
      throw error;
    }));
  }

  /** With today's parameters; where that fails, the old one goes on. */
  #hashAnew({ password: known }: PasswordPrincipal, password: string): void {
    const { passwords, registry, logger } = this.#o;
    passwords
      .hash(password)
      .then((hash) => registry.passwords.rehash(known, hash))
      .catch((error: unknown) =>
        logger.warn("a device's password keeps its old hash", { thing: known.thingName, reason: reasonOf(error) }),
      );
  }
}

interface Attempt {
  /** Null: the name is none that a thing can have. */
  readonly thing: string | null;
  readonly password: string;
  readonly found: PasswordPrincipal | undefined;
}

/** AWS's SDKs and custom authorizers put parameters behind a question mark. */
function nameIn(username: string | null): string {
  if (username === null || username.length > LIMITS.logins.userNameBytesMax) return "";
  return username.split("?", 1)[0]!;
}

/** Null where there is none, or none that could be right. */
function passwordIn(bytes: Uint8Array | null): string | null {
  if (bytes === null || bytes.length === 0 || bytes.length > LIMITS.logins.passwordBytesMax) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
