/** A reporter for `node --test`: failures in full with their file, also those of no test, then counts, and every test left out with its reason. */
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let passed = 0;
  let failed = 0;
  for await (const event of source) {
    if (event.type === "test:pass" || event.type === "test:fail") {
      const { name, skip, todo, details, file } = event.data;
      const isSuite = details.type === "suite";
      if (skip !== undefined || todo !== undefined) {
        const reason = skip ?? todo;
        yield `# left out ${name}: ${typeof reason === "string" ? reason : "no reason given"}\n`;
      } else if (event.type === "test:fail") {
        if (!isSuite) failed++;
        yield `\nFAILED ${name}  (${file ?? "?"})\n${describe(event.data.details.error)}\n`;
      } else if (!isSuite) passed++;
    } else if (event.type === "test:diagnostic" && event.data.message.startsWith("Error: ")) {
      // Of something that a test left behind, or of a lone promise: it belongs to no test any more, and is a failure all the same.
      failed++;
      yield `\nFAILED beside its tests  (${event.data.file ?? "?"})\n${event.data.message}\n`;
    } else if (event.type === "test:stderr" || event.type === "test:stdout") yield event.data.message;
  }
  yield `# passed ${passed}\n# failed ${failed}\n`;
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return inspect(cause, { depth: 4 });
}
