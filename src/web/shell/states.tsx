/** What a page shows while it has nothing to show. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import type { ApiError } from "../../cloud/api/contract.ts";
import { IconCheck, IconCopy, IconWarning } from "./icons.tsx";

export function Skeleton({ rows, label }: { readonly rows: number; readonly label: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, i) => (
        <div class="skeleton-row" key={i} />
      ))}
    </div>
  );
}

export interface EmptyStateProps {
  readonly icon: ComponentChildren;
  readonly title: string;
  readonly children: ComponentChildren;
}

export function EmptyState({ icon, title, children }: EmptyStateProps) {
  return (
    <section class="empty">
      <div class="empty-icon">{icon}</div>
      <h2 class="empty-title">{title}</h2>
      {children}
    </section>
  );
}

export interface ErrorStateProps {
  readonly error: ApiError;
  readonly onRetry?: () => void;
  /** The page has nothing else, so this is its heading. */
  readonly alone?: boolean;
}

export function ErrorState({ error, onRetry, alone = false }: ErrorStateProps) {
  const Heading = alone ? "h1" : "h2";
  return (
    <section class="empty is-error" role="alert">
      <div class="empty-icon">
        <IconWarning />
      </div>
      <Heading class="empty-title">{error.message}</Heading>
      <p>{error.fix}</p>
      <p class="error-code">{error.code}</p>
      {onRetry !== undefined && (
        <button type="button" class="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </section>
  );
}

/** A command to copy into a terminal. */
export function Command({ text }: { readonly text: string }) {
  const state = useSignal<"idle" | "copied" | "selected">("idle");
  const code = useRef<HTMLElement>(null);
  const copy = async (): Promise<void> => {
    try {
      // Present only on HTTPS and localhost, and only where the browser's user allows it.
      await navigator.clipboard.writeText(text);
      state.value = "copied";
    } catch {
      getSelection()?.selectAllChildren(code.current!);
      state.value = "selected";
    }
    setTimeout(() => (state.value = "idle"), 2500);
  };
  return (
    <div class="command">
      <code ref={code}>{text}</code>
      <button type="button" class="button" onClick={() => void copy()}>
        {state.value === "copied" ? <IconCheck /> : <IconCopy />}
        <span aria-live="polite">
          {state.value === "copied" ? "Copied" : state.value === "selected" ? "Selected: copy it now" : "Copy"}
        </span>
      </button>
    </div>
  );
}
