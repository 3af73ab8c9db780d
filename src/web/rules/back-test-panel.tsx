/** "Try on the past": what a rule would have done, beside the one that runs where it is edited. Nothing is sent. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type {
  ApiError,
  BackTestLine,
  BackTestProgress,
  BackTestRequest,
  BackTestResult,
  RuleInput,
} from "../../cloud/api/contract.ts";
import { apiErrorOf, stream } from "../api/client.ts";
import { serverNow } from "../live/live.ts";
import { BackTestFindings } from "./back-test-findings.tsx";
import { PAST_RANGES, progressWords, shareOf } from "./back-test-words.ts";
import type { PastRange } from "./back-test-words.ts";

export interface BackTestPanelProps {
  readonly rule: RuleInput;
  readonly against: RuleInput | null;
}

type State =
  | { readonly kind: "idle" }
  | {
      readonly kind: "running";
      readonly since: number;
      readonly to: number;
      readonly progress: BackTestProgress | null;
    }
  | { readonly kind: "failed"; readonly error: ApiError }
  | { readonly kind: "done"; readonly result: BackTestResult; readonly compared: boolean; readonly asked: string };

const EXAMPLES = 5;

interface BackTesting {
  readonly state: Signal<State>;
  readonly run: (range: PastRange) => Promise<void>;
  readonly stop: () => void;
}

/** One at a time: another one, and leaving the page, ends the one before. */
function useBackTest({ rule, against }: BackTestPanelProps): BackTesting {
  const state = useSignal<State>({ kind: "idle" });
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const stop = (): void => {
    running.current?.abort();
    running.current = null;
    state.value = { kind: "idle" };
  };
  const run = async ({ span }: PastRange): Promise<void> => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    const to = Math.round(serverNow.peek());
    const since = to - span;
    const request: BackTestRequest = { rule, since, examples: EXAMPLES, ...(against === null ? {} : { against }) };
    const asked = JSON.stringify([rule, against]);
    state.value = { kind: "running", since, to, progress: null };
    try {
      await stream(
        "api/rules/back-test",
        request,
        (given) => {
          const line = given as BackTestLine;
          if (running.current !== abort) return;
          if ("progress" in line) state.value = { kind: "running", since, to, progress: line.progress };
          else if ("result" in line)
            state.value = { kind: "done", result: line.result, compared: against !== null, asked };
          else state.value = { kind: "failed", error: line.error };
        },
        abort.signal,
      );
      if (running.current === abort && state.peek().kind === "running") state.value = { kind: "failed", error: BROKEN };
    } catch (thrown) {
      if (running.current === abort) state.value = { kind: "failed", error: apiErrorOf(thrown) };
    }
    if (running.current === abort) running.current = null;
  };
  return { state, run, stop };
}

export function BackTestPanel({ rule, against }: BackTestPanelProps) {
  const { state, run, stop } = useBackTest({ rule, against });
  const busy = state.value.kind === "running";
  return (
    <section class="rule-section" aria-label="Try on the past">
      <header class="rule-section-head">
        <h2>Try on the past</h2>
        <p class="muted">
          {against === null
            ? "What it would have done since then. Nothing is sent."
            : "What your edited rule would have done, beside the one that runs. Nothing is sent."}
        </p>
      </header>
      <div class="rules-tools" role="group" aria-label="Since">
        {PAST_RANGES.map((range) => (
          <button
            key={range.name}
            type="button"
            class="button"
            aria-disabled={busy}
            onClick={() => {
              if (!busy) void run(range);
            }}
          >
            {range.label}
            <span class="sr-only"> back</span>
          </button>
        ))}
        {busy && (
          <button type="button" class="button" onClick={stop}>
            Stop
          </button>
        )}
      </div>
      <Outcome state={state.value} asked={JSON.stringify([rule, against])} />
    </section>
  );
}

const BROKEN: ApiError = {
  code: "BACK_TEST_FAILED",
  message: "The answer broke off.",
  fix: "Try again; the platform may have been restarted.",
};

/** `asked`: what would be asked now. */
function Outcome({ state, asked }: { readonly state: State; readonly asked: string }) {
  switch (state.kind) {
    case "idle":
      return null;
    case "running": {
      const { progress, since, to } = state;
      const share = progress === null ? null : shareOf(progress, since, to);
      return (
        <div class="back-test-progress">
          {share === null ? (
            <progress aria-label="How far it is" />
          ) : (
            <progress aria-label="How far it is" value={share} max={1} />
          )}
          <p class="muted">{progress === null ? "Starting …" : progressWords(progress)}</p>
        </div>
      );
    }
    case "failed":
      return (
        <p class="inline-error" role="alert">
          <strong>{state.error.message}</strong> {state.error.fix}
        </p>
      );
    case "done":
      return (
        <>
          {state.asked !== asked && <p class="muted">Of the rule as it was then; you have changed it since.</p>}
          <BackTestFindings result={state.result} compared={state.compared} />
        </>
      );
  }
}
