/** Somebody else's server that a rule sends its matches to: slow, out of order, sometimes deaf after it has heard. */
import { TidewireError } from "../src/base/mod.ts";
import type { OutgoingHttp, RuleDraft } from "../src/rules/mod.ts";
import type { Life } from "./life.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";
import { nameOf } from "./witness.ts";
import type { SimClock, SimRandom } from "./world.ts";

export type ReceiverMode = "answers" | "is slow" | "fails" | "hears and says nothing";

/** Below the time after which a delivery is given up and tried again. */
const SLOW_MS_MAX = 12_000;

interface ReceiverPorts {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly trace: Trace;
  readonly witness: Witness;
}

/** Every reading goes there. */
export const RECEIVER_RULE: RuleDraft = {
  ruleName: "to_the_receiver",
  sql: "SELECT n FROM 'telemetry/#'",
  ruleDisabled: false,
  actions: [{ webhook: { url: "http://receiver.example/readings" } }],
};

export class SimReceiver {
  mode: ReceiverMode = "answers";
  /** Readings that it has, by the identifier that came with them. */
  readonly got = new Map<string, string>();
  readonly #ports: ReceiverPorts;

  constructor(ports: ReceiverPorts) {
    this.#ports = ports;
  }

  /** As one life of the platform reaches it. */
  open(life: Life): OutgoingHttp {
    const { clock, random } = this.#ports;
    return {
      post: async ({ headers, body }) => {
        await life.wait(clock, 1 + random.below(this.mode === "is slow" ? SLOW_MS_MAX : 30));
        if (this.mode === "fails") return { status: 503, headers: {}, body: "" };
        this.#hear(headers["webhook-id"] ?? "", nameOf(body));
        const said = this.mode !== "hears and says nothing";
        await life.wait(clock, 1 + random.below(30));
        if (!said) throw new TidewireError("OUTGOING_FAILED", { reason: "no answer" });
        return { status: 200, headers: {}, body: "" };
      },
    };
  }

  #hear(id: string, text: string): void {
    const { trace, witness } = this.#ports;
    const before = this.got.get(text);
    trace.add("webhook", `${text}${before === undefined ? "" : " again"}`);
    if (!witness.isDurable(text)) witness.wrong(`a rule was told of ${text}, which is not durable`);
    if (before !== undefined && before !== id) witness.wrong(`${text} came as ${before} and as ${id}`);
    this.got.set(text, id);
  }
}
