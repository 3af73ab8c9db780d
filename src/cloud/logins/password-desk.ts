/** Gives things their passwords. */
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { EpochMs, Random } from "../../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../../identity/mod.ts";
import type { PasswordHasher } from "../../people/mod.ts";
import { passwordKey } from "../../registry/mod.ts";
import type { Registry } from "../../registry/mod.ts";
import type { PasswordUses } from "./password-uses.ts";

export interface NewPassword {
  /** Absent: one is made, and returned. */
  readonly password?: string | undefined;
  /** Attached to it besides those that it has. Where it has none, absent: the default policy. */
  readonly policies?: readonly string[] | undefined;
}

export interface PasswordFacts {
  readonly thing: string;
  readonly version: number;
  readonly createdAt: EpochMs;
  readonly changedAt: EpochMs;
  /** When it last let somebody in, as `PasswordUses` says; null: not since it was set. */
  readonly usedAt: EpochMs | null;
  /** Attached to the password itself; those of the thing's groups count as well. */
  readonly policies: readonly string[];
}

export interface PasswordDesk {
  /** `password`: the one that was made, shown once. Throws NOT_FOUND, PASSWORD_UNFIT, TOO_MANY_REQUESTS. */
  set(thing: string, given: NewPassword): Promise<PasswordFacts & { readonly password: string | null }>;
  /** Throws NOT_FOUND. */
  get(thing: string): PasswordFacts;
  /** Null: it has none. */
  find(thing: string): PasswordFacts | null;
  /** Throws NOT_FOUND. */
  remove(thing: string): void;
}

interface DeskPorts {
  readonly registry: Registry;
  readonly random: Random;
  readonly passwords: PasswordHasher;
  readonly passwordUses: Pick<PasswordUses, "of" | "forget">;
}

const MADE_CHARACTERS = 32;
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

export function passwordDesk({ registry, random, passwords, passwordUses }: DeskPorts): PasswordDesk {
  const find = (thing: string): PasswordFacts | null => {
    const found = registry.passwords.find(thing);
    if (found === undefined) return null;
    const { version, createdAt, updatedAt } = found;
    const policies = registry.policies.attachedTo(passwordKey(thing)).map(({ policyName }) => policyName);
    return { thing, version, createdAt, changedAt: updatedAt, usedAt: passwordUses.of(thing), policies };
  };
  const get = (thing: string): PasswordFacts => find(thing) ?? none(registry, thing);
  return {
    get,
    find,
    set: async (thing, given) => {
      registry.things.describe(thing);
      for (const name of given.policies ?? []) registry.policies.describe(name);
      const password = given.password ?? madeWith(random);
      checkFit(password, thing);
      const hash = await passwords.hash(password);
      registry.atomically(() => {
        registry.passwords.set(thing, hash);
        const attached = registry.policies.attachedTo(passwordKey(thing)).length;
        const wanted = given.policies ?? (attached === 0 ? [DEFAULT_POLICY_NAME] : []);
        for (const name of wanted) registry.policies.attach(name, passwordKey(thing));
      });
      passwordUses.forget(thing);
      return { ...get(thing), password: given.password === undefined ? password : null };
    },
    remove: (thing) => {
      if (!registry.passwords.remove(thing)) none(registry, thing);
      passwordUses.forget(thing);
    },
  };
}

function none(registry: Registry, thing: string): never {
  registry.things.describe(thing);
  throw new TidewireError("NOT_FOUND", { kind: "password of the thing", name: thing });
}

function madeWith(random: Random): string {
  return Array.from(random.bytes(MADE_CHARACTERS), (byte) => BASE64URL[byte & 63]).join("");
}

function checkFit(password: string, thing: string): void {
  const { passwordCharactersMin, passwordBytesMax } = LIMITS.logins;
  const unfit = (reason: string): TidewireError => new TidewireError("PASSWORD_UNFIT", { reason });
  if (password.length < passwordCharactersMin)
    throw unfit(`a device's has at least ${passwordCharactersMin} characters`);
  if (new TextEncoder().encode(password).length > passwordBytesMax)
    throw unfit(`it has more than ${passwordBytesMax} bytes`);
  // Some clients end a text there.
  if (/[\p{Cc}\p{Cs}]/u.test(password)) throw unfit("it holds a control character");
  if (password.toLowerCase().includes(thing.toLowerCase()) && thing.length * 2 > password.length)
    throw unfit("it is the thing's name, or little more");
}
