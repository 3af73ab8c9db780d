/** Words of errors. */
import type { ErrorDetails } from "./catalogue.ts";

/** The text of whatever was thrown, for a `reason` detail. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `{name}` becomes the detail of that name. */
export function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    const value = details[name];
    return value === undefined ? placeholder : String(value);
  });
}
