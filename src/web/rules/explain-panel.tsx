/** "Why did it (not) match": the newest messages of the rule's topics, each part of WHERE with its value. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError, ExplainAnswer, ExplainedMessage, ExplainedPart, RuleInput } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { plural } from "../format/labels.ts";
import { formatTime } from "../format/time.ts";
import { VERDICT_WORDS, thingWords } from "./rule-words.ts";

export interface ExplainPanelProps {
  readonly rule: RuleInput;
  readonly edited: boolean;
}

export function ExplainPanel({ rule, edited }: ExplainPanelProps) {
  const answer = useSignal<{ readonly of: string; readonly told: ExplainAnswer } | null>(null);
  const current = JSON.stringify(rule);
  const error = useSignal<ApiError | null>(null);
  const busy = useSignal(false);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const explain = async (): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    const abort = new AbortController();
    running.current = abort;
    try {
      const options = { method: "POST", body: { rule }, signal: abort.signal } as const;
      answer.value = { of: current, told: await call<ExplainAnswer>("api/rules/explain", options) };
      error.value = null;
    } catch (thrown) {
      if (!abort.signal.aborted) error.value = apiErrorOf(thrown);
    }
    busy.value = false;
  };
  return (
    <section class="rule-section" aria-label="Why it matches or not">
      <header class="rule-section-head">
        <h2>Why it matches, or not</h2>
        <button type="button" class="button" aria-disabled={busy.value} onClick={() => void explain()}>
          {busy.value ? "Looking…" : answer.value === null ? "Look at the newest messages" : "Look again"}
        </button>
        {edited && <p class="muted">As you have edited it.</p>}
      </header>
      {error.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
      {answer.value !== null && answer.value.of !== current && (
        <p class="muted">Of the rule as it was then; you have changed it since.</p>
      )}
      {answer.value !== null && <Messages answer={answer.value.told} />}
    </section>
  );
}

function Messages({ answer: { messages, looked, askedToday } }: { readonly answer: ExplainAnswer }) {
  if (messages.length === 0) {
    return (
      <p class="muted" role="status">
        None of the newest {plural(looked, "message")} is of its topics.
      </p>
    );
  }
  return (
    <>
      {askedToday.length > 0 && <p class="muted">Answers of {askedToday.join(", ")} are of now, not of then.</p>}
      <ul class="explained-list" role="list">
        {messages.map((message) => (
          <li key={message.offset}>
            <Explained message={message} />
          </li>
        ))}
      </ul>
    </>
  );
}

function Explained({ message }: { readonly message: ExplainedMessage }) {
  const { offset, time, topic, thing, payload, payloadBytes, verdict, where, selected } = message;
  return (
    <details class={`explained is-${verdict}`} data-offset={offset} data-verdict={verdict}>
      <summary>
        <span class="explained-verdict">{VERDICT_WORDS[verdict]}</span>
        <span>{topic}</span>
        <span class="muted">{thingWords(thing)}</span>
        <span class="muted">{formatTime(time)}</span>
      </summary>
      {where.length === 0 ? (
        <p class="muted">It has no WHERE: every message of its topics matches.</p>
      ) : (
        <ul class="explained-parts" aria-label="Parts of WHERE">
          {where.map((part, i) => (
            <Part key={i} part={part} />
          ))}
        </ul>
      )}
      {selected !== null && (
        <p>
          <span class="muted">It would hand on</span> <code>{selected}</code>
        </p>
      )}
      <p>
        <span class="muted">
          Payload, {plural(payloadBytes, "byte")}
          {"  "}
        </span>
        <code>{payload}</code>
      </p>
    </details>
  );
}

/** Deeper parts stand further in; there are as many steps as a narrow screen has room for. */
const DEPTH_MAX = 6;

function Part({ part: { text, depth, value, unknown, reason } }: { readonly part: ExplainedPart }) {
  const state = unknown ? "unknown" : value === null ? "undefined" : value === "false" ? "false" : "value";
  return (
    <li class={`explained-part is-${state} at-depth-${Math.min(DEPTH_MAX, depth)}`}>
      <code>{text}</code>
      <span class="explained-value">
        {unknown ? "depends on the messages before" : (value ?? "Undefined")}
        {reason !== null && `: ${reason}`}
      </span>
    </li>
  );
}
