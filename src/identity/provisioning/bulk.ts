/**
 * Devices of a bulk file: an operator made their keys, and may have been interrupted anywhere. So a key that was answered
 * once is answered the same again, and a second certificate for it is never made.
 */
import { LIMITS, TidewireError, isTidewireError } from "../../base/mod.ts";
import type { Clock, Counter, JsonValue, Metrics, Scheduler } from "../../base/mod.ts";
import type { ProvisioningPlan } from "./plan.ts";
import type { BulkRecord, BulkStore, DeviceIssuer, DeviceRegistry, IssuedDevice, Sha256Hex } from "./ports.ts";
import type { Provisioner } from "./provisioner.ts";
import { ProvisioningRefusal, refusalOf } from "./refusal.ts";
import type { TemplateBody } from "./template-body.ts";
import type { Templates } from "./templates.ts";
import { Together } from "./together.ts";

export interface BulkOptions {
  readonly store: BulkStore;
  readonly provisioner: Provisioner;
  readonly templates: Templates;
  readonly issuer: DeviceIssuer;
  readonly registry: DeviceRegistry;
  readonly sha256: Sha256Hex;
  readonly clock: Clock;
  readonly scheduler: Pick<Scheduler, "defer">;
  readonly metrics: Metrics;
}

export interface BulkTerms {
  readonly template: string;
  /** Things that exist already get another certificate; otherwise they are refused. */
  readonly mayBeKnown: boolean;
}

export interface BulkRequest {
  /** Of the public key; whoever calls has seen the CSR's own signature. */
  readonly keyHash: string;
  readonly csrPem: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface BulkDevice {
  readonly thing: string;
  readonly certificateId: string;
  readonly certificatePem: string;
  readonly deviceConfiguration: Readonly<Record<string, string>>;
  /** It was answered before. */
  readonly again: boolean;
}

export interface BulkParameter {
  readonly name: string;
  readonly required: boolean;
}

export class BulkProvisioning {
  readonly #o: BulkOptions;
  /** By key; bounded by the requests that are worked on at once. */
  readonly #underWay = new Map<string, Promise<unknown>>();
  readonly #records: Together;
  readonly #done: Counter;
  readonly #again: Counter;

  constructor(options: BulkOptions) {
    this.#o = options;
    const { store, scheduler } = options;
    this.#records = new Together((work) => store.atomically(work), scheduler);
    const counter = (outcome: string): Counter =>
      options.metrics.counter({
        name: "tidewire_bulk_devices_total",
        help: "Devices of bulk files that got a certificate, for the first time or again",
        labels: { outcome },
      });
    this.#done = counter("done");
    this.#again = counter("again");
  }

  /** What a file has to say of each device. Throws NOT_FOUND, REQUEST_INVALID. */
  describe(name: string): readonly BulkParameter[] {
    const { templates } = this.#o;
    const { enabled, type } = templates.describe(name);
    const body = templates.find(name)!.body;
    const unfit = (why: string): never => {
      throw new TidewireError("REQUEST_INVALID", { reason: `the provisioning template '${name}' ${why}` });
    };
    if (!enabled) unfit("is not enabled");
    if (type !== "FLEET_PROVISIONING") unfit(`is of type ${type}, not FLEET_PROVISIONING`);
    if (body.thing === null) unfit("makes no thing");
    const own = csrParameterOf(body);
    return Object.entries(body.parameters)
      .filter(([parameter]) => parameter !== own)
      .map(([parameter, { defaultValue }]) => ({ name: parameter, required: defaultValue === null }));
  }

  /** Throws `ProvisioningRefusal`. */
  async provision(request: BulkRequest, terms: BulkTerms): Promise<BulkDevice> {
    const { keyHash } = request;
    // Whoever was killed and comes back at once may find his first request still at work.
    for (let other; (other = this.#underWay.get(keyHash)) !== undefined;) await other.catch(() => {});
    const work = this.#provision(request, terms);
    this.#underWay.set(keyHash, work);
    try {
      return await work;
    } catch (error) {
      throw refusalOf(error);
    } finally {
      this.#underWay.delete(keyHash);
    }
  }

  async #provision(request: BulkRequest, terms: BulkTerms): Promise<BulkDevice> {
    const { store, provisioner, clock } = this.#o;
    const { keyHash, csrPem } = request;
    const requestHash = this.#requestHashOf(request, terms);
    const before = this.#answered(keyHash, requestHash);
    if (before !== null) return before;
    const parameters = this.#parametersFor(request, terms);
    const issued = await this.#issue(csrPem);
    const { certificateId, certificatePem } = issued;
    // First what the key is remembered by: a crash between the two leaves a record without a certificate, which is replaced.
    const planned = ({ thing, deviceConfiguration }: ProvisioningPlan): Promise<void> => {
      const { name } = thing!;
      const record = { keyHash, requestHash, certificateId, thing: name, deviceConfiguration, at: clock.now() };
      return this.#records.make(() => {
        this.#mustBeNew(keyHash);
        store.saveBulkDevice(record);
      });
    };
    const check = this.#checkOf(terms);
    const first = (plan: ProvisioningPlan): void => {
      this.#mustBeOf(keyHash, certificateId);
      check(plan);
    };
    const { thingName, deviceConfiguration } = await provisioner.provisionWith(issued, terms.template, parameters, {
      planned,
      first,
    });
    this.#done.value++;
    return { thing: thingName!, certificateId, certificatePem, deviceConfiguration, again: false };
  }

  /** For each what `provision` would say, in one transaction that is taken back: doubles among them are found, too. */
  async rehearse(
    requests: readonly Pick<BulkRequest, "parameters">[],
    terms: BulkTerms,
  ): Promise<readonly ({ readonly thing: string } | ProvisioningRefusal)[]> {
    const { provisioner, issuer } = this.#o;
    const devices: { issued: IssuedDevice; parameters: Readonly<Record<string, string>> }[] = [];
    const faults = new Map<number, ProvisioningRefusal>();
    for (const [i, { parameters }] of requests.entries()) {
      try {
        const given = this.#parametersFor({ parameters, csrPem: "CSR" }, terms);
        devices.push({ issued: await issuer.withKey(), parameters: given });
      } catch (error) {
        faults.set(i, refusalOf(error));
      }
    }
    const outcomes = provisioner.rehearse(terms.template, devices, { first: this.#checkOf(terms) }).values();
    return requests.map((_request, i) => {
      const outcome = faults.get(i) ?? outcomes.next().value!;
      return outcome instanceof ProvisioningRefusal ? outcome : { thing: outcome.thingName! };
    });
  }

  /** Forgets keys of long ago; true where there is more to do. */
  sweep(): boolean {
    const { store, clock } = this.#o;
    const atOnce = 500;
    return store.removeBulkDevices(clock.now() - LIMITS.provisioning.bulkMemory, atOnce) === atOnce;
  }

  #answered(keyHash: string, requestHash: string): BulkDevice | null {
    const { store, registry } = this.#o;
    const record = store.bulkDevice(keyHash);
    if (record === null) return null;
    const { certificateId } = record;
    const certificate = registry.certificate(certificateId);
    if (certificate === null) return null;
    const fault = this.#faultOf(record, requestHash, certificate.status);
    if (fault !== null) throw new ProvisioningRefusal("certificate", "ResourceConflict", fault);
    this.#again.value++;
    const { thing, deviceConfiguration } = record;
    return { thing, certificateId, certificatePem: certificate.pem, deviceConfiguration, again: true };
  }

  /** Another platform was asked with the same key, and has made the device meanwhile. */
  #mustBeNew(keyHash: string): void {
    const record = this.#o.store.bulkDevice(keyHash);
    if (record !== null && this.#o.registry.certificate(record.certificateId) !== null) throw elsewhere();
  }

  /** Within the registry's transaction: of two platforms that are at work on one key, the later record counts. */
  #mustBeOf(keyHash: string, certificateId: string): void {
    if (this.#o.store.bulkDevice(keyHash)?.certificateId !== certificateId) throw elsewhere();
  }

  #faultOf({ thing, requestHash }: BulkRecord, asked: string, status: string): string | null {
    if (requestHash !== asked)
      return `This key belongs to the thing '${thing}', by another template or other parameters; make a new key`;
    return status === "REVOKED" ? `The certificate of this key, for the thing '${thing}', was revoked` : null;
  }

  async #issue(csrPem: string): Promise<IssuedDevice> {
    try {
      return await this.#o.issuer.fromCsr(csrPem);
    } catch (error) {
      if (!isTidewireError(error) || error.entry.fault !== "peer") throw error;
      const { message } = error;
      throw new ProvisioningRefusal("certificate", "InvalidCertificateSigningRequest", message, { cause: error });
    }
  }

  #checkOf({ mayBeKnown }: BulkTerms): (plan: ProvisioningPlan) => void {
    const { registry } = this.#o;
    return ({ thing }) => {
      if (mayBeKnown || registry.thing(thing!.name) === null) return;
      throw new ProvisioningRefusal("registry", "ResourceConflict", `The thing '${thing!.name}' exists already`);
    };
  }

  /** A name that the template does not know is a typing error; provisioning itself would leave it out without a word. */
  #parametersFor(
    { parameters, csrPem }: Pick<BulkRequest, "parameters" | "csrPem">,
    { template }: BulkTerms,
  ): Readonly<Record<string, string>> {
    const body = this.#o.templates.find(template)?.body;
    if (body === undefined || body.thing === null) {
      const reason = body === undefined ? "There is no such provisioning template" : "The template makes no thing";
      throw new ProvisioningRefusal("template", "ResourceNotFound", reason);
    }
    const stranger = Object.keys(parameters).find((name) => !Object.hasOwn(body.parameters, name));
    if (stranger !== undefined) {
      const reason = `The template has no parameter '${stranger.slice(0, 100)}'`;
      throw new ProvisioningRefusal("parameters", "InvalidParameters", reason);
    }
    const own = csrParameterOf(body);
    return own === null ? parameters : { ...parameters, [own]: csrPem };
  }

  #requestHashOf({ parameters }: BulkRequest, { template }: BulkTerms): string {
    const entries = Object.entries(parameters).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return this.#o.sha256(JSON.stringify([template, entries]));
  }
}

function elsewhere(): ProvisioningRefusal {
  return new ProvisioningRefusal("certificate", "ResourceConflict", "This key is asked for elsewhere, too; ask again");
}

/** AWS's templates for bulk registration name the parameter that the CSR stands in; here the key is made beside the file. */
function csrParameterOf({ certificate: { from, value } }: TemplateBody): string | null {
  if (from !== "CertificateSigningRequest" || typeof value !== "object" || value === null) return null;
  const { Ref: name } = value as { readonly Ref?: JsonValue };
  return typeof name === "string" ? name : null;
}
