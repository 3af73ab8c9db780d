/** Things, and which certificates stand for them. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { changedAttributes, checkFilter, newAttributes, sameAttributes } from "./attributes.ts";
import type { AttributeUpdate } from "./attributes.ts";
import { principalsOfThing } from "./concerned.ts";
import { newId } from "./context.ts";
import type { RegistryContext } from "./context.ts";
import { certificateIdOf, checkName, invalid } from "./names.ts";
import { pageOf } from "./page.ts";
import { removePassword } from "./passwords.ts";
import type { PageOptions } from "./page.ts";
import type { Attachment, Attributes, Page, PrincipalType, Thing } from "./records.ts";
import { alreadyExists, checkVersion, limit, notFound } from "./refusals.ts";
import type { ThingFilter } from "./store.ts";
import { checkUsable } from "./thing-types.ts";

export interface NewThing {
  readonly thingTypeName?: string | null | undefined;
  readonly billingGroupName?: string | null | undefined;
  readonly attributes?: Attributes | undefined;
}

export interface ThingUpdate extends AttributeUpdate {
  readonly thingTypeName?: string | undefined;
  readonly removeThingType?: boolean | undefined;
  readonly expectedVersion?: number | undefined;
}

export type ListThings = PageOptions & ThingFilter;

export class Things {
  readonly #context: RegistryContext;

  #guardName: (thingName: string) => void = () => {};

  constructor(context: RegistryContext) {
    this.#context = context;
  }

  /** Asked about the name of each thing that is new; throws where it may not be given. */
  guardNames(check: (thingName: string) => void): void {
    this.#guardName = check;
  }

  /** Making the same thing again succeeds, as on AWS (`created: false`); with other attributes it is ALREADY_EXISTS. */
  create(thingName: string, given: NewThing = {}): { readonly thing: Thing; readonly created: boolean } {
    const { store, ledger, clock } = this.#context;
    checkName("thing", thingName);
    const [thingTypeName, billingGroupName] = [given.thingTypeName ?? null, given.billingGroupName ?? null];
    if (billingGroupName !== null) checkName("billing group", billingGroupName);
    const attributes = newAttributes("thing", given.attributes);
    return ledger.atomically(() => {
      const existing = store.things.find(thingName);
      if (existing !== undefined) {
        const same =
          existing.thingTypeName === thingTypeName &&
          existing.billingGroupName === billingGroupName &&
          sameAttributes(existing.attributes, attributes);
        if (!same) alreadyExists("thing", thingName);
        return { thing: existing, created: false };
      }
      this.#guardName(thingName);
      if (thingTypeName !== null) checkUsable(store, thingTypeName);
      const now = clock.now();
      const thing: Thing = {
        thingName,
        thingId: newId(this.#context),
        thingTypeName,
        billingGroupName,
        attributes,
        version: 1,
        createdAt: now,
        updatedAt: now,
      };
      store.things.save(thing);
      ledger.changed({ kind: "thing", id: thingName, change: "created", principals: [] });
      return { thing, created: true };
    });
  }

  find(thingName: string): Thing | undefined {
    return this.#context.store.things.find(thingName);
  }

  describe(thingName: string): Thing {
    return this.find(thingName) ?? notFound("thing", thingName);
  }

  update(thingName: string, update: ThingUpdate): Thing {
    const { store, ledger, clock } = this.#context;
    const { thingTypeName, removeThingType = false } = update;
    if (thingTypeName !== undefined && removeThingType) {
      throw invalid("thingTypeName and removeThingType contradict each other");
    }
    return ledger.atomically(() => {
      const before = this.describe(thingName);
      checkVersion("thing", thingName, before.version, update.expectedVersion);
      if (thingTypeName !== undefined && thingTypeName !== before.thingTypeName) checkUsable(store, thingTypeName);
      const thing: Thing = {
        ...before,
        attributes: changedAttributes("thing", before.attributes, update),
        thingTypeName: removeThingType ? null : (thingTypeName ?? before.thingTypeName),
        version: before.version + 1,
        updatedAt: clock.now(),
      };
      store.things.save(thing);
      const principals = principalsOfThing(store, thingName);
      ledger.changed({ kind: "thing", id: thingName, change: "updated", principals });
      return thing;
    });
  }

  /** False where there was none, which AWS counts as success. Refused while certificates are attached; its password goes with it. */
  delete(thingName: string, expectedVersion?: number): boolean {
    const { store, ledger } = this.#context;
    return ledger.atomically(() => {
      const thing = store.things.find(thingName);
      if (thing === undefined) return false;
      checkVersion("thing", thingName, thing.version, expectedVersion);
      const count = store.things.attachmentsOf(thingName).length;
      if (count > 0) throw new TidewireError("THING_HAS_PRINCIPALS", { name: thingName, count });
      removePassword(this.#context, thingName);
      store.things.remove(thingName);
      ledger.changed({ kind: "thing", id: thingName, change: "deleted", principals: [] });
      return true;
    });
  }

  /** By name. */
  list(options: ListThings = {}): Page<Thing> {
    checkFilter(options);
    return pageOf(
      "things",
      options,
      (thing) => thing.thingName,
      (after, limit) => this.#context.store.things.list(options, { after, limit }),
    );
  }

  count(filter: ThingFilter = {}): number {
    checkFilter(filter);
    return this.#context.store.things.count(filter);
  }

  /** Attaching again changes only the type. */
  attach(thingName: string, principal: string, type: PrincipalType = "NON_EXCLUSIVE_THING"): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => {
      this.describe(thingName);
      const certificateId = this.#certificate(principal);
      const things = store.things.attachedTo(certificateId).filter((attachment) => attachment.thingName !== thingName);
      const exclusive = things.find((attachment) => attachment.type === "EXCLUSIVE_THING");
      if (exclusive !== undefined) {
        throw invalid(`the certificate is attached exclusively to the thing '${exclusive.thingName}'`);
      }
      if (type === "EXCLUSIVE_THING" && things.length > 0) {
        throw invalid(`the certificate is attached to '${things[0]!.thingName}' as well, so it cannot be exclusive`);
      }
      const { thingsPerCertificateMax, certificatesPerThingMax } = LIMITS.registry;
      if (things.length >= thingsPerCertificateMax) limit("things of one certificate", thingsPerCertificateMax);
      const others = store.things.attachmentsOf(thingName).filter((other) => other.certificateId !== certificateId);
      if (others.length >= certificatesPerThingMax) limit("certificates of one thing", certificatesPerThingMax);
      store.things.attach({ thingName, certificateId, type });
      this.#told(thingName, "attached", certificateId);
    });
  }

  /** False where it was not attached. */
  detach(thingName: string, principal: string): boolean {
    const { store, ledger } = this.#context;
    const certificateId = certificateIdOf(principal);
    return ledger.atomically(() => {
      this.describe(thingName);
      if (!store.things.detach(thingName, certificateId)) return false;
      this.#told(thingName, "detached", certificateId);
      return true;
    });
  }

  /** A thing's certificates. */
  principalsOf(thingName: string): readonly Attachment[] {
    this.describe(thingName);
    return this.#context.store.things.attachmentsOf(thingName);
  }

  /** A certificate's things. */
  ofPrincipal(principal: string): readonly Attachment[] {
    return this.#context.store.things.attachedTo(this.#certificate(principal));
  }

  #certificate(principal: string): string {
    const id = certificateIdOf(principal);
    if (this.#context.store.certificates.find(id) === undefined) notFound("certificate", id);
    return id;
  }

  #told(thingName: string, change: "attached" | "detached", certificateId: string): void {
    const [principals, others] = [[certificateId], [certificateId]];
    this.#context.ledger.changed({ kind: "thing", id: thingName, change, others, principals });
  }
}
