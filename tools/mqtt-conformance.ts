/** The page of all normative statements of MQTT: where each is satisfied, and what proves it. */
import { evidence } from "../test/house/mqtt-claims.ts";
import type { Evidence, Mention } from "../test/house/mqtt-claims.ts";
import { sourceFiles } from "../test/house/source.ts";

/** Places named per statement; how many more there are is said. */
const NAMED_MAX = 3;

export function mqttConformance(): string {
  const files = ["src", "sim", "test"].flatMap((folder) => sourceFiles(folder));
  const sections = evidence(files).map(({ title, rows }) => section(title, rows));
  return `# MQTT conformance

Every normative statement of MQTT 5.0 and 3.1.1, in our own words, with the code that satisfies it and the test that proves it.
Statements of 3.1.1 are written \`[MQTT311-…]\` in code and tests; where the same code satisfies both versions it names
the one of 5.0, and a test proves each. \`npm test\` fails where one that binds a server has no code or no test.

*client only*: binds clients alone, and nothing here depends on it. *exempt*: with its reason in place of code and test.

${sections.join("\n")}`;
}

function section(title: string, rows: readonly Evidence[]): string {
  const counts = Map.groupBy(rows, ({ status }) => status);
  const summary = [...counts].map(([status, of]) => `${of.length} ${status}`).join(", ");
  return `## ${title}

${rows.length} statements: ${summary}.

| statement | binds | says | satisfied in | proven by |
|---|---|---|---|---|
${rows.map(row).join("\n")}
`;
}

function row({ statement, claims, proofs, status }: Evidence): string {
  const { id, binds, says, exempt } = statement;
  const cells =
    status === "exempt"
      ? [`*exempt*: ${exempt}`, ""]
      : [claims.length === 0 ? `*${status}*` : places(claims.map(placeOf)), places(proofs.map(titleOf))];
  return `| ${[id, binds, says, ...cells].map(cell).join(" | ")} |`;
}

function placeOf({ path, name }: Mention): string {
  return `\`${path}\`: ${name}`;
}

function titleOf({ path, name }: Mention): string {
  const title = name
    .replaceAll(/,? ?\[MQTT[^\]]*\]/g, "")
    .replaceAll(/\$\{[^}]*\}/g, "…")
    .trim();
  return `\`${path}\`: ${title}`;
}

function places(named: readonly string[]): string {
  const different = [...new Set(named)];
  const more = different.length - NAMED_MAX;
  return [...different.slice(0, NAMED_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join("<br>");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
