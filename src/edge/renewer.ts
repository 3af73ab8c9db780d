/** Carries out what `renewal.ts` decides: makes keys, asks the platform, and gives the uplink the certificate to show. */
import { readFileSync } from "node:fs";
import { newDeviceKey, pairOf, readIdentity, sharesCertificate, writeIdentity } from "../adapters/device-identity.ts";
import type { UplinkCredentials } from "../adapters/net/uplink-socket.ts";
import { askRenewal } from "../adapters/renewal-client.ts";
import type { RenewalAnswer, RenewalQuestion } from "../adapters/renewal-client.ts";
import type { Cancel, Clock, Logger, Random, Scheduler } from "../base/mod.ts";
import { minutes, reasonOf } from "../base/mod.ts";
import type { OpenUplinkSocket } from "../queue/mod.ts";
import type { AgentConfig } from "./config.ts";
import { PATIENT, identityOf, step } from "./renewal.ts";
import type { Identity, RenewalEffect, RenewalInput, RenewalPatience, RenewalState } from "./renewal.ts";

export interface RenewerOptions {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly ask: ((question: RenewalQuestion) => Promise<RenewalAnswer>) | null;
  /** Has the uplink come back with what `credentials` says, without a gap where it can. */
  readonly reconnect: () => void;
}

interface Saved {
  readonly state: RenewalState;
  /** The platform's roots, as it named them last; null where it has not yet. */
  readonly trustPem: string | null;
  /** The file of agent.yaml holds a root of the platform's, so the platform says which are good; else both are. */
  readonly trustManaged: boolean;
}

const LOOK_PERIOD = minutes(1);

export class Renewer {
  readonly #options: RenewerOptions;
  readonly #jitter: number;
  #saved: Saved;
  #patience: RenewalPatience = PATIENT;
  /** The agent has obtained one itself; else agent.yaml's is shown. */
  #isOwn = false;
  #asking = false;
  /** What the newest connection that is open or tried shows. */
  #shown: string | null = null;
  #lastComplaint = "";

  /** Throws where the files of agent.yaml cannot be used. */
  constructor(options: RenewerOptions) {
    this.#options = options;
    this.#jitter = options.random.next();
    this.#saved = this.#load();
  }

  get state(): RenewalState {
    return this.#saved.state;
  }

  start(): Cancel {
    this.#input({ type: "time" });
    return this.#options.scheduler.every(LOOK_PERIOD, () => this.#input({ type: "time" }));
  }

  /** What the next connection shows and trusts. */
  credentials(): UplinkCredentials {
    this.#believeOperator();
    const { certificatePem, privateKeyPem } = this.#identity();
    return { certificate: certificatePem, privateKey: privateKeyPem, ca: this.#trust() };
  }

  /** `open`, and how its connections fare. */
  watched(open: OpenUplinkSocket): OpenUplinkSocket {
    return (events) => {
      const { certificatePem } = this.#identity();
      this.#shown = certificatePem;
      let [opened, accepted] = [false, false];
      const socket = open({
        opened: () => {
          opened = true;
          events.opened();
        },
        received: (chunk) => events.received(chunk),
        written: (bytes) => events.written(bytes),
        closed: (cause) => {
          if (this.#shown === certificatePem) this.#shown = null;
          // A network that is away says nothing about the certificate.
          if (!accepted && (opened || cause.kind === "client-certificate")) {
            this.#input({ type: "failed", certificatePem });
          }
          events.closed(cause);
        },
      });
      return {
        write: (bytes) => socket.write(bytes),
        end: () => socket.end(),
        destroy: () => socket.destroy(),
        accepted: () => {
          accepted = true;
          this.#input({ type: "accepted", certificatePem });
        },
      };
    };
  }

  #identity(): Identity {
    return identityOf(this.#saved.state, this.#patience, this.#options.clock.now());
  }

  #trust(): string {
    const { trustPem, trustManaged } = this.#saved;
    const own = (): string => readFileSync(this.#options.config.ca, "utf8");
    if (trustPem === null) return own();
    return trustManaged ? trustPem : `${own().trimEnd()}\n${trustPem}`;
  }

  #input(input: RenewalInput): void {
    const { clock } = this.#options;
    const before = this.#saved.state;
    const { state, patience, effects } = step(before, this.#patience, input, {
      now: clock.now(),
      jitter: this.#jitter,
    });
    if (state !== before && !this.#save({ ...this.#saved, state })) return;
    this.#patience = patience;
    if (state.name === "settled" && before.name === "issued") this.#tell(state.current === before.next);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: RenewalEffect): void {
    switch (effect.type) {
      case "makeKey":
        this.#input({ type: "key", privateKeyPem: newDeviceKey() });
        return;
      case "ask":
        void this.#ask(effect.as, effect.nextKeyPem);
        return;
      case "reconnect":
        if (this.#shown !== this.#identity().certificatePem) this.#options.reconnect();
        return;
    }
  }

  async #ask(as: Identity, nextKeyPem: string): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const { config, logger } = this.#options;
    const ask = this.#options.ask ?? askRenewal;
    try {
      const answer = await ask({ ...config.renewal, as, ca: this.#trust(), nextKeyPem });
      if (answer.kind === "granted") this.#granted(answer, nextKeyPem);
      else {
        this.#complain(answer.reason, as);
        this.#input({ type: "denied", kind: answer.kind });
      }
    } catch (error) {
      logger.error("the renewal of the certificate failed", { error });
      this.#input({ type: "denied", kind: "unreachable" });
    } finally {
      this.#asking = false;
    }
  }

  /** Throws where the certificate does not fit the key, or the disk takes nothing. */
  #granted({ certificatePem, trustPem }: { certificatePem: string; trustPem: string }, nextKeyPem: string): void {
    const next = pairOf(certificatePem, nextKeyPem);
    const trustManaged =
      this.#saved.trustManaged || sharesCertificate(readFileSync(this.#options.config.ca, "utf8"), trustPem);
    this.#saved = { ...this.#saved, trustPem, trustManaged }; // on disk with the state that follows
    this.#lastComplaint = "";
    this.#input({ type: "granted", next });
  }

  #complain(reason: string, { notAfter }: Identity): void {
    const { clock, logger } = this.#options;
    const fields = { reason, certificateEnds: new Date(notAfter).toISOString() };
    if (reason === this.#lastComplaint) return logger.debug("the certificate is not renewed yet", fields);
    this.#lastComplaint = reason;
    if (clock.now() > notAfter)
      logger.error("the certificate has expired and is not renewed; recording goes on", fields);
    else logger.warn("the certificate is not renewed yet; it is asked for again", fields);
  }

  #tell(renewed: boolean): void {
    const { logger } = this.#options;
    const { notAfter } = this.#saved.state.current;
    if (renewed) logger.info("the certificate was renewed", { audit: true, ends: new Date(notAfter).toISOString() });
    else logger.warn("the platform does not take the new certificate; the old one stays", { audit: true });
  }

  /** A disk that takes nothing must not end the agent: what could not be kept has not happened. */
  #save(saved: Saved): boolean {
    const { config, clock, logger } = this.#options;
    try {
      writeIdentity(config.data, saved);
      this.#saved = saved;
      this.#isOwn = true;
      return true;
    } catch (error) {
      this.#patience = { ...this.#patience, notBefore: clock.now() + LOOK_PERIOD };
      logger.error("the renewal of the certificate waits for the disk", { reason: reasonOf(error) });
      return false;
    }
  }

  /** Whoever puts a newer certificate into the files of agent.yaml means it; no restart is needed. Throws. */
  #believeOperator(): void {
    const { config } = this.#options;
    let given: Identity;
    try {
      given = givenIn(config);
    } catch (error) {
      if (this.#isOwn) return; // they are needed no longer
      throw error;
    }
    const isNew = this.#isOwn
      ? given.notBefore > newestOf(this.#saved.state)
      : given.certificatePem !== this.#saved.state.current.certificatePem;
    if (!isNew) return;
    this.#saved = freshOf(given);
    this.#isOwn = false;
    this.#patience = PATIENT;
  }

  #load(): Saved {
    const { config, logger } = this.#options;
    const given = givenIn(config);
    const fresh = freshOf(given);
    const found = readIdentity<Saved>(config.data, ({ state }) =>
      state.name === "issued" ? [state.current, state.next] : [state.current],
    );
    if (found.kind === "damaged") {
      const { movedTo, reason } = found;
      logger.error("the agent's own certificate cannot be read; agent.yaml's is used", { movedTo, reason });
    }
    if (found.kind !== "found") return fresh;
    if (given.notBefore > newestOf(found.content.state)) return fresh;
    this.#isOwn = true;
    return found.content;
  }
}

function givenIn({ certificate, privateKey }: AgentConfig): Identity {
  return pairOf(readFileSync(certificate, "utf8"), readFileSync(privateKey, "utf8"));
}

function freshOf(current: Identity): Saved {
  return { state: { name: "settled", current }, trustPem: null, trustManaged: false };
}

function newestOf(state: RenewalState): number {
  return state.name === "issued" ? state.next.notBefore : state.current.notBefore;
}
