/** AWS IoT's fleet provisioning over MQTT: three operations, JSON and CBOR, one answer for whoever asked. */
import { decodeCbor, encodeCbor } from "../../adapters/cbor.ts";
import { LIMITS, encodeUtf8, isJsonObject, parseJson, reasonOf } from "../../base/mod.ts";
import type { Counter, JsonObject, JsonValue, Logger, Metrics } from "../../base/mod.ts";
import type { Service, ServiceRequest } from "../../broker/mod.ts";
import { ProvisioningRefusal } from "../../identity/mod.ts";
import type { Claimant, Provisioner } from "../../identity/mod.ts";

const CREATE = "$aws/certificates/create";
const FROM_CSR = "$aws/certificates/create-from-csr";
const TEMPLATES = "$aws/provisioning-templates/";

export interface ProvisioningServiceOptions {
  readonly provisioner: Provisioner;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

type Format = "json" | "cbor";
type Operation = (claimant: Claimant, document: JsonObject) => Promise<JsonObject>;

export function provisioningService(options: ProvisioningServiceOptions): Service {
  const desk = new Desk(options);
  const requests = [`${CREATE}/+`, `${FROM_CSR}/+`, `${TEMPLATES}+/provision/+`];
  return {
    name: "provisioning",
    requests,
    answers: requests.map((filter) => `${filter}/+`),
    confidential: true, // tokens go in
    handle: (request) => desk.take(request),
  };
}

/** Some requests at once, because each signs; others wait, and what is too much is told so. */
class Desk {
  readonly #o: ProvisioningServiceOptions;
  readonly #turnedAway: Counter;
  readonly #waiting: ServiceRequest[] = [];
  #busy = 0;

  constructor(options: ProvisioningServiceOptions) {
    this.#o = options;
    this.#turnedAway = options.metrics.counter({
      name: "tidewire_provisioning_turned_away_total",
      help: "Provisioning requests that were told to come back, because too many waited",
    });
    options.metrics.observe(
      { name: "tidewire_provisioning_waiting", help: "Provisioning requests that wait for others" },
      () => this.#waiting.length,
    );
  }

  take(request: ServiceRequest): void {
    const { requestsAtOnceMax, requestsWaitingMax } = LIMITS.provisioning;
    if (this.#busy < requestsAtOnceMax) void this.#serve(request);
    else if (this.#waiting.length < requestsWaitingMax) this.#waiting.push(request);
    else {
      this.#turnedAway.value++;
      const refusal = new ProvisioningRefusal(
        "limits",
        "Throttling",
        "Too many devices are being provisioned; try again in a moment",
      );
      this.#reject(request, refusal);
    }
  }

  async #serve(request: ServiceRequest): Promise<void> {
    this.#busy++;
    try {
      await this.#answer(request);
    } catch (error) {
      this.#o.logger.error("a provisioning request failed", { topic: request.message.topic, error: reasonOf(error) });
    } finally {
      this.#busy--;
      const next = this.#waiting.shift();
      if (next !== undefined) void this.#serve(next);
    }
  }

  async #answer(request: ServiceRequest): Promise<void> {
    const { topic, payload } = request.message;
    try {
      const operation = operationOf(this.#o.provisioner, topic);
      const document = documentOf(payload, formatOf(topic));
      send(request, "accepted", await operation(request.requester, document));
    } catch (error) {
      if (!(error instanceof ProvisioningRefusal)) throw error;
      this.#reject(request, error);
    }
  }

  #reject(request: ServiceRequest, refusal: ProvisioningRefusal): void {
    const { clientId, certificateId } = request.requester;
    this.#o.provisioner.note(refusal, { topic: request.message.topic, clientId, certificateId });
    const { statusCode, code, message } = refusal;
    send(request, "rejected", { statusCode, errorCode: code, errorMessage: message });
  }
}

function formatOf(topic: string): Format {
  const format = topic.slice(topic.lastIndexOf("/") + 1);
  if (format === "json" || format === "cbor") return format;
  throw new ProvisioningRefusal("request", "InvalidPayload", `The topic must end in /json or /cbor, not /${format}`);
}

function operationOf(provisioner: Provisioner, topic: string): Operation {
  if (topic.startsWith(`${CREATE}/`))
    return async (claimant) => ({ ...(await provisioner.createKeysAndCertificate(claimant)) });
  if (topic.startsWith(`${FROM_CSR}/`)) {
    return async (claimant, document) => ({
      ...(await provisioner.createCertificateFromCsr(claimant, textOf(document, "certificateSigningRequest"))),
    });
  }
  const template = topic.slice(TEMPLATES.length, topic.indexOf("/", TEMPLATES.length));
  return async (claimant, document) => {
    const token = tokenOf(document);
    const { thingName, deviceConfiguration } = await provisioner.registerThing(
      claimant,
      template,
      token,
      parametersOf(document),
    );
    return { deviceConfiguration, ...(thingName === null ? {} : { thingName }) };
  };
}

function documentOf(payload: Uint8Array, format: Format): JsonObject {
  const { requestBytesMax } = LIMITS.provisioning;
  if (payload.length > requestBytesMax)
    throw new ProvisioningRefusal("request", "InvalidPayload", `A request has at most ${requestBytesMax} bytes`);
  if (payload.length === 0) return {};
  const value = format === "json" ? jsonOf(payload) : cborOf(payload);
  if (!isJsonObject(value)) throw new ProvisioningRefusal("request", "InvalidPayload", "A request is an object");
  return value;
}

function jsonOf(payload: Uint8Array): JsonValue {
  const parsed = parseJson(payload, { jsonBytesMax: LIMITS.provisioning.requestBytesMax, jsonDepthMax: 8 });
  if (!parsed.ok) throw new ProvisioningRefusal("request", "InvalidPayload", "The payload is not JSON");
  return parsed.value;
}

function cborOf(payload: Uint8Array): JsonValue {
  try {
    return decodeCbor(payload) as JsonValue;
  } catch (error) {
    throw new ProvisioningRefusal("request", "InvalidPayload", `The payload is not CBOR: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function textOf(document: JsonObject, key: string): string {
  const value = document[key];
  if (typeof value === "string" && value !== "") return value;
  throw new ProvisioningRefusal("request", "InvalidPayload", `${key} is missing, or no text`);
}

/** AWS says so with the token's own error. */
function tokenOf({ certificateOwnershipToken: token }: JsonObject): string {
  if (typeof token === "string" && token !== "") return token;
  throw new ProvisioningRefusal(
    "token",
    "InvalidCertificateOwnershipToken",
    "Certificate ownership token cannot be empty.",
  );
}

function parametersOf({ parameters }: JsonObject): Record<string, string> {
  if (parameters === undefined || parameters === null) return {};
  const entries = isJsonObject(parameters) ? Object.entries(parameters) : null;
  const { parametersMax } = LIMITS.provisioning;
  if (entries === null || entries.length > parametersMax || entries.some(([, value]) => typeof value !== "string"))
    throw new ProvisioningRefusal(
      "request",
      "InvalidParameters",
      `parameters are at most ${parametersMax} texts by name`,
    );
  return Object.fromEntries(entries) as Record<string, string>;
}

function send(request: ServiceRequest, outcome: "accepted" | "rejected", document: JsonObject): void {
  const { topic } = request.message;
  const payload = topic.endsWith("/cbor") ? encodeCbor(document) : encodeUtf8(JSON.stringify(document));
  request.reply(`${topic}/${outcome}`, payload);
}
